from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.image.note import texts
from cxrfeat.image.table import Row
from tests.image.claims import read, rows


@pytest.mark.parametrize(
    "cell",
    ["", "<NA>", "#N/A", "NaT", "-", ".", "missing", "Unknown", "NONE", "n.a.", "-1", "unspecified", "anonymous"],
)
@pytest.mark.parametrize("column", ["patient_id", "source", "sex", "view_position", "date", "age"])
def test_unknown_is_unknown_in_every_column(tmp_path: Path, column: str, cell: str) -> None:
    claims = read(tmp_path, f"image,label,{column}\ni/1.png,A,{cell}\n")
    assert rows(claims) == [Row(path="i/1.png", line=2, label="A")]
    assert texts(claims.notes) == ([f"Taken for unknown in the column {column}: {cell!r} (1)."] if cell else [])


def test_a_class_may_be_called_none_or_unknown(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label\ni/1.png,None\ni/2.png,Unknown\ni/3.png,#N/A\n")
    assert [row.label for row in rows(claims)] == ["None", "Unknown", None]


def test_numbers_are_what_they_were_before_a_spreadsheet(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,patient_id\ni/1.png,1.0,123.0\ni/2.png,0.0,0123\ni/3.png,,123\n")
    assert [(row.patient, row.label) for row in rows(claims)] == [("123", "1"), ("123", "0"), ("123", None)]
    assert sum("went through a spreadsheet" in text for text in texts(claims.notes)) == 2


def test_where_the_column_does_not_show_it_they_stay_and_it_is_said(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,patient_id\ni/1.png,A,123\ni/2.png,A,0123\ni/3.png,A,1.2E+11\n")
    assert [row.patient for row in rows(claims)] == ["123", "0123", "1.2E+11"]
    told = " ".join(texts(claims.notes))
    assert "1 pair of patient numbers in the column patient_id differ by leading zeros only" in told
    assert "123" not in told, "which patients is nobody's business but the table's"
    assert "1 patient number in the column patient_id was cut" in told


def test_odd_ages_and_dates_are_unknown_and_counted(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,age,date\ni/1.png,A,411,soon\ni/2.png,A,058Y,1/22/2020\ni/3.png,A,20s,2020\n")
    assert [(row.age, row.date) for row in rows(claims)] == [(None, None), (58.0, "2020-01-22"), (None, "2020")]
    assert texts(claims.notes) == [
        "Taken for unknown in the column age: 2 values that are no age in years from 0 to 120, such as '20s'.",
        "Taken for unknown in the column date: 1 value that is not a date, or ambiguous (write 2020-03-31), such as "
        "'soon'.",
    ]


def test_a_second_row_fills_in_and_may_not_contradict(tmp_path: Path) -> None:
    claims = read(tmp_path, "image,label,sex,age\ni/1.png,A,,50\ni/1.png,A,F,\ni/1.png,,,\n")
    assert rows(claims) == [Row(path="i/1.png", line=2, label="A", sex="F", age=50.0)]
    assert "2 further rows of metadata.csv for images listed before" in " ".join(texts(claims.notes))
    with pytest.raises(
        InputError, match=r"line 3, column sex: 'i/1\.png' was listed before, in line 2, with 'M' and not"
    ):
        read(tmp_path, "image,label,sex\ni/1.png,A,M\ni/1.png,A,F\n")
