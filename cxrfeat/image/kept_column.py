"""Columns of a table that the user keeps: which may be kept, and whether they hold categories or numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import InputError
from cxrfeat.image.note import Note, Weight, number, unknown_note
from cxrfeat.image.table_column import plain
from cxrfeat.image.table_line import Sheet
from cxrfeat.image.value import restored, unknown
from cxrfeat.system.given import nearest

_NAMING = ("image", "patient_id", "folder", "mask")
"""Columns of ours that name images or people, which no feature file holds."""

_MOST = 1000
"""Different texts of a column above which they are no categories."""


@dataclass(slots=True, kw_only=True)
class Kept:
    """The columns that are kept."""

    places: dict[str, int] = field(default_factory=dict)
    """Their titles, and where they stand."""
    names: tuple[str, ...] = ()
    """What they are called."""
    values: list[tuple[str | float | None, ...]] = field(default_factory=list)
    """Of each line; a column holds texts or numbers, `None` where it is not known."""
    notes: list[Note] = field(default_factory=list)


def kept_places(sheet: Sheet, wanted: Sequence[str]) -> dict[str, int]:
    """Where the columns stand that are to be kept.

    Args:
        sheet: The table.
        wanted: Titles, as they are written or but for case and signs.

    Raises:
        InputError: If there is no such column.
    """
    titles = [title.strip() for title in sheet.header]
    found: dict[str, int] = {}
    for name in wanted:
        same = [at for at, title in enumerate(titles) if title == name]
        same = same or [at for at, title in enumerate(titles) if plain(title) == plain(name)]
        if not same:
            known = [title for title in (*titles, *sheet.unused) if title]
            raise InputError(
                f"`keep_columns` names {name!r}, and {sheet.name} has no such column.{nearest(name, known)} "
                f"Its columns are {', '.join(known)}."
            )
        found[titles[same[0]]] = same[0]
    return found


def kept_columns(sheet: Sheet, places: Mapping[str, int], index: Mapping[str, int], taken: Sequence[str]) -> Kept:
    """Read the columns that are kept.

    Args:
        sheet: The table.
        places: From `kept_places`.
        index: Where our own columns stand, which need not be kept.
        taken: Names that a column must not have: those of ours, and of findings.

    Raises:
        InputError: If a column names images or patients, has the name of another, or holds texts of too many kinds.
    """
    ours = {place: name for name, place in index.items()}
    found = Kept()
    columns: list[list[str | float | None]] = []
    for title, at in places.items():
        name = ours.get(at)
        if name in _NAMING:
            raise InputError(
                f"`keep_columns` names {title!r}, which is read as {name}: feature files hold no names of images and "
                "patients. Leave it out."
            )
        if name == plain(title) or (name is not None and name.replace("_", "") == plain(title)):
            text = f"The column {title} is read as {name}, and kept as that anyway."
            found.notes.append(Note(text=text, weight=Weight.MINOR))
            continue
        if title.casefold() in {one.casefold() for one in taken}:
            raise InputError(
                f"`keep_columns` names {title!r}, and another column has that name in a feature file. Give it another "
                "title in the table."
            )
        found.places[title] = at
        columns.append(_column(sheet, title, at, found.notes))
    found.names = tuple(found.places)
    found.values = list(zip(*columns, strict=True)) if columns else []
    return found


def _column(sheet: Sheet, title: str, at: int, notes: list[Note]) -> list[str | float | None]:
    cells = [row[at].strip() if at < len(row) else "" for _, row in sheet.lines]
    # -1 stands for unknown in a column of which no other number is below zero.
    below = any((value := _number(text)) is not None and value < 0 and not unknown(text) for text in cells)
    said = [not unknown(text) or (below and _number(text) is not None) for text in cells]
    known = [place for place, is_ in enumerate(said) if is_]
    notes += unknown_note(title, (text for text, is_ in zip(cells, said, strict=True) if text and not is_))
    numbers = [_number(cells[place]) for place in known]
    found: list[str | float | None] = [None] * len(cells)
    # Two numbers are two categories: a 1 for smokers and a 0 for others are no quantity.
    if known and None not in numbers and len(set(numbers)) > 2:
        for place, value in zip(known, numbers, strict=True):
            found[place] = value
        return found
    texts, _, _ = restored([cells[place] for place in known])
    if len(set(texts)) > _MOST:
        raise InputError(
            f"`keep_columns` names {title!r}, which holds {len(set(texts))} different texts in {sheet.name}, too many "
            f"for categories (at most {_MOST}): free texts and identifiers stay out of feature files. Leave it out."
        )
    if any(number is not None for number in numbers) and None in numbers:
        odd = sum(number is None for number in numbers)
        text = f"The column {title} is kept as categories: {number(odd, 'cell')} of it {'is' if odd == 1 else 'are'}"
        notes.append(Note(text=f"{text} no number.", weight=Weight.MINOR))
    for place, text in zip(known, texts, strict=True):
        found[place] = text
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
