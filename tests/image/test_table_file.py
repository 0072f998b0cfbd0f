from __future__ import annotations

import datetime
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.image import table_file
from cxrfeat.image.note import texts
from cxrfeat.image.table_file import read_sheet
from cxrfeat.image.table_line import Faults, Sheet

TEXT = b"image,label\n1.png,A\n2.png,B\n"
ROWS = [["1.png", "A"], ["2.png", "B"]]


def read(path: Path, content: bytes) -> Sheet:
    path.write_bytes(content)
    return read_sheet(path, path.name, Faults(path.name))


def cells(sheet: Sheet) -> list[list[str]]:
    return [row for _, row in sheet.lines]


def spreadsheet(*sheets: list[list[Any]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra tables")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parquet(columns: dict[str, Any]) -> bytes:
    arrow = pytest.importorskip("pyarrow", reason="needs the extra tables")
    from pyarrow import parquet as written

    file = io.BytesIO()
    written.write_table(arrow.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t"])
def test_text_is_read_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert cells(read(tmp_path / name, TEXT)) == ROWS
    zipped = read(tmp_path / name, gzip.compress(TEXT[:20]) + gzip.compress(TEXT[20:]))
    assert (cells(zipped), zipped.form) == (ROWS, "comma-separated, gzipped")


def test_a_spreadsheet_gives_numbers_and_dates_as_a_text_would(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        [None, None],
        ["image", "patient", "date", "age", "known"],
        ["1.png", 123, datetime.datetime(2020, 1, 22), 58.5, True],
        [],
        ["2.png", 123.0, datetime.date(2020, 1, 23), 0, None],
    ]
    sheet = read(tmp_path / "t.xlsx", spreadsheet(rows))
    assert (sheet.header, sheet.form) == (["image", "patient", "date", "age", "known"], "spreadsheet")
    assert [(line, row) for line, row in sheet.lines] == [
        (3, ["1.png", "123", "2020-01-22", "58.5", "True"]),
        (5, ["2.png", "123", "2020-01-23", "0"]),
    ]


def test_of_several_sheets_the_first_that_holds_something_is_read_and_it_is_said(tmp_path: Path) -> None:
    sheet = read(tmp_path / "t.xlsx", spreadsheet([], [["image"], ["1.png"]], [["x"], ["y"]]))
    assert cells(sheet) == [["1.png"]]
    assert texts(sheet.notes) == ["Of the sheets of t.xlsx the first, 'S1', is read; not read: 'S2'."]


def test_a_cell_far_away_takes_no_memory(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="needs the extra tables")
    inside = zipfile.ZipFile(io.BytesIO(spreadsheet([["image"], ["1.png"]])))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for one in inside.namelist():
            content = inside.read(one)
            if one.endswith("sheet1.xml"):
                far = b'<row r="50000"><c r="XFD50000" t="inlineStr"><is><t>x</t></is></c></row></sheetData>'
                content = content.replace(b"</sheetData>", far)
            made.writestr(one, content)
    sheet = read(tmp_path / "t.xlsx", file.getvalue())
    assert [line for line, _ in sheet.lines] == [2, 50000]


def test_parquet_gives_what_a_text_would_and_leaves_bytes(tmp_path: Path) -> None:
    columns = {
        "image": ["1.png", "2.png"],
        "patient": [123.0, None],
        "day": [datetime.date(2020, 1, 22), None],
        "findings": [["A", "B"], []],
        "pixels": [b"\x89PNG", b""],
        "box": [{"x": 1}, {"x": 2}],
    }
    sheet = read(tmp_path / "t.parquet", parquet(columns))
    assert sheet.header == ["image", "patient", "day", "findings"]
    assert cells(sheet) == [["1.png", "123", "2020-01-22", "A|B"], ["2.png", "", "", ""]]
    assert texts(sheet.notes) == ["t.parquet holds 2 columns of bytes or records, not read."]


def test_dates_of_parquet_are_the_same_with_pandas_and_without(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="needs the extra tables")
    day = 1_579_651_200 * 10**9
    nanoseconds = arrow.array([day, day + 1, None], arrow.timestamp("ns"))
    sheet = read(tmp_path / "t.parquet", parquet({"image": ["1", "2", "3"], "date": nanoseconds}))
    assert cells(sheet) == [["1", "2020-01-22"], ["2", "2020-01-22"], ["3", ""]]
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read(tmp_path / "t.parquet", parquet({"date": arrow.array([2**62], arrow.timestamp("us"))}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 and nothing else", "not a readable Parquet file"),
        (b"PK\x03\x04 and nothing else", "not a readable spreadsheet"),
        (b"\xd0\xcf\x11\xe0 old", "spreadsheet of Excel before 2007"),
        (gzip.compress(TEXT, mtime=0)[:-12], "is cut short"),
        (gzip.compress(TEXT, mtime=0)[:12] + b"\xff" * 20, "damaged|cut short"),
    ],
)
def test_damaged_tables_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    if content.startswith((b"PAR1", b"PK")):
        pytest.importorskip("openpyxl", reason="needs the extra tables")
        pytest.importorskip("pyarrow", reason="needs the extra tables")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "t", content)


def test_a_table_is_never_unpacked_beyond_what_a_table_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_file, "_MAX_BYTES", 100_000)
    with pytest.raises(InputError, match="once unpacked"):
        read(tmp_path / "t.csv.gz", gzip.compress(bytes(10_000_000)))
    with pytest.raises(InputError, match="once unpacked"):
        read(tmp_path / "t.xlsx", spreadsheet([["x" * 30_000] for _ in range(10)]))
    with pytest.raises(InputError, match="is over 0 MB"):
        read(tmp_path / "t.csv", bytes(100_001))


def test_what_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("openpyxl", b"PK\x03\x04"), ("pyarrow", b"PAR1")):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        with pytest.raises(MissingExtraError, match=r"needs the extra tables: pip install 'cxrfeat\[tables\]'"):
            read(tmp_path / "t", content)
