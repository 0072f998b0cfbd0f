from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import InputError
from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.row import Described, Header, ImageRow, ImageRows, Manifest, Selection
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


DESCRIBED = st.builds(
    ImageRow,
    path=st.text(st.characters(codec="utf-8"), max_size=5) | st.just("A/\udcff.png"),
    label=st.sampled_from("AB"),
    content_sha256=st.text("0123456789abcdef", min_size=1, max_size=64),
    header=st.builds(replace, st.just(HEADER), width=st.integers(1, 2**40), bits=st.sampled_from([8, 16])),
    patient=st.none() | st.sampled_from(["", "p", "q"]),
    split=st.none() | st.sampled_from(list(Part)),
    date=st.none() | st.sampled_from(["2020", "2020-01-02"]),
    age=st.none() | st.floats(0, 99),
    mask=st.none() | st.just("m.png") | st.builds(MaskPlace),
    findings=st.none() | st.tuples(st.integers(-2, 1)),
    kept=st.none() | st.tuples(st.none() | st.text(max_size=2) | st.floats(1, 3)),
)


@given(st.lists(DESCRIBED, max_size=8))
def test_rows_held_by_columns_are_the_rows(rows: list[ImageRow]) -> None:
    held = ImageRows(rows)
    assert list(held) == rows
    assert [held[number] for number in range(len(rows))] == rows
    assert held[1:5:2] == tuple(rows[1:5:2])
    assert held == rows
    assert held != [*rows, ROW]
    assert hash(held) == hash(tuple(rows))
    assert held.contents.tolist() == [row.content_sha256.encode() for row in rows]
    assert list(held.paths(np.arange(len(rows))[::-1])) == [row.path for row in reversed(rows)]
    codes, values = held.coded("age")
    assert [values[code] for code in codes.tolist()] == [row.age for row in rows]
    with pytest.raises(IndexError):
        held[len(rows)]


def test_a_manifest_holds_its_rows_by_columns() -> None:
    manifest = Manifest(dataset="d", root=Path("d"), rows=(ROW, ROW), classes=("A",))
    assert isinstance(manifest.rows, ImageRows)
    assert manifest == replace(manifest, rows=manifest.rows[:])
    assert manifest != replace(manifest, rows=manifest.rows[1:])


def test_one_class_and_one_folder_stand_where_many_can() -> None:
    selection = Selection(classes="COVID", follow_links="links")  # type: ignore[arg-type]  # one item or a list
    assert selection.classes == ("COVID",)
    assert selection.follow_links == (Path("links"),)
    assert Selection(classes=["B", "A"]).classes == ("B", "A")
    with pytest.raises(InputError, match="An empty text was given as a folder of links"):
        Selection(follow_links=[""])  # type: ignore[list-item]  # text is fine, an empty one is not


@given(st.lists(DESCRIBED, max_size=5, unique_by=lambda row: row.path))
def test_rows_are_put_in_the_order_of_their_paths(rows: list[ImageRow]) -> None:
    assert list(ImageRows(rows).in_order()) == sorted(rows, key=lambda row: row.path)
