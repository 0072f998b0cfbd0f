"""Tables as files: text, plain or gzipped, Parquet and spreadsheets. The only place that knows these formats."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.image.note import Note, Weight
from cxrfeat.image.table_line import Faults, Sheet, read_text

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".xlsx")
"""How the names of tables end; text is recognised whatever its name."""

_MAX_BYTES = 512_000_000
_PARQUET, _GZIP, _ZIP, _OLD_EXCEL = b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


def read_sheet(path: Path, name: str, faults: Faults, titles: Sequence[str] = (), mark: str | None = None) -> Sheet:
    """Read a table of whatever format, by its content.

    Args:
        path: Path of the file.
        name: What messages call it.
        faults: Where lines of too many fields are kept.
        titles: Titles of the columns, where the file has none.
        mark: What separates the fields of a text, where it is known.

    Raises:
        InputError: If it cannot be read, or is no table.
        MissingExtraError: If it is a spreadsheet or Parquet, and the package that reads these is not installed.
    """
    content = _content(path)
    if content.startswith(_PARQUET):
        return _parquet(name, content)
    if content.startswith(_ZIP):
        return _spreadsheet(name, content)
    if content.startswith(_OLD_EXCEL):
        raise InputError(f"{name} is a spreadsheet of Excel before 2007. Save it as .xlsx or CSV.")
    form = ""
    if content.startswith(_GZIP):
        content, form = _unzipped(path, content), ", gzipped"
    sheet = read_text(name, content, faults, titles, mark)
    sheet.form += form
    return sheet


def _content(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError(f"There is no table {str(path)!r}. Check the path.")
        if not path.is_file():
            raise InputError(f"{str(path)!r} is not a regular file.")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{str(path)!r} is over {_MAX_BYTES / 1e6:.0f} MB; a table of images is smaller.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error


def _unzipped(path: Path, content: bytes) -> bytes:
    """What a gzip file holds, never more of it than a table may be."""
    found, rest = bytearray(), content
    try:
        while rest.startswith(_GZIP):  # one may be several, one after the other
            member = zlib.decompressobj(wbits=31)
            found += member.decompress(rest, _MAX_BYTES + 1 - len(found))
            if len(found) > _MAX_BYTES:
                raise InputError(
                    f"{str(path)!r} is over {_MAX_BYTES / 1e6:.0f} MB once unpacked; a table of images is smaller."
                )
            if not member.eof:
                raise InputError(
                    f"{str(path)!r} is cut short: unpacked, its end is missing. Download or copy it again."
                )
            rest = member.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise InputError(f"{str(path)!r} is damaged ({error}). Download or copy it again.") from error
    return bytes(found)


def _parquet(name: str, content: bytes) -> Sheet:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise _missing(name, "a Parquet file") from error
    try:
        file = parquet.ParquetFile(arrow.BufferReader(content))
        plain = [one.name for one in file.schema_arrow if _is_plain(one.type)]
        table = file.read(columns=plain)
        columns = [[_cell(value) for value in _values(column)] for column in table.columns]
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not a readable Parquet file ({_first_line(error)}).") from error
    left = len(file.schema_arrow) - len(plain)
    notes = []
    if left:
        text = f"{name} holds {left} {'column' if left == 1 else 'columns'} of bytes or records, not read."
        notes.append(Note(text=text, weight=Weight.MINOR))
    lines = [(number, list(row)) for number, row in enumerate(zip(*columns, strict=True), start=1)]
    return Sheet(name=name, header=list(table.column_names), lines=lines, form="Parquet", notes=notes)


def _values(column: Any) -> list[Any]:  # noqa: ANN401  # a column of Arrow's
    """Its values as Python's own; of nanoseconds Arrow makes pandas's, or an error, by whether pandas is installed."""
    import pyarrow as arrow

    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(arrow.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _is_plain(kind: Any) -> bool:  # noqa: ANN401  # a type of Arrow's
    """Whether a column holds texts, numbers, dates, or lists of them: what a cell can say."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_plain(kind.value_type)
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind)
                or types.is_fixed_size_binary(kind))  # fmt: skip


def _spreadsheet(name: str, content: bytes) -> Sheet:
    try:
        import openpyxl
    except ImportError as error:
        raise _missing(name, "a spreadsheet") from error
    filled: dict[str, list[tuple[int, list[str]]]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            if sum(one.file_size for one in parts.infolist()) > _MAX_BYTES:
                raise InputError(f"{name} is over {_MAX_BYTES / 1e6:.0f} MB once unpacked; a table is smaller.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like, which are not read
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # what the file says of them may be wrong
                rows = enumerate(sheet.iter_rows(values_only=True), start=1)
                lines = [(number, [_cell(value) for value in row]) for number, row in rows
                         if any(value not in (None, "") for value in row)]  # fmt: skip
                if lines:
                    filled[sheet.title] = lines
    except InputError:
        raise
    except Exception as error:  # of many kinds, since a spreadsheet is a zip of XML files
        raise InputError(f"{name} is not a readable spreadsheet ({_first_line(error)}).") from error
    if not filled:
        raise InputError(f"{name} is an empty spreadsheet.")
    (title, ((_, header), *lines)), *others = filled.items()
    notes = []
    if others:
        unread = ", ".join(repr(other) for other, _ in others)
        notes.append(Note(text=f"Of the sheets of {name} the first, {title!r}, is read; not read: {unread}."))
    return Sheet(name=name, header=header, lines=lines, form="spreadsheet", notes=notes)


def _cell(value: object) -> str:
    """A value as a text table would have it; whole numbers without the `.0` that spreadsheets give all numbers."""
    written: dict[type, Callable[[Any], str]] = {
        float: lambda one: str(int(one)) if one.is_integer() and abs(one) < 1e15 else repr(one),
        datetime: lambda one: one.date().isoformat() if one.time() == time() else one.isoformat(sep=" "),
        date: lambda one: one.isoformat(),
        list: lambda one: "|".join(map(_cell, one)),
    }
    if value is None or value != value:  # no number is equal to itself, if it is none
        return ""
    return written.get(type(value), str)(value)


def _missing(name: str, what: str) -> MissingExtraError:
    return MissingExtraError(
        f"{name} is {what}, which needs the extra tables: pip install 'cxrfeat[tables]'. Or save it as CSV."
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
