"""A table as text: its titles, its lines with their numbers, and the faults that are found in them.

The only place that finds out what separates the fields of a text, and how its letters are encoded.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import InputError
from cxrfeat.image.note import Note

_MOST_FAULTS = 12
_MARKS = {",": "comma-separated", ";": "semicolon-separated", "\t": "tab-separated", "|": "separated by bars"}
_LOOKED_AT, _HEAD = 50, 262_144
"""Lines, and letters, by which the separator is found out."""

_LATIN = "Latin-1"
"""Of which Windows' extension is read where it has a letter."""


@dataclass(slots=True, kw_only=True)
class Sheet:
    """A table, wherever it came from."""

    name: str
    """What messages call it."""
    header: list[str]
    """The titles of its columns."""
    lines: list[tuple[int, list[str]]]
    """What lies below them, with the numbers of the lines; blank ones left out."""
    form: str = ""
    """How it was written, in words: `tab-separated, Latin-1`."""
    western: bool = False
    """Whether it was read as Latin-1, so that the bytes of a file's name may be other letters."""
    notes: list[Note] = field(default_factory=list)
    index: dict[str, int] | None = None
    """Our names of the columns with their places, where they are known and need not be found."""
    unused: list[str] = field(default_factory=list)
    """Titles of other columns, of which nothing is here."""
    left_out: list[str] = field(default_factory=list)
    """Of each line why its image is to be left out, empty where it is not; or nothing at all."""
    finding_names: tuple[str, ...] = ()
    finding_columns: tuple[str, ...] = ()
    """Titles of columns of a finding each, of which nothing else is here."""
    findings: list[tuple[int, ...]] = field(default_factory=list)
    """Of each line what is said of each finding, as `finding` has it."""
    partial: bool = False
    """Whether it lists more than must be there, as that of a set does of which one may have a part."""


class Faults:
    """Faults of a table, gathered so that they can be repaired at once."""

    def __init__(self, name: str) -> None:
        """Begin with none; `name` is what the table is called."""
        self._name = name
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
            raise InputError(f"{self._name}, {self._found[0]}")
        shown = "".join(f"\n  {fault}" for fault in self._found[:_MOST_FAULTS])
        more = len(self._found) - _MOST_FAULTS
        raise InputError(
            f"{self._name} has {len(self._found)} faults:{shown}"
            + (f"\n  ... and {more} more of these." if more > 0 else "")
        )


def read_text(name: str, content: bytes, faults: Faults, titles: Sequence[str] = (), mark: str | None = None) -> Sheet:
    r"""Read a table of separated values.

    Args:
        name: What messages call it.
        content: The whole file.
        faults: Where lines of too many fields are kept.
        titles: Titles of the columns, where the file has none: then its first line is a line as any other.
        mark: What separates the fields, where it is known.

    Raises:
        InputError: If it is no table.

    Example:
        >>> sheet = read_text("t.csv", "image;label\n1.png;Übel".encode("latin-1"), Faults("t.csv"))
        >>> sheet.lines, sheet.form
        ([(2, ['1.png', 'Übel'])], 'semicolon-separated, Latin-1')
    """
    text, encoding = _decoded(content)
    mark = mark or _mark(text)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    lines: list[tuple[int, list[str]]] = []
    header = list(titles)
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = row
                continue
            if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
                faults.add(
                    reader.line_num,
                    "",
                    f"{len(row)} fields under {len(header)} column names; put a field that holds a comma in "
                    '"double quotes".',
                )
                continue
            lines.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not a table of separated values ({error}).") from error
    if not lines:
        faults.refuse()
    form = ", ".join(filter(None, (_MARKS.get(mark, "separated by spaces"), encoding)))
    return Sheet(name=name, header=header, lines=lines, form=form, western=encoding.endswith(_LATIN))


def _decoded(content: bytes) -> tuple[str, str]:
    """The text, and what its letters are encoded as, where that is to be said."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace"), "UTF-16"
    try:
        return content.decode("utf-8-sig"), "" if content.isascii() else "UTF-8"
    except UnicodeDecodeError:
        pass
    # Files are put together of others: a line that is UTF-8, and more than ASCII, is so by no accident.
    lines, both = [], False
    for line in content.splitlines(keepends=True):
        try:
            lines.append(line.decode("utf-8-sig"))
            both = both or not line.isascii()
        except UnicodeDecodeError:
            lines.append(_western(line))
    return "".join(lines), f"{'UTF-8 and ' if both else ''}{_LATIN}"


def _western(line: bytes) -> str:
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:  # a byte that Windows leaves undefined
        return line.decode("latin-1")


def _mark(text: str) -> str:
    """What separates the fields: what parts the title line, and most lines below it, into the most fields alike."""
    head = text[:_HEAD]

    def fit(mark: str) -> tuple[bool, int, int]:
        rows: list[list[str]] = []
        try:
            for row in csv.reader(io.StringIO(head, newline=""), strict=True, delimiter=mark):
                if any(cell.strip() for cell in row):
                    rows.append(row)
                if len(rows) > _LOOKED_AT:
                    break
        except csv.Error:
            pass  # told once the separator is chosen
        if not rows or len(rows[0]) < 2:
            return False, 0, 0
        alike = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
        return alike > 0.5, len(rows[0]), -sum(title.startswith(" ") for title in rows[0])

    return max(_MARKS, key=fit)  # of equal ones the first: the comma
