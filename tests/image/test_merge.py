from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.layout import find_layout
from cxrfeat.image.note import Weight, texts
from cxrfeat.types import Part
from tests.image.layouts import kinds, labels, make, table


def test_a_table_takes_nothing_away_that_the_folders_say(tmp_path: Path) -> None:
    make(tmp_path, *(f"{part}/{label}/images/1.png" for part in ("train", "val", "test") for label in "AB"))
    make(tmp_path, "train/A/masks/1.png")
    before = find_layout(tmp_path)
    rows = "".join(f"{entry.path},p{place}\n" for place, entry in enumerate(before.entries))
    after = find_layout(table(tmp_path, f"image,patient_id\n{rows}", "train/A/images/1.png"))
    assert [replace(entry, patient=None) for entry in after.entries] == list(before.entries)
    assert [entry.patient for entry in after.entries] == [f"p{place}" for place in range(6)]
    assert after.entries[2].mask == "train/A/masks/1.png"
    assert {entry.split for entry in after.entries} == set(Part)


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("image,label,split", "train/A/1.png,A,test", "'train/A/1.png' is for test, and its folder says train"),
        ("image,label", "train/A/1.png,B", "'train/A/1.png' is 'B', and its folder says 'A'"),
    ],
)
def test_where_table_and_folders_contradict_each_other_both_are_named(
    tmp_path: Path, header: str, row: str, message: str
) -> None:
    columns = ",".join(["test"] * header.count("split"))
    others = f"test/A/2.png,A{columns and ','}{columns}\ntest/B/3.png,B{columns and ','}{columns}\n"
    root = table(tmp_path, f"{header}\n{row}\n{others}", "train/A/1.png", "test/A/2.png", "test/B/3.png")
    with pytest.raises(InputError, match=f"contradict each other for 1 image:\n  line 2: {message}"):
        find_layout(root)


def test_a_folder_that_is_no_class_of_the_table_contradicts_nothing(tmp_path: Path) -> None:
    text = "image,label\nimages_001/1.png,A\nimages_001/2.png,B\n"
    root = table(tmp_path, text, "images_001/1.png", "images_001/2.png")
    assert labels(find_layout(root)) == {"images_001/1.png": "A", "images_001/2.png": "B"}


def test_a_cell_that_is_empty_leaves_to_the_folder_what_the_table_has_a_column_for(tmp_path: Path) -> None:
    text = "image,label,split\ntrain/A/1.png,,\ntrain/B/2.png,B,\ntest/A/3.png,A,test\n"
    root = table(tmp_path, text, "train/A/1.png", "train/B/2.png", "test/A/3.png")
    assert kinds(root) == (
        {"train/A/1.png": "A", "train/B/2.png": "B", "test/A/3.png": "A"},
        {"train/A/1.png": Part.TRAIN, "train/B/2.png": Part.TRAIN, "test/A/3.png": Part.TEST},
    )


def test_rows_without_a_label_are_left_aside_aloud(tmp_path: Path) -> None:
    layout = find_layout(table(tmp_path, "image,label\n1.png,A\nsub/2.png,#N/A\n"))
    assert labels(layout) == {"1.png": "A"}
    lost = [note.text for note in layout.notes if note.weight is Weight.LOSS]
    assert lost == ["1 image in metadata.csv without a label, such as 'sub/2.png', left aside."]


def test_a_table_of_one_part_keeps_it_and_folders_of_one_part_are_no_split(tmp_path: Path) -> None:
    root = make(tmp_path, "train/A/1.png", "train/B/2.png")
    assert set(kinds(root)[1].values()) == {None}
    assert "Images lie in folders of the train part and of no other" in " ".join(texts(find_layout(root).notes))
    given = table(tmp_path, "image,split\ntrain/A/1.png,train\ntrain/B/2.png,train\n", "train/A/1.png")
    assert set(kinds(given)[1].values()) == {Part.TRAIN}


def test_images_beside_class_folders_are_counted_aloud(tmp_path: Path) -> None:
    layout = find_layout(make(tmp_path, "A/1.png", "loose.png"))
    assert labels(layout) == {"A/1.png": "A"}
    (note,) = layout.notes
    assert note.text == "1 image lies outside the class folders, such as 'loose.png', and was left aside."
    assert note.weight is Weight.LOSS
