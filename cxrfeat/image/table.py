"""What a table says of each image.

A value that cannot be read becomes unknown and is counted; a row that cannot be used is a fault, and all faults of a
table come in one message.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cxrfeat.errors import InputError
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.row import Described, ReadTable
from cxrfeat.image.table_column import OURS, used_columns
from cxrfeat.image.table_line import Faults, Sheet
from cxrfeat.image.table_path import Finder, Places
from cxrfeat.image.value import (
    LABEL_PLACEHOLDERS,
    PLACEHOLDERS,
    age_of,
    dates_of,
    differ_by_zeros,
    part_of,
    restored,
    scientific,
    unknown,
)
from cxrfeat.types import Part

_FIELDS = {"patient_id": "patient"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Described):
    """What the table says of one image; `None` where it says nothing."""

    path: str
    line: int
    label: str | None = None
    left_out: str = ""
    """Why it is to be left out; empty is not."""


@dataclass(slots=True, kw_only=True)
class TableClaims:
    """All that the table says."""

    name: str
    """What messages call it."""
    rows: dict[str, Row] = field(default_factory=dict)
    """By path, in the order of the table."""
    columns: dict[str, str] = field(default_factory=dict)
    """Which of its columns is taken for which of ours: ours first."""
    unused: Sequence[str] = ()
    """Titles of its other columns."""
    form: str = ""
    """How it is written: `tab-separated, Latin-1`."""
    notes: list[Note] = field(default_factory=list)
    lost_masks: int = 0
    """Masks that are listed and not there."""
    finding_names: tuple[str, ...] = ()
    finding_columns: Sequence[str] = ()
    """Titles of columns of a finding each."""
    partial: bool = False
    """Whether it lists more than must be there."""

    def read(self) -> ReadTable:
        """Which columns were read and which were not, to be shown."""
        columns = {name: self.columns[name] for name in OURS if name in self.columns}
        return ReadTable(
            name=self.name,
            form=self.form,
            columns=columns,
            findings=tuple(self.finding_columns),
            unused=tuple(self.unused),
        )


def read_table(sheet: Sheet, faults: Faults, places: Places, column: Mapping[str, str] | None = None) -> TableClaims:
    """Read what a table says of images.

    Args:
        sheet: The table.
        faults: What was found wrong with its lines; all faults come in one message.
        places: Where the images may be.
        column: The titles that the user gives to some of our columns.

    Raises:
        InputError: If it lacks columns, or has faults.
    """
    columns = used_columns(sheet, column)
    index, lines = columns.index, sheet.lines
    titles = {name: sheet.header[place].strip() for name, place in index.items()}
    found = TableClaims(
        name=sheet.name,
        columns=titles,
        unused=columns.unused,
        form=sheet.form,
        notes=[*sheet.notes, *columns.notes],
        finding_names=sheet.finding_names,
        finding_columns=sheet.finding_columns,
        partial=sheet.partial,
    )
    cells = {
        name: [row[place].strip() if place < len(row) else "" for _, row in lines] for name, place in index.items()
    }
    if not lines:
        raise InputError(f"{sheet.name} has a header but no rows; it lists every image, one in a row.")
    numbers = [line for line, _ in lines]
    values: dict[str, list[str | None]] = {
        name: _known(name, cells[name], titles[name], found.notes)
        for name in ("label", "patient_id", "source", "sex", "view_position")
        if name in cells
    }
    ages = _ages(cells, titles, found.notes)
    dates = _dates(cells, titles, found.notes)
    parts = _parts(cells, titles, numbers, faults)
    finder = Finder(places, sheet.name, western=sheet.western)
    for place, line in enumerate(numbers):
        folder = cells["folder"][place] if "folder" in cells else ""
        path = finder.find(cells["image"][place], folder, line, titles["image"], faults)
        if path is None:
            continue
        mask = None
        if text := cells["mask"][place] if "mask" in cells else "":
            mask = None if unknown(text) else finder.inside(text, line, titles["mask"], faults)
            if mask is not None and not os.path.isfile(f"{places.allowed[0]}/{mask}"):  # noqa: PTH113  # a str may be no UTF-8
                mask, found.lost_masks = None, found.lost_masks + 1
        row = Row(
            path=path,
            line=line,
            split=parts[place] if parts else None,
            date=dates[place] if dates else None,
            age=ages[place] if ages else None,
            mask=mask,
            findings=sheet.findings[place] if sheet.findings else None,
            left_out=sheet.left_out[place] if sheet.left_out else "",
            **{_FIELDS.get(name, name): one[place] for name, one in values.items()},
        )
        found.rows[path] = _merged(found.rows[path], row, faults) if path in found.rows else row
    faults.refuse()
    if sheet.index is None:
        found.notes += finder.notes()
    twice = len(lines) - len(found.rows)
    if twice:
        text = f"{number(twice, 'further row')} of {sheet.name} for images listed before, merged with the first."
        found.notes.append(Note(text=text, weight=Weight.MINOR))
    return found


def _merged(first: Row, again: Row, faults: Faults) -> Row:
    """A row with what a second one of the same image adds; what contradicts it is a fault."""
    found = {"label": first.label} | first.description()
    for name, other in ({"label": again.label} | again.description()).items():
        if found[name] is None:
            found[name] = other
        elif other is not None and other != found[name]:
            values = f"{str(found[name])!r} and not {str(other)!r}" if name != "patient" else "another patient"
            faults.add(
                again.line,
                name,
                f"{first.path!r} was listed before, in line {first.line}, with {values}; keep one row, or make them "
                "agree.",
            )
            break
    return replace(first, **found)


def _known(name: str, cells: Sequence[str], title: str, notes: list[Note]) -> list[str | None]:
    """A column of texts: placeholders become `None`, and whole numbers what they were before a spreadsheet had them."""
    placeholders = LABEL_PLACEHOLDERS if name == "label" else PLACEHOLDERS
    places = [place for place, text in enumerate(cells) if not unknown(text, placeholders)]
    _note_placeholders(title, (text for text in cells if text and unknown(text, placeholders)), notes)
    values, changed, zeros = restored([cells[place] for place in places])
    if changed:
        what = "written with .0, or without leading zeros" if zeros else "written with .0"
        notes.append(
            Note(text=f"The column {title} went through a spreadsheet: {number(changed, 'number')} {what}, taken for "
                 "what they were before.")
        )  # fmt: skip
    elif name == "patient_id" and (pairs := differ_by_zeros(values)):
        notes.append(
            Note(text=f"{number(len(pairs), 'pair')} of patient numbers in the column {title} differ by leading zeros "
                 "only; each is taken for two patients.")
        )  # fmt: skip
    if name == "patient_id" and (cut := scientific(values)):
        notes.append(
            Note(text=f"{number(len(cut), 'patient number')} in the column {title} {'was' if len(cut) == 1 else 'were'}"
                 " cut to a few digits by a spreadsheet, so that different patients may look like one.")
        )  # fmt: skip
    found: list[str | None] = [None] * len(cells)
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def _note_placeholders(title: str, taken: Iterator[str], notes: list[Note]) -> None:
    counts = Counter(taken)
    if counts:
        told = ", ".join(f"{text!r} ({count})" for text, count in counts.most_common(8))
        notes.append(
            Note(text=f"Taken for unknown in the column {title}: {told}{' and others' if len(counts) > 8 else ''}.")
        )


def _odd(title: str, texts: Sequence[str], what: str, notes: list[Note]) -> None:
    if texts:
        values = number(len(texts), "value")
        is_ = "is" if len(texts) == 1 else "are"
        shown = examples(sorted(set(texts)))
        notes.append(Note(text=f"Taken for unknown in the column {title}: {values} that {is_} {what}{shown}."))


def _ages(cells: dict[str, list[str]], titles: dict[str, str], notes: list[Note]) -> list[float | None] | None:
    if "age" not in cells:
        return None
    told = [None if unknown(text) else text for text in cells["age"]]
    _note_placeholders(titles["age"], (text for text in cells["age"] if text and unknown(text)), notes)
    ages = [None if text is None else age_of(text) for text in told]
    odd = [text for text, age in zip(told, ages, strict=True) if text is not None and age is None]
    _odd(titles["age"], odd, "no age in years from 0 to 120", notes)
    return ages


def _dates(cells: dict[str, list[str]], titles: dict[str, str], notes: list[Note]) -> list[str | None] | None:
    if "date" not in cells:
        return None
    known = [place for place, text in enumerate(cells["date"]) if not unknown(text)]
    _note_placeholders(titles["date"], (text for text in cells["date"] if text and unknown(text)), notes)
    texts = [cells["date"][place] for place in known]
    dates = dates_of(texts)
    odd = [text for text, day in zip(texts, dates, strict=True) if day is None]
    _odd(titles["date"], odd, "no date, or not surely one (write 2020-03-31)", notes)
    found: list[str | None] = [None] * len(cells["date"])
    for place, day in zip(known, dates, strict=True):
        found[place] = day
    return found


def _parts(
    cells: dict[str, list[str]], titles: dict[str, str], lines: Sequence[int], faults: Faults
) -> list[Part | None] | None:
    if "split" not in cells:
        return None
    parts = [None if unknown(text) else part_of(text) for text in cells["split"]]
    for place, (text, part) in enumerate(zip(cells["split"], parts, strict=True)):
        if part is None and not unknown(text):
            why = f"{text!r} is no part of a split; it is train, validation or test, or empty where it is in none."
            faults.add(lines[place], titles["split"], why)
    return parts
