from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.note import texts
from tests.image.claims import read, rows


def kept(tmp_path: Path, cells: list[str], title: str = "dose") -> list[Any]:
    names = [f"i/{number}.png" for number in range(len(cells))]
    lines = "".join(f"{name},A,{cell}\n" for name, cell in zip(names, cells, strict=True))
    claims = read(tmp_path, f"image,label,{title}\n{lines}", images=names, keep=[title])
    assert claims.kept_names == (title,)
    assert claims.unused == []
    return [row.kept[0] if row.kept else None for row in rows(claims)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.5", "2", "3e1", ""], [1.5, 2.0, 30.0, None]),
        (["-2.5", "-1", "3", "4"], [-2.5, -1.0, 3.0, 4.0]),  # a number below zero is one where another is
        (["-1", "1", "2", "3"], [None, 1.0, 2.0, 3.0]),  # and unknown where none is
        (["1", "0", "1", "n/a"], ["1", "0", "1", None]),  # two numbers are two categories
        (["1.0", "0.0", "1", ""], ["1", "0", "1", None]),
        (["ward 3", "4", "Unknown", "-"], ["ward 3", "4", None, None]),
        (["inf", "1", "2", "3"], ["inf", "1", "2", "3"]),
        (["", "n/a", "-", "?"], [None] * 4),
    ],
)
def test_a_column_holds_numbers_or_categories(tmp_path: Path, cells: list[str], expected: list[Any]) -> None:
    assert kept(tmp_path, cells) == expected


def test_what_is_taken_for_unknown_is_said(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,dose\ni/1.png,A,n/a\ni/2.png,A,2\n", keep=["Dose"])
    assert texts(claims.notes) == ["Taken for unknown in the column dose: 'n/a' (1)."]


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("patient_id", "is read as patient_id: feature files hold no names"),
        ("image", "is read as image: feature files hold no names"),
        ("wards", r"has no such column. Did you mean ward\?"),
        ("Edema", "another column has that name in a feature file"),
    ],
)
def test_what_names_people_or_is_not_there_is_refused(tmp_path: Path, title: str, message: str) -> None:
    table = "image,label,patient_id,ward,edema\ni/1.png,A,p1,x,1\n"
    with pytest.raises(InputError, match=message):
        read(tmp_path, table, keep=[title], findings=["edema"])


def test_a_free_text_is_no_category(tmp_path: Path) -> None:
    cells = [f"report {number}" for number in range(1001)]
    with pytest.raises(InputError, match=r"1001 different texts in metadata\.csv, too many for categories"):
        kept(tmp_path, cells)


def test_a_column_that_is_read_anyway_need_not_be_kept(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,Age\ni/1.png,A,40\n", keep=["Age"])
    assert claims.kept_names == ()
    assert "The column Age is read as age, and kept as that anyway." in texts(claims.notes)
    assert rows(claims)[0].age == 40


def test_a_row_given_twice_is_filled_up_and_not_contradicted(tmp_path: Path) -> None:
    table = "image,label,ward,dose\ni/1.png,A,x,\ni/1.png,A,,2\ni/2.png,A,y,3\ni/3.png,A,y,4\n"
    (first, *_) = rows(read(tmp_path, table, keep=["ward", "dose"]))
    assert first.kept == ("x", 2.0)
    with pytest.raises(InputError, match=r"line 3: 'i/1.png' was listed before, in line 2, with other values"):
        read(tmp_path, table.replace("A,,2", "A,y,2"), keep=["ward", "dose"])
