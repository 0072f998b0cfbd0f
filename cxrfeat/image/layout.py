"""One reading of a data set: what lies in its folder, which of it are images, and what is claimed of each.

What was seen and not used is in the notes. Nothing is decoded.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxrfeat.errors import InputError, SpecError
from cxrfeat.image.dicom.join import joined
from cxrfeat.image.dicom.tree import Radiographs, read_radiographs
from cxrfeat.image.folder import LAYOUTS, FolderClaims, claims_of, near_equal, single_folder
from cxrfeat.image.listing import Listing, list_folder
from cxrfeat.image.mask_file import MaskFiles, find_mask_files
from cxrfeat.image.mask_given import find_given_masks, inside_data
from cxrfeat.image.mask_table import holds_masks
from cxrfeat.image.merge import UNLABELLED, Entry, from_folders, merged, with_split
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.projection import left_out
from cxrfeat.image.published.apply import published_sheet
from cxrfeat.image.published.recognise import NONE, Recognised, compiled, recognise
from cxrfeat.image.published.table import SETS
from cxrfeat.image.row import ReadTable, Selection
from cxrfeat.image.table import TableClaims, read_table
from cxrfeat.image.table_column import TABLE, check_names
from cxrfeat.image.table_file import SUFFIXES, read_sheet
from cxrfeat.image.table_line import Faults
from cxrfeat.image.table_path import Places
from cxrfeat.system.given import nearest

_EVERYTHING = Selection()
_ALIKE = "Class names that differ in case, spaces, signs or Unicode form only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a folder presents: entries in order of path, and the ledger of what was not used."""

    entries: tuple[Entry, ...]
    notes: tuple[Note, ...] = ()
    """The gravest first."""
    table: ReadTable | None = None
    """The table that was read."""
    published: tuple[str, str] | None = None
    """The published set that the folder is: the word for it, and what it is called."""
    finding_names: tuple[str, ...] = ()
    """Of the findings of the entries."""
    kept_names: tuple[str, ...] = ()
    """Titles of the columns that the user keeps."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many images are left out by what they are, or what the set is, and why."""
    aside: Mapping[str, str] = field(default_factory=dict)
    """DICOM files that are no frontal radiographs, and why."""


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
    radiographs = read_radiographs(root, images - masks.files, listing.recognised)
    paths = tuple(sorted(images - masks.files - radiographs.aside()))
    if not paths and not listing.problems:
        instead = "; ".join(f"{number(len(paths), 'file')}, {why}" for why, paths in radiographs.left.items())
        raise InputError(f"{str(root)!r} holds {instead or _instead(listing, masks)}.")
    notes = [*listing.others(), *_left(masks), *radiographs.notes, *_left_notes(radiographs.left)]
    return FoundImages(paths=paths, problems=dict(sorted(listing.problems.items())), notes=_ordered(notes))


def find_layout(root: Path, selection: Selection = _EVERYTHING) -> Layout:
    """List the images of a folder with what is claimed of each.

    Args:
        root: The data folder. Links inside it are followed as long as they stay inside.
        selection: How the folder is read; nothing is chosen here.

    Raises:
        InputError: If it is missing, not a folder, empty, of no layout understood, if its table is wrong, or if the
            table and the folders contradict each other.
        SpecError: If a column is named that nobody reads.
        MissingExtraError: If the table is of a format whose reader is not installed.
    """
    check_names(selection.column)
    listing = _listed(root, selection.follow_links)
    apart = inside_data(selection.masks, root)
    images = {path for path in listing.images() if not _is_in(path, apart)}
    masks = find_mask_files(images)
    images -= masks.files
    recognised, notes = _recognised(root, listing, selection)
    left = _set_aside(recognised, images)
    passed = [path for paths in _set_aside(recognised, listing.unread).values() for path in paths]
    images -= {path for paths in left.values() for path in paths}
    radiographs = read_radiographs(root, images, listing.recognised, selection.projection or "frontal")
    left |= radiographs.left
    images -= radiographs.aside()
    notes += radiographs.notes
    named = MaskFiles()
    if selection.masks:
        named = find_given_masks(selection.masks, images, root, selection.follow_links)
    masks.notes += named.notes
    seen = sorted({*images, *listing.problems})
    base = "" if _beside(listing, "") and recognised is None else single_folder(images)
    claims = claims_of([path for path in seen if "/" in path or path in images], base, root.name)
    table, read = _table(root, base, listing, images - claims.copies, selection, recognised, radiographs)
    if table is None and not seen:
        raise InputError(f"{str(root)!r} holds {_instead(listing, masks)}. {LAYOUTS}")
    if recognised is not None and table is not None and "label" in table.columns:
        claims = FolderClaims()  # its folders are no classes
    if table is None or "label" not in table.columns:
        _refuse_unlabelled(claims, table)
    tables = [path for path in _other_tables(listing, base, read) if not _is_in(path, apart)]
    runs = [path for path in tables if holds_masks(root / path)]
    tables = [path for path in tables if path not in runs]
    notes += [
        *claims.notes,
        *masks.notes,
        *listing.others([*read, *tables, *runs, *passed]),
        *(Note(text=f"The table {path!r} holds lung masks, which are not used: `masks` takes them.") for path in runs),
        *_unread(tables, given=table is not None),
    ]
    if table is None:
        entries = from_folders(claims, seen, listing, masks, notes)
    else:
        entries, also_left = merged(root, claims, table, seen, listing, masks, notes)
        for why, paths in also_left.items():
            left[why] = [*left.get(why, ()), *paths]
    entries = _with_headers(entries, radiographs, () if recognised is None else recognised.shape.headers_but)
    entries = _of_projection(entries, selection, left)
    entries = with_split(entries, notes, given=table is not None and any(row.split for row in table.rows.values()))
    entries = [replace(entry, mask=named.of.get(entry.path, entry.mask)) for entry in entries]
    notes += _left_notes(left)
    if entries and {entry.label for entry in entries} == {UNLABELLED}:
        text = f"Nothing says which class an image belongs to: all are taken for {UNLABELLED!r}. {LAYOUTS}"
        notes.append(Note(text=text))
    if not entries and table is not None and "label" not in table.columns:
        raise InputError(
            f"{table.name} has no column label, and the folders give no class to an image that it lists, such as "
            f"{min(table.rows)!r}. {LAYOUTS}"
        )
    if not entries:
        raise InputError(
            f"Not one image of {str(root)!r} has a class: {' '.join(note.text for note in notes)} {LAYOUTS}"
        )
    notes += _class_notes([entry for entry in entries if not entry.problem])
    return Layout(
        entries=tuple(sorted(entries, key=lambda entry: entry.path)),
        notes=_ordered(notes),
        table=None if table is None else table.read(),
        published=None if recognised is None else (recognised.shape.name, recognised.shape.title),
        finding_names=() if table is None else table.finding_names,
        kept_names=() if table is None else table.kept_names,
        left_out={why: len(paths) for why, paths in sorted(left.items())},
        aside={path: why for why, paths in radiographs.left.items() for path in paths},
    )


def _with_headers(entries: Sequence[Entry], radiographs: Radiographs, but: Collection[str]) -> list[Entry]:
    """The images with what their DICOM headers say where nobody else does, without those that are something else.

    Args:
        entries: The images.
        radiographs: What their headers say.
        but: What is not to be believed of that.
    """
    aside = radiographs.aside()
    return [
        replace(entry, **{one: value for one, value in said.items() if one not in but and getattr(entry, one) is None})
        for entry in entries
        if entry.path not in aside
        for said in (radiographs.columns.get(entry.path, {}),)
    ]


def _of_projection(entries: Sequence[Entry], selection: Selection, left: dict[str, list[str]]) -> list[Entry]:
    """The images of the projection that is asked for; `left` gets the others, by why."""
    kept = []
    for entry in entries:
        if why := left_out(selection.projection, entry.view_position):
            left[why] = [*left.get(why, ()), entry.path]
        else:
            kept.append(entry)
    return kept


def _recognised(root: Path, listing: Listing, selection: Selection) -> tuple[Recognised | None, list[Note]]:
    """The published set that the folder is, if its own tables are to be read, and what is said of that."""
    if selection.metadata is not None:
        if selection.published not in (None, NONE):
            raise SpecError("`published` names the tables of a set, and `metadata` another: give one of them.")
        return None, []
    found = recognise(root, listing.files, listing.images(), SETS, selection.published)
    if found is None:
        return None, []
    title = found.shape.title
    own = {path for paths in found.files for path in paths}
    beside = _beside(listing, "") or _beside(listing, found.base)
    if selection.published is None and beside and beside not in own:
        text = (
            f"This looks like {title}, and {beside} is read in place of its tables; "
            f"`published={found.shape.name}` reads them."
        )
        return None, [Note(text=text)]
    text = f"Recognised as {title}, and read as that; `published={NONE}` reads the folder as any other."
    notes = [Note(text=text, weight=Weight.MINOR)]
    if found.others:
        names = number(len(found.others), "table")
        last = " and ".join(path.rpartition("/")[2] for path in found.files[0])
        notes.append(
            Note(text=f"{names} of other versions not read, but {last}{examples(found.others)}; to read one, move the "
                 "others away.")
        )  # fmt: skip
    return found, notes


def _set_aside(recognised: Recognised | None, files: Collection[str]) -> dict[str, list[str]]:
    """Files that are no part of a set as it is read, by why."""
    left: dict[str, list[str]] = {}
    for pattern, why in recognised.shape.aside.items() if recognised is not None else ():
        assert recognised is not None  # else there is no pattern
        base, where = recognised.base, compiled(pattern)
        paths = [path for path in files if path.startswith(base) and where.match(path, len(base))]
        if paths:
            left[why] = sorted(paths)
    return left


def _left_notes(left: Mapping[str, Sequence[str]]) -> list[Note]:
    """What is said of images that are left out by what the set is."""
    if not left:
        return []
    told = "; ".join(f"{number(len(paths), 'image')}, {why}{examples(paths)}" for why, paths in sorted(left.items()))
    return [Note(text=f"Left out: {told}.")]


def _table(
    root: Path,
    base: str,
    listing: Listing,
    images: set[str],
    selection: Selection,
    recognised: Recognised | None,
    radiographs: Radiographs,
) -> tuple[TableClaims | None, list[str]]:
    """What the table says, if there is one, and which files of the folder it was read from."""
    allowed = [os.path.realpath(root), *map(os.path.realpath, selection.follow_links)]
    if recognised is not None:
        sheet = published_sheet(root, recognised, images, selection)
        places = Places(root=root, base=recognised.base, images=images, files=listing.files, allowed=allowed)
        table = read_table(sheet, Faults(sheet.name), places, keep=selection.keep_columns)
        return table, [path for paths in recognised.files for path in paths]
    if selection.metadata is not None:
        path, beside, found = selection.metadata, "", ""
    elif found := _beside(listing, base):
        path, beside = root / found, base
    elif os.path.lexists(root / TABLE):
        raise InputError(f"{str(root / TABLE)!r} is not a file inside the data folder; put the table itself there.")
    elif selection.column or selection.findings or selection.keep_columns:
        field = "column" if selection.column else "findings" if selection.findings else "keep_columns"
        raise InputError(
            f"`{field}` names columns of a table, and {str(root)!r} has none. Name it with `metadata`, or put it "
            f"next to the images as {TABLE}."
        )
    else:
        return None, []
    faults = Faults(path.name)
    places = Places(root=root, base=beside, images=images, files=listing.files, allowed=allowed)
    sheet = joined(read_sheet(path, path.name, faults), radiographs.about, images, selection.column)
    table = read_table(sheet, faults, places, selection.column, selection.findings, selection.keep_columns)
    return table, [found or os.path.relpath(path.absolute(), root.absolute())]


def _beside(listing: Listing, base: str) -> str:
    """The table that lies next to the images, by its name; empty if none does."""
    names = (f"{base}{TABLE.removesuffix('.csv')}{suffix}" for suffix in SUFFIXES)
    return next((name for name in names if name in listing.files), "")


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


def _refuse_unlabelled(claims: FolderClaims, table: TableClaims | None) -> None:
    """Refuse a data set whose folders give contradictory classes, and whose table gives none."""
    if claims.problem is None or (table is not None and any(row.follows for row in table.rows.values())):
        return
    if table is not None:
        raise InputError(f"{table.name} has no column label, and the folders give no classes either. {claims.problem}")
    raise claims.problem


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


def _other_tables(listing: Listing, base: str, read: Sequence[str]) -> list[str]:
    """Tables next to the images that nobody reads."""
    return sorted(
        path
        for path in listing.files
        if path.count("/") <= base.count("/") and path.lower().endswith((*SUFFIXES, ".xls")) and path not in read
    )


def _unread(tables: Sequence[str], *, given: bool) -> list[Note]:
    if not tables:
        return []
    are = f"{'The table' if len(tables) == 1 else 'The tables'} {', '.join(map(repr, tables[:4]))}"
    more = " and others" if len(tables) > 4 else ""
    is_ = "is" if len(tables) == 1 else "are"
    text = f"{are}{more} {is_} not read; name the table of the images with `metadata`, or call it {TABLE}."
    return [Note(text=text, weight=Weight.MINOR if given else Weight.NOTABLE)]


def _ordered(notes: Sequence[Note]) -> tuple[Note, ...]:
    """What may be one class under two names before all else, then the gravest first."""
    return tuple(sorted(notes, key=lambda note: (not note.text.startswith(_ALIKE), -note.weight)))
