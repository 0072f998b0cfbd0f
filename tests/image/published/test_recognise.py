from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from cxrfeat.errors import CxrFeatError, InputError, SpecError
from cxrfeat.image.layout import find_layout
from cxrfeat.image.note import Weight
from cxrfeat.image.published.recognise import recognise
from cxrfeat.image.published.table import SETS
from cxrfeat.image.row import Selection
from tests.image.layouts import labels, make
from tests.image.published import trees


def test_a_folder_of_classes_is_no_published_set(tmp_path: Path) -> None:
    make(tmp_path, "COVID/1.png", "NORMAL/2.png", "train.csv", "metadata.csv")
    files = {"COVID/1.png", "NORMAL/2.png", "train.csv", "metadata.csv"}
    assert recognise(tmp_path, files, {"COVID/1.png", "NORMAL/2.png"}, SETS) is None


def test_a_table_of_the_user_stands_before_those_of_the_set_and_it_is_said(tmp_path: Path) -> None:
    trees.nih(tmp_path)
    (tmp_path / "metadata.csv").write_text("image,label\n00001336_000.png,A\n00001337_000.png,B\n")
    layout = find_layout(tmp_path)
    assert layout.published is None
    assert set(labels(layout).values()) == {"A", "B"}
    text = (
        "This looks like NIH ChestX-ray14, and metadata.csv is read in place of its tables; `published=nih` reads them."
    )
    assert text in [note.text for note in layout.notes]
    forced = find_layout(tmp_path, Selection(published="nih"))
    assert forced.published == ("nih", "NIH ChestX-ray14")
    assert len(forced.entries) == 4


def test_so_it_does_inside_the_sets_own_folder(tmp_path: Path) -> None:
    trees.chexpert(tmp_path)
    name = "train/patient00001/study1/view1_frontal.jpg"
    (tmp_path / "CheXpert-v1.0-small" / "metadata.csv").write_text(f"image,label\n{name},A\n")
    layout = find_layout(tmp_path)
    assert (layout.published, set(labels(layout).values())) == (None, {"A"})


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    trees.kermany(tmp_path)
    layout = find_layout(tmp_path, Selection(published="none"))
    assert layout.published is None
    assert {entry.patient for entry in layout.entries} == {None}
    recognised = find_layout(tmp_path)
    text = next(note for note in recognised.notes if note.text.startswith("Recognised as Chest X-ray images"))
    assert (text.weight, "`published=none`" in text.text) == (Weight.MINOR, True)


def test_a_set_that_is_named_must_be_there_and_known(tmp_path: Path) -> None:
    make(tmp_path, "A/1.png", "B/2.png")
    with pytest.raises(SpecError, match=r"got 'nhi'\. Did you mean nih\? The sets are ieee8023, "):
        find_layout(tmp_path, Selection(published="nhi"))
    with pytest.raises(
        InputError, match=r"does not look like NIH ChestX-ray14: a table 'Data_Entry.*are not all there"
    ):
        find_layout(tmp_path, Selection(published="nih"))
    with pytest.raises(SpecError, match="`published` names the tables of a set, and `metadata` another"):
        find_layout(tmp_path, Selection(published="nih", metadata=tmp_path / "x.csv"))


def test_a_pipe_is_no_table_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.csv")
    assert recognise(tmp_path, {"train.csv"}, set(), SETS) is None


def test_titles_decide_between_tables_of_one_name(tmp_path: Path) -> None:
    trees.chexpert(tmp_path)
    train = tmp_path / "CheXpert-v1.0-small" / "train.csv"
    train.write_text(train.read_text().replace("Frontal/Lateral", "Kind"))
    found = recognise(tmp_path, {"CheXpert-v1.0-small/train.csv"}, set(), SETS)
    assert found is None


def test_damaged_tables_are_refused_or_read_but_end_nothing(tmp_path: Path) -> None:
    for seed, (name, tree) in enumerate(trees.TREES.items()):
        root, draw = tmp_path / name, random.Random(seed)
        tree(root)
        kinds = (".csv", ".txt", ".gz", ".xlsx")
        for table in sorted(path for path in root.rglob("*") if path.suffix in kinds and path.stat().st_size):
            content = table.read_bytes()
            at = draw.randrange(len(content))
            broken = (content[:at], content[:at] + b'"\0\xff;' + content[at:], content.replace(b",", b";"), content * 2)
            table.write_bytes(broken[draw.randrange(len(broken))])
        with contextlib.suppress(CxrFeatError):
            assert find_layout(root).entries
