"""What a table says of each image.

A value that cannot be read becomes unknown and is counted; a row that cannot be used is a fault, and all faults of a
table come in one message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cxrfeat.errors import InputError
from cxrfeat.image.finding_table import Stated, finding_columns, one_finding, stated
from cxrfeat.image.kept_column import kept_columns, kept_places
from cxrfeat.image.note import Note, Weight, examples, number, unknown_note
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
    follows: str = ""
    """The class that follows from its findings, where neither a label nor a folder gives one; empty is none."""
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
    kept_names: tuple[str, ...] = ()
    """Titles of columns that the user keeps."""
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
            kept=tuple(self.kept_names),
            unused=tuple(self.unused),
        )


def read_table(
    sheet: Sheet,
    faults: Faults,
    places: Places,
    column: Mapping[str, str] | None = None,
    findings: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> TableClaims:
    """Read what a table says of images.

    Args:
        sheet: The table.
        faults: What was found wrong with its lines; all faults come in one message.
        places: Where the images may be.
        column: The titles that the user gives to some of our columns.
        findings: Those that the user names; none is all.
        keep: Titles of columns that the user keeps.

    Raises:
        InputError: If it lacks columns, or has faults.
    """
    of_findings, to_keep = finding_columns(sheet, findings), kept_places(sheet, keep)
    columns = used_columns(sheet, column, of_findings.values(), to_keep.values())
    index, lines = columns.index, sheet.lines
    titles = {name: sheet.header[place].strip() for name, place in index.items()}
    found = TableClaims(
        name=sheet.name,
        columns=titles,
        unused=columns.unused,
        form=sheet.form,
        notes=[*sheet.notes, *columns.notes],
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
        for name in ("label", "patient_id", "source", "sex", "view_position", "modality", "laterality")
        if name in cells
    }
    told = _findings(sheet, of_findings, findings, values, index)
    kept = kept_columns(sheet, to_keep, index, (*OURS, *told.names))
    found.finding_names, found.finding_columns, found.kept_names = told.names, told.columns, kept.names
    found.notes += [*told.notes, *kept.notes]
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
            findings=told.values[place] if told.values else None,
            kept=kept.values[place] if kept.values else None,
            follows=told.labels[place] if told.labels else "",
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
        if name == "kept" and first.kept is not None and again.kept is not None:
            found[name] = tuple(
                one if one is not None else two for one, two in zip(first.kept, again.kept, strict=True)
            )
            if any(two is not None and two != one for one, two in zip(found[name], again.kept, strict=True)):
                why = f"{first.path!r} was listed before, in line {first.line}, with other values in the columns kept; "
                faults.add(again.line, "", f"{why}keep one row, or make them agree.")
                break
        elif found[name] is None:
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


def _findings(
    sheet: Sheet,
    columns: Mapping[str, int],
    wanted: Sequence[str],
    values: dict[str, list[str | None]],
    index: Mapping[str, int],
) -> Stated:
    """What is said of findings; where the label lists them, or is one of them, the classes that follow are put there.

    Args:
        sheet: The table.
        columns: Columns of a finding each.
        wanted: Those that the user names.
        values: Of our columns, as they are read so far.
        index: Where our columns stand.
    """
    if sheet.index is not None:
        return Stated(names=sheet.finding_names, values=sheet.findings, columns=sheet.finding_columns)
    told = stated(sheet, columns, wanted, values.get("label"))
    one = next((title for title, place in columns.items() if place == index.get("label", -1)), None)
    if one is not None and one in told.names:
        each = [one_finding(states[told.names.index(one)], one) for states in told.values]
        values["label"] = [label or None for label, _ in each]
        sheet.left_out = [why for _, why in each]
    elif "label" in values and not columns and told.labels is not None:
        values["label"] = [label or None for label in told.labels]
    if "label" in values:
        told.labels = None
    return told


def _known(name: str, cells: Sequence[str], title: str, notes: list[Note]) -> list[str | None]:
    """A column of texts: placeholders become `None`, and whole numbers what they were before a spreadsheet had them."""
    placeholders = LABEL_PLACEHOLDERS if name == "label" else PLACEHOLDERS
    places = [place for place, text in enumerate(cells) if not unknown(text, placeholders)]
    notes += unknown_note(title, (text for text in cells if text and unknown(text, placeholders)))
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
    notes += unknown_note(titles["age"], (text for text in cells["age"] if text and unknown(text)))
    ages = [None if text is None else age_of(text) for text in told]
    odd = [text for text, age in zip(told, ages, strict=True) if text is not None and age is None]
    _odd(titles["age"], odd, "no age in years from 0 to 120", notes)
    return ages


def _dates(cells: dict[str, list[str]], titles: dict[str, str], notes: list[Note]) -> list[str | None] | None:
    if "date" not in cells:
        return None
    known = [place for place, text in enumerate(cells["date"]) if not unknown(text)]
    notes += unknown_note(titles["date"], (text for text in cells["date"] if text and unknown(text)))
    texts = [cells["date"][place] for place in known]
    dates = dates_of(texts)
    odd = [text for text, day in zip(texts, dates, strict=True) if day is None]
    _odd(titles["date"], odd, "not a date, or ambiguous (write 2020-03-31)", notes)
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
            why = f"{text!r} is not a part of a split; it is train, validation or test, or empty where it is in none."
            faults.add(lines[place], titles["split"], why)
    return parts
