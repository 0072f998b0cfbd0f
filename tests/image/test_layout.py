from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.layout import find_images, find_layout
from cxrfeat.image.merge import Entry
from cxrfeat.image.note import texts
from cxrfeat.image.row import Selection
from cxrfeat.types import Part
from tests.image.layouts import labels, make, only, problems, table


def test_a_folder_is_a_class_and_so_is_what_lies_below(tmp_path: Path) -> None:
    make(tmp_path, "B/2.PNG", "A/1.jpeg", "A/p7/deep/3.tif", "A/notes.txt", "A/.hidden.png", "A/._1.png", "A/Thumbs.db")
    make(tmp_path, ".git/x.png", "__MACOSX/A/1.png", "README.md")
    layout = find_layout(tmp_path)
    assert labels(layout) == {"A/1.jpeg": "A", "A/p7/deep/3.tif": "A", "B/2.PNG": "B"}
    assert texts(layout.notes) == ["2 files that are no image by content, left aside: 1 .txt, 1 .md."]


def test_the_kaggle_layout_gives_masks_and_never_takes_them_for_images(tmp_path: Path) -> None:
    make(tmp_path, "COVID/images/1.png", "COVID/images/2.png", "COVID/masks/1.png", "COVID/masks/9.png")
    make(tmp_path, "Normal/1.png", "Normal/Masks/1.png", "Viral Pneumonia/1.png", "COVID.metadata.xlsx")
    layout = find_layout(tmp_path)
    assert {entry.path: entry.mask for entry in layout.entries} == {
        "COVID/images/1.png": "COVID/masks/1.png",
        "COVID/images/2.png": None,
        "Normal/1.png": "Normal/Masks/1.png",
        "Viral Pneumonia/1.png": None,
    }


def test_parts_above_classes_set_the_split(tmp_path: Path) -> None:
    make(tmp_path, "train/A/1.png", "Val/A/2.png", "valid/B/3.png", "test/B/images/4.png", "test/B/masks/4.png")
    layout = find_layout(tmp_path)
    assert [(entry.path, entry.label, entry.split) for entry in layout.entries] == [
        ("Val/A/2.png", "A", Part.VALIDATION),
        ("test/B/images/4.png", "B", Part.TEST),
        ("train/A/1.png", "A", Part.TRAIN),
        ("valid/B/3.png", "B", Part.VALIDATION),
    ]
    assert layout.entries[1].mask == "test/B/masks/4.png"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds nothing.*Understood are: a folder per class"),
        (("notes.txt",), "only other files, such as 'notes.txt'"),
        (("train/1.png", "test/A/2.png"), "'train' holds images directly"),
        (("train/A/1.png", "COVID/2.png"), "train next to COVID: the first are parts"),
    ],
)
def test_a_folder_of_no_known_layout_is_refused_with_the_known_ones(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        find_layout(make(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("1.png", "2.png"), {None}),
        (("images/1.png", "images/2.png"), {None}),
        (("images_001/images/1.png", "images_002/images/2.png"), {None}),
        (("train/1.png", "test/2.png"), {Part.TRAIN, Part.TEST}),
    ],
)
def test_images_without_classes_are_of_one(tmp_path: Path, names: tuple[str, ...], parts: set[Part | None]) -> None:
    layout = find_layout(make(tmp_path, *names))
    assert {entry.path: entry.label for entry in layout.entries} == dict.fromkeys(names, "unlabelled")
    assert {entry.split for entry in layout.entries} == parts
    assert any("Nothing says which class an image belongs to" in note.text for note in layout.notes)


def test_a_table_without_classes_tells_the_rest(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "2.png")
    (tmp_path / "metadata.csv").write_text("image,age,Mass,ward\n1.png,40,1,a\n2.png,50,0,b\n")
    layout = find_layout(tmp_path, Selection(findings=["Mass"], keep_columns=["ward"]))
    assert [(entry.label, entry.age, entry.findings, entry.kept) for entry in layout.entries] == [
        ("unlabelled", 40, (1,), ("a",)),
        ("unlabelled", 50, (0,), ("b",)),
    ]
    assert (layout.finding_names, layout.kept_names) == (("Mass",), ("ward",))


def test_the_class_that_follows_from_findings_stands_behind_the_folders(tmp_path: Path) -> None:
    table = "image,No Finding,Edema,Pneumonia\n{}1.png,1,0,0\n{}2.png,0,1,0\n"
    make(tmp_path / "flat", "1.png", "2.png")
    (tmp_path / "flat" / "metadata.csv").write_text(table.format("", ""))
    assert labels(find_layout(tmp_path / "flat")) == {"1.png": "No Finding", "2.png": "Finding"}
    make(tmp_path / "sorted", "A/1.png", "B/2.png")
    (tmp_path / "sorted" / "metadata.csv").write_text(table.format("A/", "B/"))
    assert labels(find_layout(tmp_path / "sorted")) == {"A/1.png": "A", "B/2.png": "B"}


@pytest.mark.parametrize("field", ["findings", "keep_columns", "column"])
def test_columns_are_refused_where_there_is_no_table(tmp_path: Path, field: str) -> None:
    asked: Any = {"label": "x"} if field == "column" else ["x"]
    with pytest.raises(InputError, match=f"`{field}` names columns of a table, and .* has none"):
        find_layout(make(tmp_path, "A/1.png", "B/2.png"), Selection(**{field: asked}))


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "radiographs/A/1.png", "file.zip")
    with pytest.raises(InputError, match=r"no folder .*radiograph'.* Did you mean radiographs"):
        find_layout(tmp_path / "radiograph")
    with pytest.raises(InputError, match="is a file; the data are a folder"):
        find_layout(tmp_path / "file.zip")


def test_links_stay_inside_the_folder(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "A/1.png", "B/2.png")
    outside = make(tmp_path / "data-outside", "secret.png", "C/3.png")
    (root / "A" / "in.png").symlink_to("../B/2.png")
    (root / "A" / "out.png").symlink_to(outside / "secret.png")
    (root / "A" / "broken.png").symlink_to("nowhere.png")
    (root / "A" / "circle.png").symlink_to("circle.png")
    (root / "A" / "more").symlink_to(outside / "C")
    (root / "C").symlink_to(outside / "C")
    (root / "A" / "loop").symlink_to("..")
    (root / "A" / "self").symlink_to(".")
    (root / "A" / "copy").symlink_to("../B")
    (root / "A" / "notes").symlink_to("nowhere")
    layout = find_layout(root)
    assert labels(layout) == {"A/1.png": "A", "A/in.png": "A", "B/2.png": "B"}
    assert problems(layout) == {
        "A/broken.png": "a link that leads nowhere",
        "A/circle.png": "symbolic links that lead in a circle",
        "A/more": "a link that leads out of the data folder",
        "A/out.png": "a link that leads out of the data folder",
        "C": "a link that leads out of the data folder",
    }


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    make(tmp_path / "real", "A/1.png", "shared/2.png")
    (tmp_path / "real" / "B").symlink_to("shared")
    (tmp_path / "link").symlink_to("real")
    assert labels(find_layout(tmp_path / "link")) == {"A/1.png": "A", "shared/2.png": "shared"}


def test_a_folder_named_as_an_image_is_neither_image_nor_class(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "A/1.png", "A/x.png/2.png", "y.png/3.png"))
    assert labels(layout) == {"A/1.png": "A"}
    assert problems(layout) == dict.fromkeys(("A/x.png", "y.png"), "not a regular file but a folder")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert list(labels(find_layout(make(tmp_path, f"A/{name}")))) == [f"A/{name}"]
    with pytest.raises(InputError, match="not UTF-8 text; rename it"):
        find_layout(make(tmp_path, os.fsdecode(b"caf\xe9/1.png")))


def test_the_table_is_the_whole_list(tmp_path: Path) -> None:
    text = (
        "\ufefffile_name, Label ,patient_id,source,split,date,sex,age,view_position,mask,other\r\n"
        "sub\\2.png,B,,,,,,,,,\r\n\r\n"
        './1.png,"A, or so",p1,hospital,VALID,2020/3/1,F,63Y,PA,m/1.png,ignored\r\n'
        "gone.png,A,unknown,unknown,dev,20200331,,n/a,,m/gone.png\r\n"
    )
    layout = find_layout(table(tmp_path, text, "1.png", "sub/2.png", "extra.png", "A/more.png", "m/1.png"))
    assert layout.entries == (
        Entry(
            path="1.png",
            label="A, or so",
            patient="p1",
            source="hospital",
            split=Part.VALIDATION,
            date="2020-03-01",
            sex="F",
            age=63.0,
            view_position="PA",
            mask="m/1.png",
        ),
        Entry(
            path="gone.png",
            label="A",
            split=Part.VALIDATION,
            date="2020-03-31",
            problem="listed in metadata.csv but not there",
        ),
        Entry(path="sub/2.png", label="B"),
    )
    assert texts(layout.notes) == [
        "2 images are not listed in metadata.csv, such as 'A/more.png', and were left aside.",
        "1 image is in no part of the split that the data give, such as 'sub/2.png': neither for training nor for "
        "validation nor for the test.",
        "Taken for unknown in the column patient_id: 'unknown' (1).",
        "Taken for unknown in the column source: 'unknown' (1).",
        "Taken for unknown in the column age: 'n/a' (1).",
        "1 mask listed in metadata.csv is not there.",
        "Read from metadata.csv: file_name as image.",
        "Not used of metadata.csv: the column other.",
    ]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_other_separators_are_understood(tmp_path: Path, mark: str) -> None:
    text = "image,label,source\n1.png,A,x\n".replace(",", mark)
    assert only(find_layout(table(tmp_path, text))).source == "x"


@pytest.mark.parametrize(
    ("cell", "age"),
    [("7", 7.0), ("63.5", 63.5), ("063Y", 63.0), ("018M", 1.5), ("0", 0.0), ("", None), ("NA", None)],
)
def test_ages_are_in_years(tmp_path: Path, cell: str, age: float | None) -> None:
    assert only(find_layout(table(tmp_path, f"image,label,age\n1.png,A,{cell}\n"))).age == age


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metadata.csv: there is no column image"),
        ("image,label\n", "header but no rows"),
        (
            "picture,label\n1.png,A\n",
            r"metadata.csv: there is no column image \(or file_name, .*\)\. The columns are picture, label",
        ),
        ("image,kind\n1.png,A\n", "metadata.csv has no column label, and the folders give no class to an image"),
        ("image,label,label\n1.png,A,A\n", "column label is there twice"),
        ("image,label\n1.png,\n", "Not one image of .* has a class: .*without a label, such as '1.png'"),
        ("image,label\n1.png\n", "Not one image of .* has a class: .*without a label, such as '1.png'"),
        ("image,label\n,A\n", "line 2, column image: the path is empty"),
        ("image,label\n1.png,A,B\n", "line 2: 3 fields under 2 column names"),
        (
            "image,label\n1.png,A\n./1.png,B\n",
            "line 3, column label: '1.png' was listed before, in line 2, with 'A' and not 'B'",
        ),
        ("image,label,split\n1.png,A,hold-out\n", "line 2, column split: 'hold-out' is not a part of a split"),
        ("image,label\n../x.png,A\n", "'../x.png' must be a path inside"),
        ("image,label\n/etc/passwd,A\n", "must be a path inside"),
        ("image,label\nC:\\x.png,A\n", "must be a path inside"),
        ("image,label,mask\n1.png,A,../m.png\n", "column mask: '../m.png' must be a path inside"),
        ('image,label\n"1.png,A\n', "not a table of separated values"),
    ],
)
def test_a_wrong_table_is_refused_by_line_and_column(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_layout(table(tmp_path, text))


def test_a_listed_link_may_not_lead_outside(tmp_path: Path) -> None:
    make(tmp_path, "secret.png")
    root = table(tmp_path / "data", "image,label\nlink.png,A\n")
    (root / "link.png").symlink_to("../secret.png")
    with pytest.raises(InputError, match=r"line 2, column image: 'link\.png' is a link that leads out"):
        find_layout(root)


def test_a_table_that_is_no_file_inside_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "A/1.png")
    (root / "metadata.csv").symlink_to("../metadata.csv")
    with pytest.raises(InputError, match="not a file inside the data folder"):
        find_layout(root)
    (root / "metadata.csv").unlink()
    os.mkfifo(root / "metadata.csv")
    with pytest.raises(InputError, match="not a regular file"):
        find_layout(root)


def test_listed_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    assert only(find_layout(table(tmp_path, b"image,label\ncaf\xe9.png,A\n", name))).problem is None


def test_letters_of_a_table_that_is_not_utf8_are_read_all_the_same(tmp_path: Path) -> None:
    layout = find_layout(table(tmp_path, b"image,label\n1.png,caf\xe9\n"))
    assert labels(layout) == {"1.png": "café"}
    assert layout.table is not None
    assert (layout.table.form, layout.table.columns) == (
        "comma-separated, Latin-1",
        {"image": "image", "label": "label"},
    )


def test_a_table_of_the_user_may_lie_anywhere_and_stands_before_others(tmp_path: Path) -> None:
    root = table(tmp_path / "data", "image,label\n1.png,A\n")
    (tmp_path / "labels.tsv").write_text("picture\ty\tcolour\n2\tB\tred\n")
    selection = Selection(metadata=tmp_path / "labels.tsv", column={"image": "picture", "label": "y"})
    layout = find_layout(root, selection)
    assert labels(layout) == {"sub/2.png": "B"}
    assert layout.table is not None
    assert (layout.table.name, layout.table.unused) == ("labels.tsv", ("colour",))
    told = " ".join(note.text for note in layout.notes)
    assert "The table 'metadata.csv' is not read; name the table of the images with `metadata`" in told
    assert "1 image is not listed in labels.tsv, such as '1.png'" in told


def test_columns_are_named_of_a_table_only(tmp_path: Path) -> None:
    make(tmp_path, "A/1.png", "B/2.png")
    with pytest.raises(InputError, match=r"`column` names columns of a table, and .* has none"):
        find_layout(tmp_path, Selection(column={"label": "x"}))
    with pytest.raises(InputError, match="There is no table"):
        find_layout(tmp_path, Selection(metadata=tmp_path / "none.csv"))


@pytest.mark.parametrize("suffix", ["tsv", "csv.gz"])
def test_a_table_beside_the_images_is_found_in_other_formats_too(tmp_path: Path, suffix: str) -> None:
    text = b"image\tlabel\n1.png\tA\n"
    root = make(tmp_path, "1.png")
    (root / f"metadata.{suffix}").write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    assert labels(find_layout(root)) == {"1.png": "A"}


def test_names_that_may_be_one_class_are_told_first(tmp_path: Path) -> None:
    make(tmp_path, "train/NORMAL/1.png", "train/COVID/2.png", "test/Normal/3.png", "test/COVID/4.png", "x.png")
    first = find_layout(tmp_path).notes[0].text
    assert "'NORMAL' (1 image) and 'Normal' (1 image). They are taken for different classes" in first
    assert "'COVID'" not in first


def test_images_without_classes_are_found_where_index_finds_them(tmp_path: Path) -> None:
    make(tmp_path, "1.png", "A/images/2.png", "A/masks/2.png", "A/._2.png", ".ipynb_checkpoints/3.png", "A/notes.txt")
    make(tmp_path, "__MACOSX/A/1.png")
    (tmp_path / "lost.png").symlink_to("nowhere.png")
    found = find_images(tmp_path)
    assert found.paths == ("1.png", "A/images/2.png")
    assert found.problems == {"lost.png": "a link that leads nowhere"}
    assert "1 mask left aside: never images." in texts(found.notes)
    with pytest.raises(InputError, match="no images but only masks"):
        find_images(make(tmp_path / "only", "masks/1.png"))


def test_tables_that_nobody_reads_are_named(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "A/1.png", "labels.csv", "A/ignored.csv"))
    assert texts(layout.notes)[0] == (
        "The table 'labels.csv' is not read; name the table of the images with `metadata`, or call it metadata.csv."
    )


def test_links_are_followed_into_folders_that_are_named(tmp_path: Path) -> None:
    store = make(tmp_path / "store", "blob1", "blob2", "more/3.png")
    root = make(tmp_path / "data", "B/4.png")
    (root / "A").mkdir()
    (root / "A" / "1.png").symlink_to("../../store/blob1")
    (root / "A" / "deep").symlink_to(store / "more")
    refused = find_layout(root)
    assert set(problems(refused)) == {"A/1.png", "A/deep"}
    assert "2 links lead out of the data folder, such as 'A/1.png', and were not followed" in refused.notes[0].text
    assert refused.notes[0].text.endswith(f"`follow_links={store}`.")
    assert labels(find_layout(root, Selection(follow_links=[store]))) == {
        "A/1.png": "A",
        "A/deep/3.png": "A",
        "B/4.png": "B",
    }
    with pytest.raises(InputError, match=r"no folder .*into which links are to be followed"):
        find_layout(root, Selection(follow_links=[tmp_path / "gone"]))
