"""One reading of a data set: what lies in its folder, which of it are images, and what is claimed of each.

What was seen and not used is in the notes. Nothing is decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.folder import LAYOUTS, FolderClaims, claims_of, near_equal, single_folder
from cxrfeat.image.listing import Listing, list_folder
from cxrfeat.image.mask_file import MaskFiles, find_mask_files
from cxrfeat.image.mask_given import find_given_masks, inside_data
from cxrfeat.image.mask_table import holds_masks
from cxrfeat.image.merge import Entry, from_folders, merged, with_split
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.table import TableClaims, read_table
from cxrfeat.image.table_column import TABLE
from cxrfeat.system.given import nearest

_ALIKE = "Class names that differ in case, spaces, signs or Unicode form only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a folder presents: entries in order of path, and the ledger of what was not used."""

    entries: tuple[Entry, ...]
    notes: tuple[Note, ...] = ()
    """The gravest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImages:
    """The images of a folder that need no class."""

    paths: tuple[str, ...]
    """Relative to the folder, in order."""
    problems: Mapping[str, str]
    """What looks like an image and cannot be used, and why."""
    notes: tuple[Note, ...] = ()


def find_images(root: Path, follow: Sequence[Path] = ()) -> FoundImages:
    """The images in a folder and below it, whatever their classes: masks, hidden files and other systems' own left out.

    Args:
        root: The folder.
        follow: As in `find_layout`.

    Raises:
        InputError: If it is missing, not a folder, or holds no image.
    """
    listing = _listed(root, follow)
    images = listing.images()
    masks = find_mask_files(images)
    paths = tuple(sorted(images - masks.files))
    if not paths and not listing.problems:
        raise InputError(f"{str(root)!r} holds {_instead(listing, masks)}.")
    return FoundImages(
        paths=paths, problems=dict(sorted(listing.problems.items())), notes=_ordered([*listing.others(), *_left(masks)])
    )


def find_layout(root: Path, follow: Sequence[Path] = (), given: Sequence[Path] = ()) -> Layout:
    """List the images of a folder with what is claimed of each.

    Args:
        root: The data folder. Links inside it are followed as long as they stay inside.
        follow: Folders outside of it into which links may lead.
        given: Folders and tables of masks, which count before those among the images.

    Raises:
        InputError: If it is missing, not a folder, empty, of no layout understood, if its table is wrong, or if the
            table and the folders contradict each other.
    """
    listing = _listed(root, follow)
    apart = inside_data(given, root)
    images = {path for path in listing.images() if not _is_in(path, apart)}
    masks = find_mask_files(images)
    images -= masks.files
    named = find_given_masks(given, images, root, follow) if given else MaskFiles()
    masks.notes += named.notes
    seen = sorted({*images, *listing.problems})
    base = "" if TABLE in listing.files else single_folder(images)
    claims = claims_of([path for path in seen if "/" in path or path in images], base, root.name)
    table = None
    if f"{base}{TABLE}" in listing.files:
        allowed = [os.path.realpath(root), *map(os.path.realpath, follow)]
        table = read_table(root, base, images, listing.files, allowed)
    elif os.path.lexists(root / TABLE):
        raise InputError(f"{str(root / TABLE)!r} is not a file inside the data folder; put the table itself there.")
    elif not seen:
        raise InputError(f"{str(root)!r} holds {_instead(listing, masks)}. {LAYOUTS}")
    if table is None or "label" not in table.columns:
        _refuse_unlabelled(root, claims, table)
    tables = [path for path in _other_tables(listing, base) if not _is_in(path, apart)]
    runs = [path for path in tables if holds_masks(root / path)]
    tables = [path for path in tables if path not in runs]
    notes = [
        *claims.notes,
        *masks.notes,
        *listing.others([f"{base}{TABLE}", *tables, *runs]),
        *(Note(text=f"The table {path!r} holds lung masks, which are not used: `masks` takes them.") for path in runs),
        *_unread(tables, base, given=table is not None),
    ]
    entries = (
        from_folders(claims, seen, listing, masks, notes)
        if table is None
        else merged(root, claims, table, seen, listing, masks, notes)
    )
    entries = with_split(entries, notes, given=table is not None and any(row.split for row in table.rows.values()))
    entries = [replace(entry, mask=named.of.get(entry.path, entry.mask)) for entry in entries]
    if not entries and table is not None and "label" not in table.columns:
        raise InputError(
            f"{TABLE} has no column label, and the folders give no class to an image that it lists, such as "
            f"{min(table.rows)!r}. {LAYOUTS}"
        )
    if not entries:
        raise InputError(
            f"Not one image of {str(root)!r} has a class: {' '.join(note.text for note in notes)} {LAYOUTS}"
        )
    notes += _class_notes([entry for entry in entries if not entry.problem])
    return Layout(entries=tuple(sorted(entries, key=lambda entry: entry.path)), notes=_ordered(notes))


def _listed(root: Path, follow: Sequence[Path]) -> Listing:
    if not root.exists():
        hint = nearest(root.name, (each.name for each in root.parent.iterdir())) if root.parent.is_dir() else ""
        raise InputError(f"There is no folder {str(root)!r}.{hint} Check the path. {LAYOUTS}")
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is a file; the data are a folder of images. {LAYOUTS}")
    return list_folder(root, follow)


def _instead(listing: Listing, masks: MaskFiles) -> str:
    """What a folder without images holds."""
    if masks.files:
        return f"no images but only masks, such as {min(masks.files)!r}"
    if listing.files:
        return f"no images but only other files, such as {min(listing.files)!r}"
    return "nothing"


def _refuse_unlabelled(root: Path, claims: FolderClaims, table: TableClaims | None) -> None:
    """Refuse a data set whose classes nothing gives."""
    problem = claims.problem
    if problem is None and not claims.labels and claims.loose:
        problem = InputError(
            f"{str(root)!r} holds {number(len(claims.loose), 'image')} directly{examples(claims.loose)}, so nothing "
            f"says which class each belongs to. {LAYOUTS}"
        )
    if problem is None:
        return
    if table is not None:
        raise InputError(f"{TABLE} has no column label, and the folders give no classes either. {problem}")
    raise problem


def _class_notes(entries: Sequence[Entry]) -> list[Note]:
    counts = Counter(entry.label for entry in entries)
    notes = [_alike(near_equal(counts), counts.__getitem__)] if near_equal(counts) else []
    joined = [name for name in counts if "|" in name]
    if joined:
        notes.append(
            Note(
                text=f"Of {len(counts)} classes {len(joined)} {'joins' if len(joined) == 1 else 'join'} several "
                f"findings{examples(joined)}; each combination is a class of its own."
            )
        )
    return notes


def _alike(names: Sequence[Sequence[str]], count: Callable[[str], int]) -> Note:
    told = "; ".join(" and ".join(f"{name!r} ({number(count(name), 'image')})" for name in some) for some in names)
    return Note(text=f"{_ALIKE}: {told}. They are taken for different classes; give them one name if they are one.")


def _left(masks: MaskFiles) -> list[Note]:
    """What is said of masks where nothing but images is wanted."""
    count = len(masks.files)
    return [Note(text=f"{number(count, 'mask')} left aside: never images.", weight=Weight.MINOR)] if count else []


def _is_in(path: str, places: Sequence[str]) -> bool:
    """Whether a path is one of some places, or lies in one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _other_tables(listing: Listing, base: str) -> list[str]:
    """Tables beside the images that nobody reads."""
    suffixes = (".csv", ".tsv", ".xlsx", ".xls", ".parquet")
    return sorted(
        path
        for path in listing.files
        if path.count("/") <= base.count("/") and path.lower().endswith(suffixes) and path != f"{base}{TABLE}"
    )


def _unread(tables: Sequence[str], base: str, *, given: bool) -> list[Note]:
    if not tables:
        return []
    are = f"{'The table' if len(tables) == 1 else 'The tables'} {', '.join(map(repr, tables[:4]))}"
    more = " and others" if len(tables) > 4 else ""
    is_ = "is" if len(tables) == 1 else "are"
    text = f"{are}{more} {is_} not read; a table of the images is called {base}{TABLE}."
    return [Note(text=text, weight=Weight.MINOR if given else Weight.NOTABLE)]


def _ordered(notes: Sequence[Note]) -> tuple[Note, ...]:
    """What may be one class under two names before all else, then the gravest first."""
    return tuple(sorted(notes, key=lambda note: (not note.text.startswith(_ALIKE), -note.weight)))
