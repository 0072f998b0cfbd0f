from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.row import Described, Header, ImageRow, Manifest, Selection
from cxrfeat.types import Part

HEADER = Header(format="PNG", suffix=".png", width=64, height=64, bits=8, mode="L", file_bytes=100)
ROW = ImageRow(path="A/1.png", label="A", content_sha256="0" * 64, header=HEADER, patient="p", split=Part.TEST, age=4.0)


def test_a_description_makes_another_image_of_the_same_patient() -> None:
    told = ROW.description()
    assert set(told) == {one.name for one in fields(Described)}
    other = ImageRow(path="A/2.png", label="B", content_sha256="1" * 64, header=HEADER, **told)
    assert other.description() == told
    assert replace(other, path=ROW.path, label="A", content_sha256="0" * 64) == ROW


def test_labels_count_into_the_classes() -> None:
    rows = tuple(replace(ROW, label=label) for label in "BAB")
    manifest = Manifest(dataset="d", root=Path("d"), rows=rows, classes=("A", "B"))
    assert manifest.labels.tolist() == [1, 0, 1]
    assert Manifest(dataset="d", root=Path("d"), rows=()).labels.tolist() == []


def test_one_class_and_one_folder_stand_where_many_can() -> None:
    selection = Selection(classes="COVID", follow_links="links")  # type: ignore[arg-type]  # one item or a list
    assert selection.classes == ("COVID",)
    assert selection.follow_links == (Path("links"),)
    assert Selection(classes=["B", "A"]).classes == ("B", "A")
    with pytest.raises(InputError, match="An empty text was given as a folder of links"):
        Selection(follow_links=[""])  # type: ignore[list-item]  # text is fine, an empty one is not
