"""Trees and tables as people have them on disk, each of which was once dropped, replaced or misread without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cxrfeat.image.index import index_folder, summary
from cxrfeat.image.row import Manifest
from tests.image.encode import encode, noise

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes different images into `set/`, by path."""
    seeds = iter(range(10_000))

    def write(*names: str, kind: str = "PNG") -> Path:
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(noise(next(seeds)), kind))
        return tmp_path / "set"

    return write


def tree(*folders: str, count: int = 2) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(count)]


def table(root: Path, header: str, *lines: str) -> Manifest:
    (root / "metadata.csv").write_text("\n".join((header, *lines)) + "\n")
    return index_folder(root)


def told(manifest: Manifest) -> str:
    return " ".join(note.text for note in manifest.notes)


def test_a_table_of_patients_takes_neither_split_nor_masks(put: Put) -> None:
    root = put(*tree("train/A/images", "train/B/images", "test/A/images", "test/B/images"))
    put(*tree("train/A/masks", "train/B/masks"))
    before = index_folder(root)
    lines = [f"{row.path},p{place}" for place, row in enumerate(before.rows)]
    after = table(root, "image,patient_id", *lines)
    for name in ("path", "label", "split", "mask"):
        assert [getattr(row, name) for row in after.rows] == [getattr(row, name) for row in before.rows]
    assert sum(row.mask is not None for row in after.rows) == 4
    assert len({row.patient for row in after.rows}) == 8


@pytest.mark.parametrize(
    "header",
    ["filename,finding", "path,class", "Image Index,Finding Labels", "image_path,label", "file,label", "image,Label"],
)
def test_image_and_label_under_the_names_of_others(put: Put, header: str) -> None:
    root = put(*tree("i", count=4))
    manifest = table(root, header, *(f"i/{number}.png,{'AB'[number % 2]}" for number in range(4)))
    assert Counter(row.label for row in manifest.rows) == {"A": 2, "B": 2}


@pytest.mark.parametrize("cell", ["i/{}", "{}.png", "set/i/{}.png", "i\\{}.png"])
def test_images_by_other_paths_than_those_on_disk(put: Put, cell: str) -> None:
    root = put(*tree("i", count=4))
    manifest = table(root, "image,label", *(f"{cell.format(number)},{'AB'[number % 2]}" for number in range(4)))
    assert (len(manifest.rows), manifest.quarantined) == (4, ())


@pytest.mark.parametrize("column", ["patientid", "Patient ID", "PatientID", "subject_id", "patient", "patient-id"])
def test_patients_under_the_names_of_others(put: Put, column: str) -> None:
    root = put(*tree("i", count=4))
    manifest = table(
        root, f"image,label,{column}", *(f"i/{number}.png,{'AB'[number % 2]},{number // 2}" for number in range(4))
    )
    assert [row.patient for row in manifest.rows] == ["0", "0", "1", "1"]


def test_placeholders_are_no_patients_and_a_spreadsheet_makes_no_new_ones(put: Put) -> None:
    ids = [
        "123",
        "123.0",
        "0123",
        " 123 ",
        "7.0",
        "7",
        "<NA>",
        "#N/A",
        "NaT",
        "-",
        "missing",
        "NONE",
        "n.a.",
        ".",
        "-1",
    ]
    root = put(*tree("i", count=len(ids)))
    manifest = table(root, "image,label,patient_id", *(f"i/{place}.png,A,{text}" for place, text in enumerate(ids)))
    assert Counter(row.patient for row in manifest.rows) == {"123": 4, "7": 2, None: 9}
    assert "Taken for unknown in the column patient_id" in told(manifest)
    assert "went through a spreadsheet" in told(manifest)


@pytest.mark.parametrize(
    ("column", "odd", "usual", "kept"),
    [
        ("age", "411", "50", None),
        ("age", "90+", "50", 90.0),
        ("age", "6 months", "50", 0.5),
        ("date", "1/22/2020", "2020-01-22", "2020-01-22"),
        ("date", "January 22, 2020", "2020-01-22", "2020-01-22"),
        ("date", "20200122.0", "2020-01-22", "2020-01-22"),
        ("date", "NaT", "2020-01-22", None),
        ("split", "Testing", "train", "test"),
        ("split", "nan", "train", None),
    ],
)
def test_one_odd_value_does_not_stop_a_table(put: Put, column: str, odd: str, usual: str, kept: object) -> None:
    root = put(*tree("i", count=4))
    values = [usual, usual, odd, usual]
    manifest = table(root, f"image,label,{column}", *(f'i/{place}.png,A,"{text}"' for place, text in enumerate(values)))
    assert getattr(manifest.rows[2], column) == kept
    assert getattr(manifest.rows[0], column) is not None
    assert (column in told(manifest) or "split" in told(manifest)) == (kept is None)


def test_a_row_given_twice_is_one_image(put: Put) -> None:
    root = put(*tree("i", count=2))
    manifest = table(root, "image,label", "i/0.png,A", "i/1.png,B", "i/0.png,A")
    assert len(manifest.rows) == 2
    assert "1 further row" in told(manifest)


def test_classes_that_differ_in_case_are_told_before_all_else(put: Put) -> None:
    root = put(*tree("train/COVID", "train/NORMAL", "test/Covid", "test/Normal"), "loose.png")
    manifest = index_folder(root)
    assert manifest.notes[0].text.startswith("Class names that differ in case")
    assert "'COVID' (2 images) and 'Covid' (2 images)" in manifest.notes[0].text


@pytest.mark.parametrize("name", ["Masks", "lung masks", "Lung_Masks", "masks_png", "segmentations", "annotations"])
def test_mask_folders_by_other_names(put: Put, name: str) -> None:
    root = put(*tree("A/images", "B/images", f"A/{name}", f"B/{name}"))
    document = summary(index_folder(root))
    assert (document["images"], document["masks"]) == (4, 4)


def test_masks_beside_their_images(put: Put) -> None:
    root = put("A/1.png", "A/1_mask.png", "B/2.png", "B/2_mask.png")
    document = summary(index_folder(root))
    assert (document["images"], document["masks"]) == (2, 2)


def test_a_class_of_unusual_suffixes_does_not_vanish(put: Put) -> None:
    root = put(*tree("A"), "B/1.jfif", "B/2.jpe", kind="JPEG")
    put("C/1", "C/2.dicom", "C/3.PNG")
    (root / "C" / "scan.gif").write_bytes(b"GIF89a" + bytes(20))
    manifest = index_folder(root)
    assert Counter(row.label for row in manifest.rows) == {"A": 2, "B": 2, "C": 3}
    assert "1 file of formats that are not read, left aside: 1 .gif" in told(manifest)


def test_links_into_a_store(put: Put, tmp_path: Path) -> None:
    root = put(*tree("A"))
    (root / "B").mkdir()
    store = tmp_path / "store"
    store.mkdir()
    for number in (1, 2):
        Image.new("L", (40, 40), number).save(store / f"blob{number}", "PNG")
        (root / "B" / f"{number}.png").symlink_to(store / f"blob{number}")
    manifest = index_folder(root)
    assert len(manifest.quarantined) == 2
    assert f"`follow_links={store}`" in told(manifest)


@pytest.mark.parametrize(
    ("folders", "classes", "parts"),
    [
        (("COVID-19_Radiography_Dataset/COVID/images", "COVID-19_Radiography_Dataset/Normal/images"),
         {"COVID", "Normal"}, {None}),
        (("chest_xray/train/N", "chest_xray/test/N", "chest_xray/chest_xray/train/N", "chest_xray/chest_xray/test/N"),
         {"N"}, {"train", "test"}),
        (("train_images/A", "train_images/B", "test_images/A", "test_images/B"), {"A", "B"}, {"train", "test"}),
        (("fold1/A", "fold1/B", "fold2/A", "fold2/B"), {"A", "B"}, {None}),
        (("Pneumonia/Viral", "Pneumonia/Bacterial", "Normal"), {"Pneumonia", "Normal"}, {None}),
    ],
)  # fmt: skip
def test_archives_as_they_were_unpacked(
    put: Put, folders: tuple[str, ...], classes: set[str], parts: set[str | None]
) -> None:
    manifest = index_folder(put(*tree(*folders)))
    assert set(manifest.classes) == classes
    assert {row.split for row in manifest.rows} == parts
