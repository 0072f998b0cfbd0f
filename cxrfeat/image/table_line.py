"""`metadata.csv` as text: its header, its lines with their numbers, and the faults that are found in them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.table_column import TABLE, check_header

_MAX_BYTES = 256_000_000
_MOST_FAULTS = 12


class Faults:
    """Faults of a table, gathered so that they can be mended at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: list[str] = []

    def add(self, line: int, column: str, why: str) -> None:
        """Keep one."""
        self._found.append(f"line {line}, column {column}: {why}" if column else f"line {line}: {why}")

    def refuse(self) -> None:
        """Raise what was gathered, if anything was.

        Raises:
            InputError: With the first dozen of the faults.
        """
        if not self._found:
            return
        if len(self._found) == 1:
            raise InputError(f"{TABLE}, {self._found[0]}")
        shown = "".join(f"\n  {fault}" for fault in self._found[:_MOST_FAULTS])
        more = len(self._found) - _MOST_FAULTS
        raise InputError(
            f"{TABLE} has {len(self._found)} faults:{shown}"
            + (f"\n  ... and {more} more of these." if more > 0 else "")
        )


def read_lines(path: Path, faults: Faults) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a table.

    Args:
        path: Of the file.
        faults: Where lines of too many fields are kept.

    Returns:
        The header, and the other lines with their numbers; blank ones left out.

    Raises:
        InputError: If it cannot be read, is no table, or its header lacks a column.
    """
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        first = next((row for row in reader if any(row)), [])
        if len(first) == 1:  # spreadsheets of some countries write semicolons
            mark = max(";\t|", key=first[0].count)
            if mark in first[0]:
                reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
                first = next(row for row in reader if any(row))
        check_header(first, reader.line_num)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) > len(first) and any(cell.strip() for cell in row[len(first) :]):
                faults.add(
                    reader.line_num,
                    "",
                    f"{len(row)} fields under {len(first)} column names; put a field that holds a comma in "
                    '"double quotes".',
                )
                continue
            lines.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(
            f"{TABLE}, line {reader.line_num}: not a table of comma-separated values ({error})."
        ) from error
    if not lines:
        faults.refuse()
    return first, lines


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{str(path)!r} is over {_MAX_BYTES / 1e6:.0f} MB; a table of images is smaller.")
        if not path.is_file():
            raise InputError(f"{str(path)!r} is not a regular file.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    # File names that are not UTF-8 are fine and come back as the system gives them; other columns are checked.
    return content.decode("utf-8-sig", "surrogateescape")
