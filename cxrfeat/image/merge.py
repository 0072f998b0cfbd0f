"""The one rule by which the folders and the table of a data set are merged: what is claimed of each image.

The table wins where it speaks, the folders stay where it is silent, and where the two contradict each other, that is an
error that names both.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.folder import FolderClaims, key_of
from cxrfeat.image.listing import Listing
from cxrfeat.image.mask_file import MaskFiles
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.row import Described
from cxrfeat.image.table import Row, TableClaims

UNLABELLED = "unlabelled"
"""The class of all images, where nobody gives one to any of them."""

_MOST_CONTRADICTIONS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Described):
    """One image as the folder presents it, unopened."""

    path: str
    label: str
    problem: str | None = None
    """Why it cannot even be opened; `None` is no reason known."""


def from_folders(
    claims: FolderClaims, seen: Sequence[str], listing: Listing, masks: MaskFiles, notes: list[Note]
) -> list[Entry]:
    """What the folders claim, where there is no table; images outside of them are noted."""
    nobody = set() if claims.labels else set(claims.loose)
    if claims.loose and not nobody:
        lie = f"{number(len(claims.loose), 'image')} {'lies' if len(claims.loose) == 1 else 'lie'}"
        notes.append(
            Note(
                text=f"{lie} outside the class folders{examples(claims.loose)}, and "
                f"{_were(len(claims.loose))} left aside.",
                weight=Weight.LOSS,
            )
        )
    return [
        Entry(
            path=path,
            label=UNLABELLED if path in nobody else _label(claims.labels.get(path) or path.split("/")[0]),
            split=claims.parts.get(path),
            mask=masks.of.get(path),
            problem=listing.problems.get(path),
        )
        for path in seen
        if path in claims.labels or path in nobody or path in listing.problems
    ]


def merged(
    root: Path,
    claims: FolderClaims,
    table: TableClaims,
    seen: Sequence[str],
    listing: Listing,
    masks: MaskFiles,
    notes: list[Note],
) -> tuple[list[Entry], dict[str, list[str]]]:
    """What the table claims, and the folders where it is silent; what neither takes in is noted.

    Returns:
        The images, and those that the table itself leaves out, by why.
    """
    notes += table.notes
    rows = table.rows
    classes = {key_of(row.label): row.label for row in rows.values() if row.label is not None}
    _refuse_contradictions(table.name, rows, claims, classes if "label" in table.columns else {})
    named = {row.mask for row in rows.values() if row.mask}
    entries, unlabelled = [], []
    left: dict[str, list[str]] = defaultdict(list)
    absent = 0
    follow = any(row.follows for row in rows.values())
    nobody = UNLABELLED if not (claims.labels or follow or "label" in table.columns) else None
    for path, row in rows.items():
        there = path in listing.files or path in listing.problems or os.path.lexists(f"{root}/{path}")
        if table.partial and not there:
            absent += 1
            continue
        if row.left_out:
            left[row.left_out].append(path)
            continue
        label = row.label
        if label is None and (folder := claims.labels.get(path)) is not None:
            label = classes.get(key_of(folder)) if "label" in table.columns else _label(folder)
        elif label is None:
            label = row.follows or nobody
        if label is None:
            unlabelled.append(path)
            continue
        entries.append(
            Entry(
                path=path,
                label=label,
                **row.description()
                | {"split": row.split or claims.parts.get(path), "mask": row.mask or masks.of.get(path)},
                problem=listing.problems.get(path) or (None if there else f"listed in {table.name} but not there"),
            )
        )
    if absent:
        listed = number(len(rows), "image")
        text = f"Of {listed} that {table.name} lists {absent} {_are(absent)} not here: this is a part of the set."
        notes.append(Note(text=text))
    if unlabelled:
        images = number(len(unlabelled), "image")
        text = f"{images} in {table.name} without a label{examples(unlabelled)}, left aside."
        notes.append(Note(text=text, weight=Weight.LOSS))
    unlisted = [path for path in seen if path not in rows and path not in named and path not in claims.copies]
    if unlisted:
        are = f"{number(len(unlisted), 'image')} {'is' if len(unlisted) == 1 else 'are'}"
        notes.append(
            Note(
                text=f"{are} not listed in {table.name}{examples(unlisted)}, and {_were(len(unlisted))} left aside.",
                weight=Weight.LOSS,
            )
        )
    if table.lost_masks:
        are = f"{number(table.lost_masks, 'mask')} listed in {table.name} {'is' if table.lost_masks == 1 else 'are'}"
        notes.append(Note(text=f"{are} not there."))
    return entries, left


def with_split(entries: list[Entry], notes: list[Note], *, given: bool) -> list[Entry]:
    """The entries with their parts, if these make a split.

    Args:
        entries: With what the table and the folders say.
        notes: Where images in no part are noted, and folders that are no split.
        given: Whether the table names parts; folders of one part alone are no split.
    """
    found = {entry.split for entry in entries} - {None}
    if found and not given and len(found) == 1:
        (only,) = found
        notes.append(Note(text=f"Images lie in folders of the {only} part and of no other: not taken for a split."))
        return [replace(entry, split=None) for entry in entries]
    missing = [entry.path for entry in entries if entry.split is None and not entry.problem]
    if found and missing:
        are = f"{number(len(missing), 'image')} {'is' if len(missing) == 1 else 'are'}"
        notes.append(
            Note(
                text=f"{are} in no part of the split that the data give{examples(missing)}: neither for training nor "
                "for validation nor for the test.",
                weight=Weight.LOSS,
            )
        )
    return entries


def _refuse_contradictions(
    name: str, rows: Mapping[str, Row], claims: FolderClaims, classes: Mapping[str, str]
) -> None:
    """Refuse a table that says of an image what its folders deny.

    Args:
        name: What messages call the table.
        rows: Rows of the table.
        claims: Claims of the folders.
        classes: The classes of the table, by what their spellings share; a folder of another name claims no class.
    """
    faults = []
    for path, row in rows.items():
        if row.split is not None and (part := claims.parts.get(path, row.split)) != row.split:
            faults.append(f"line {row.line}: {path!r} is for {row.split}, and its folder says {part}")
        keys = [key_of(folder) for folder in path.split("/")[:-1]]
        others = [classes[key] for key in keys if key in classes]
        if row.label is not None and others and key_of(row.label) not in keys:
            faults.append(f"line {row.line}: {path!r} is {row.label!r}, and its folder says {others[-1]!r}")
    if faults:
        shown = "".join(f"\n  {fault}" for fault in faults[:_MOST_CONTRADICTIONS])
        more = len(faults) - _MOST_CONTRADICTIONS
        raise InputError(
            f"{name} and the folders contradict each other for {number(len(faults), 'image')}:{shown}"
            + (f"\n  ... and {more} more." if more > 0 else "")
            + "\nMove the files, or correct the table; nobody else can say which is right."
        )


def _label(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"The class folder {name!r} has a name that is not UTF-8 text; rename it, since the name becomes the class."
        ) from None
    return name


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
