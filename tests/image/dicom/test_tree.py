from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import InputError
from cxrfeat.image.dicom.tree import read_radiographs
from cxrfeat.image.index import index_folder, summary
from cxrfeat.image.layout import find_images, find_layout
from tests.dicoms import DX, IMPLICIT, dicom

STORED = "1.2.840.10008.5.1.4.1.1."


def noise(seed: int) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 4096, (48, 40)).astype(np.uint16)


def put(path: Path, seed: int, **tags: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dicom(noise(seed), stored=12, **tags))


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "lateral.dcm": ({"ViewPosition": "LL"}, "a lateral view"),
    "hand": ({"BodyPartExamined": "HAND"}, "of another part of the body than the chest"),
    "ct.dcm": ({"SOPClassUID": f"{STORED}2", "Modality": "CT"}, "of modality CT, no radiograph (CR, DX)"),
    "raw.dcm": (
        {"PresentationIntentType": "FOR PROCESSING"},
        "what a detector saw, not yet a picture (FOR PROCESSING)",
    ),
    "DICOMDIR": ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "the index of a disc (DICOMDIR), no image"),
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "frames.dcm": ({"NumberOfFrames": 2}, "DICOM, of 2 frames, no single image"),
    "state.dcm": ({"SOPClassUID": f"{STORED}11.1", "Modality": "PR"}, "DICOM, a presentation state, no image"),
    "capture.dcm": ({"SOPClassUID": f"{STORED}7", "Modality": "OT"}, "DICOM, a secondary capture that does not say"),
    "absurd.dcm": ({"Rows": 65535, "Columns": 65535}, "65535 x 65535 is 4295 megapixels"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of three patients each, with and without suffix, among much else."""
    root = tmp_path / "archive"
    for seed in range(6):
        tags = {"PatientID": f"P{seed}", "PatientSex": "MF"[seed % 2], "PatientAge": "050Y", "StudyDate": "20200131"}
        name = f"{'COVID' if seed < 3 else 'NORMAL'}/study{seed}/IM{seed}" + (".dcm" if seed % 2 else "")
        put(root / name, seed, StudyInstanceUID=f"1.2.{seed}", AccessionNumber=f"00{seed}", **tags)
    for name, (tags, _) in (OTHERS | BAD).items():
        put(root / "COVID" / "others" / name, 9, PatientID="P9", **tags)
    (root / "COVID" / "others" / "cut.dcm").write_bytes(dicom(noise(8), stored=12, PatientID="P9")[:1500])
    (root / "COVID" / "others" / "nothing.dcm").write_bytes(b"")
    return root


def test_a_tree_of_dicom_files_is_a_data_set(tree: Path) -> None:
    manifest = index_folder(tree, decode_all=True)
    assert [row.path for row in manifest.rows] == [
        "COVID/study0/IM0", "COVID/study1/IM1.dcm", "COVID/study2/IM2", "NORMAL/study3/IM3.dcm", "NORMAL/study4/IM4",
        "NORMAL/study5/IM5.dcm",
    ]  # fmt: skip
    first = manifest.rows[0]
    assert (first.patient, first.sex, first.age, first.date, first.view_position) == (
        "P0",
        "M",
        50.0,
        "2020-01-31",
        "PA",
    )
    assert first.header.format == "DICOM"
    found = summary(manifest)
    assert {each["path"].rpartition("/")[2]: each["reason"] for each in found["aside"]} == {
        name: why for name, (_, why) in OTHERS.items()
    }
    assert found["left_out"]["a lateral view"] == 1
    bad = {each.path.rpartition("/")[2]: (each.stage, each.reason) for each in manifest.quarantined}
    for name, (_, why) in BAD.items():
        stage, reason = bad.pop(name)
        assert (stage, reason[: len(why)]) == ("header", why)
    assert bad == {
        "cut.dcm": ("decode", "cut short: there are fewer pixels than the header says"),
        "nothing.dcm": ("header", "the file is empty"),
    }
    json.dumps(found)


def test_the_images_of_a_folder_that_need_no_class_are_frontal_too(tree: Path) -> None:
    found = find_images(tree / "COVID")
    assert not {path.rpartition("/")[2] for path in found.paths} & set(OTHERS)
    assert any("a lateral view" in note.text for note in found.notes)
    lateral = tree.parent / "lateral"
    put(lateral / "one.dcm", 1, ViewPosition="LL")
    with pytest.raises(InputError, match="holds 1 file, a lateral view"):
        find_images(lateral)


def test_a_table_goes_before_the_headers_and_cannot_bring_back_what_is_something_else(tree: Path) -> None:
    lines = ["image,label,sex,age", "COVID/study0/IM0,sick,F,", "NORMAL/study3/IM3.dcm,well,,30"]
    lines += ["COVID/others/lateral.dcm,sick,,"]
    (tree / "metadata.csv").write_text("\n".join(lines))
    for name in ("COVID", "NORMAL"):
        (tree / name).rename(tree / name.lower()[:1])
    (tree / "metadata.csv").write_text("\n".join(lines).replace("COVID", "c").replace("NORMAL", "n"))
    entries = {entry.path: entry for entry in find_layout(tree).entries}
    assert [(entry.sex, entry.age, entry.patient) for entry in entries.values()] == [
        ("F", 50.0, "P0"),
        ("F", 30.0, "P3"),
    ]


@pytest.mark.parametrize(
    ("table", "labels"),
    [
        ("StudyInstanceUID,label\n1.2.0,sick\n1.2.1,well\n1.2.99,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
        ("AccessionNumber,label\n0,sick\n1,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
        ("AccessionNumber,label\n000,sick\n001.0,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
        ("id,PatientID,label\n1,P0,sick\n2,P1,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
        ("image,label\n1.2.0_study,sick\n1.2.1_study,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
        ("image,label\nIM0,sick\nIM1,well\n", {"IM0": "sick", "IM1.dcm": "well"}),
    ],
)  # fmt: skip
def test_labels_come_from_a_table_by_any_number_of_the_image(table: str, labels: dict[str, str], tree: Path) -> None:
    (tree / "COVID").rename(tree / "files")
    (tree / "metadata.csv").write_text(table)
    layout = find_layout(tree)
    assert {entry.path.rpartition("/")[2]: entry.label for entry in layout.entries} == labels
    assert {entry.patient for entry in layout.entries} == {f"P{place}" for place in range(len(labels))}
    if "1.2.99" in table:
        (note,) = [note.text for note in layout.notes if "no image that is taken" in note.text]
        assert note == "1 row of metadata.csv with a StudyInstanceUID of no image that is taken."


def test_a_line_names_all_images_of_its_study(tmp_path: Path) -> None:
    for seed, name in enumerate(("a/PA.dcm", "a/AP.dcm", "a/LL.dcm", "b/PA.dcm")):
        put(tmp_path / "set" / name, seed, StudyInstanceUID=f"1.2.{name[0]}", ViewPosition=name[2:4])
    (tmp_path / "set" / "metadata.csv").write_text("study_uid,finding\n1.2.a,sick\n1.2.b,well\n")
    layout = find_layout(tmp_path / "set")
    assert {entry.path: entry.label for entry in layout.entries} == {
        "a/AP.dcm": "sick", "a/PA.dcm": "sick", "b/PA.dcm": "well",
    }  # fmt: skip
    assert any("1 row of metadata.csv names several images each" in note.text for note in layout.notes)


def test_a_number_that_all_studies_have_is_no_patients(tmp_path: Path) -> None:
    paths = [f"{seed}.dcm" for seed in range(12)]
    for seed, path in enumerate(paths):
        put(tmp_path / path, seed, PatientID="REMOVED", StudyInstanceUID=f"1.2.{seed}")
    found = read_radiographs(tmp_path, paths, ())
    assert not any("patient" in columns for columns in found.columns.values())
    assert ["same patient" in note.text for note in found.notes] == [True]
    few = read_radiographs(tmp_path, paths[:9], ())
    assert {columns["patient"] for columns in few.columns.values()} == {"REMOVED"}


def test_burned_in_text_and_silent_views_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "1.dcm", 1, BurnedInAnnotation="YES", ViewPosition=None)
    put(tmp_path / "2.dcm", 2, BurnedInAnnotation="NO", SOPClassUID=DX)
    (tmp_path / "3.png").write_bytes(b"no DICOM")
    found = read_radiographs(tmp_path, ["1.dcm", "2.dcm", "3.png"], ["3.png"])
    assert list(found.columns) == ["1.dcm", "2.dcm"]
    silent, burned = (note.text for note in found.notes)
    assert silent == "1 DICOM file does not say its view, such as '1.dcm', and is taken for frontal."
    assert burned.startswith(
        "1 DICOM file says that text is burned into the picture (BurnedInAnnotation), such as '1.dcm'"
    )


@pytest.mark.slow
def test_processes_read_the_same_headers(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [path.relative_to(tree).as_posix() for path in sorted(tree.rglob("*")) if path.is_file()]
    here = read_radiographs(tree, paths, paths)
    monkeypatch.setattr("cxrfeat.image.dicom.tree.crew_pays", lambda steps, workers: True)
    assert read_radiographs(tree, paths, paths) == here
    assert len(here.about) == 8


def test_which_of_several_windows_is_taken_is_told(tmp_path: Path) -> None:
    for name, widths in (("1.dcm", ["10", "20"]), ("2.dcm", ["0", "20"]), ("3.dcm", ["10", "20"]), ("4.dcm", ["10"])):
        put(tmp_path / name, 1, WindowCenter=["5", "6"][: len(widths)], WindowWidth=widths)
    (note,) = read_radiographs(tmp_path, ["1.dcm", "2.dcm", "3.dcm", "4.dcm"], ()).notes
    text = "DICOM files with several windows or VOI LUTs: window 1 of 2 in 2 files, window 2 of 2 in 1 file."
    assert note.text == text


def test_a_file_without_preamble_is_found_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "IM0").write_bytes(dicom(noise(0), IMPLICIT, stored=12, preamble=False, PatientID="P9"))
    (entry,) = find_layout(tmp_path).entries
    assert (entry.path, entry.label, entry.patient) == ("A/IM0", "A", "P9")
