"""The only place that knows how a folder of images says which class each belongs to. Nothing is opened but the table.

Understood without being told:

- a folder per class, with images at any depth below it;
- the Kaggle COVID-19 Radiography Database: `CLASS/images/` beside `CLASS/masks/`, whose files are never images;
- `train/`, `val/` and `test/` above class folders;
- `metadata.csv` beside the images; its rows are then the whole list.
"""

from __future__ import annotations

import csv
import difflib
import errno
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.types import Part

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".dcm")
"""Files with these suffixes are taken for images; what they really are, `decode` finds out."""

TABLE = "metadata.csv"

LAYOUTS = (
    "Understood are: a folder per class (DATA/COVID/1.png); train, val and test folders above class folders; "
    "the Kaggle layout (CLASS/images beside CLASS/masks); and a metadata.csv with the columns image and label."
)

_PARTS = {
    "train": Part.TRAIN,
    "training": Part.TRAIN,
    "val": Part.VALIDATION,
    "valid": Part.VALIDATION,
    "validation": Part.VALIDATION,
    "dev": Part.VALIDATION,
    "test": Part.TEST,
    "testing": Part.TEST,
}
_MASK_FOLDERS = ("masks", "mask")
_UNKNOWN = ("", "na", "n/a", "nan", "none", "null", "unknown", "?")
_OUTSIDE = "a link that leads out of the data folder"
_MAX_TABLE_BYTES = 256_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image as the folder presents it, unopened; the fields mean what they do in `ImageRow`."""

    path: str
    label: str
    patient: str | None = None
    source: str | None = None
    split: Part | None = None
    date: str | None = None
    sex: str | None = None
    age: float | None = None
    view_position: str | None = None
    mask: str | None = None
    problem: str | None = None
    """Why it cannot even be opened; `None` is no reason known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a folder presents: entries in order of path, and what was left aside."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()


def find_layout(root: Path) -> Layout:
    """List the images of a folder with their classes.

    Args:
        root: The data folder. Links inside it are followed as long as they stay inside.

    Raises:
        InputError: If it is missing, not a folder, empty, of no layout understood, or its table is wrong.
    """
    listing = _list(root)
    if TABLE in listing.files:
        return _from_table(root, listing)
    if os.path.lexists(root / TABLE):
        raise InputError(f"{str(root / TABLE)!r} is not a file inside the data folder; put the table itself there.")
    return _from_folders(root, listing)


def find_patients(entries: Iterable[Entry], pattern: str) -> dict[str, str]:
    """The patient that a regular expression finds in each path: group `patient`, else the first, else the whole match.

    Args:
        entries: The images.
        pattern: Searched for in the path relative to the data root.

    Returns:
        Path to patient, for the paths that match.

    Raises:
        InputError: If it is no regular expression, or matches no path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--patient-regex {pattern!r} is not a regular expression: {error}.") from error
    group: str | int = "patient" if "patient" in expression.groupindex else min(1, expression.groups)
    paths = [entry.path for entry in entries]
    found = {path: match[group] for path in paths if (match := expression.search(path)) and match[group]}
    if not found and paths:
        raise InputError(
            f"--patient-regex {pattern!r} finds no patient in any path, such as {paths[0]!r}. "
            "It is searched for in the path relative to the data folder."
        )
    return found


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a mistyped one, as a question to append, or nothing."""
    close = {each.casefold(): each for each in known}
    match = difflib.get_close_matches(name.casefold(), close, n=1, cutoff=0.5)
    return f" Did you mean {close[match[0]]!r}?" if match else ""


@dataclass(slots=True)
class _Listing:
    """What lies in a folder, by path relative to it, with `/` between the parts."""

    files: set[str] = field(default_factory=set)
    """Everything that is not a folder and has no problem."""
    problems: dict[str, str] = field(default_factory=dict)
    """What looks like an image, or a folder of images, and cannot be used; with the reason."""

    def images(self) -> list[str]:
        """Files that look like images and are not masks, usable or not, sorted."""
        files = [path for path in self.files if path.lower().endswith(SUFFIXES) and not _is_mask(path)]
        return sorted([*files, *self.problems])


def _is_mask(path: str) -> bool:
    return any(part.lower() in _MASK_FOLDERS for part in path.split("/")[:-1])


def _list(root: Path) -> _Listing:
    if not root.exists():
        hint = nearest(root.name, (each.name for each in root.parent.iterdir())) if root.parent.is_dir() else ""
        raise InputError(f"There is no folder {str(root)!r}.{hint} Check the path. {LAYOUTS}")
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is a file; the data are a folder of images. {LAYOUTS}")
    listing = _Listing()
    real_root = os.path.realpath(root)
    seen = {_identity(real_root)}
    folders = [("", real_root)]
    links: list[tuple[str, str]] = []
    while folders or links:
        # Real folders first, so that a link to one of them does not take its images away under another name.
        prefix, place = folders.pop() if folders else links.pop(0)
        if prefix and (identity := _identity(place)) in seen:
            continue
        elif prefix:
            seen.add(identity)
        try:
            with os.scandir(place) as found:
                items = sorted(found, key=lambda item: item.name)
        except OSError as error:
            if not prefix:
                raise InputError(f"The folder {str(root)!r} cannot be read ({error.strerror}).") from error
            listing.problems[prefix] = f"the folder cannot be read ({error.strerror})"
            continue
        for item in items:
            if item.name.startswith(".") or item.name in ("Thumbs.db", "__MACOSX"):
                continue
            path = f"{prefix}/{item.name}" if prefix else item.name
            _sort_in(item, path, real_root, listing, folders, links)
    return listing


def _sort_in(
    item: os.DirEntry[str],
    path: str,
    real_root: str,
    listing: _Listing,
    folders: list[tuple[str, str]],
    links: list[tuple[str, str]],
) -> None:
    like_image = path.lower().endswith(SUFFIXES)
    try:
        is_folder = item.is_dir()
        real = os.path.realpath(item.path, strict=True) if item.is_symlink() else item.path
    except OSError as error:  # a link to nowhere, or in a circle
        if like_image:
            circle = error.errno == errno.ELOOP
            listing.problems[path] = "symbolic links that lead in a circle" if circle else "a link that leads nowhere"
        return
    if item.is_symlink() and os.path.commonpath((real_root, real)) != real_root:
        if like_image or is_folder:
            listing.problems[path] = _OUTSIDE
    elif is_folder and like_image:
        listing.problems[path] = "not a regular file but a folder"
    elif is_folder:
        (links if item.is_symlink() else folders).append((path, real))
    else:
        listing.files.add(path)


def _identity(place: str) -> tuple[int, int]:
    status = Path(place).stat()
    return status.st_dev, status.st_ino


def _from_folders(root: Path, listing: _Listing) -> Layout:
    images = listing.images()
    notes = _other_files(listing, images)
    loose = [path for path in images if "/" not in path and path not in listing.problems]
    tops = sorted({path.split("/")[0] for path in images if "/" in path or path in listing.problems})
    if not images:
        what = f"no images but only other files, such as {min(listing.files)!r}" if listing.files else "nothing"
        raise InputError(f"{str(root)!r} holds {what}. {LAYOUTS}")
    if not any("/" in path for path in images) and loose:
        raise InputError(
            f"{str(root)!r} holds {len(loose)} images directly, such as {loose[0]!r}, so nothing says which class each "
            f"belongs to. {LAYOUTS}"
        )
    parted = [top for top in tops if top.lower() in _PARTS]
    others = [top for top in tops if top not in parted and any(path.startswith(f"{top}/") for path in images)]
    if parted and others:
        raise InputError(
            f"{str(root)!r} holds {', '.join(parted)} beside {', '.join(others)}: the first are parts of a split, the "
            "others classes, and one folder cannot hold both. Move the classes into the parts, or rename the folders."
        )
    entries = []
    for path in images:
        parts = path.split("/")
        split = _PARTS[parts[0].lower()] if parted and parts[0] in parted else None
        depth = 0 if split is None else 1
        problem = listing.problems.get(path)
        if problem is None and len(parts) < depth + 2:
            if split is not None:
                raise InputError(
                    f"{parts[0]!r} holds images directly, such as {path!r}, so nothing says which class each belongs "
                    f"to. {LAYOUTS}"
                )
            continue
        label = _label(parts[min(depth, len(parts) - 1)])
        entries.append(Entry(path=path, label=label, split=split, mask=_mask_of(path, listing), problem=problem))
    if loose:
        notes.append(f"{len(loose)} images lie outside the class folders, such as {loose[0]!r}, and were left aside.")
    return Layout(entries=tuple(entries), notes=tuple(notes))


def _label(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"The class folder {name!r} has a name that is not UTF-8 text; rename it, since the name becomes the class."
        ) from None
    return name


def _mask_of(path: str, listing: _Listing) -> str | None:
    """The file of the same name in the `masks` folder beside the image, or beside its `images` folder."""
    folder, _, name = path.rpartition("/")
    above, _, last = folder.rpartition("/")
    bases = (above, folder) if last.lower() == "images" else (folder,)
    candidates = (f"{base}/{masks}/{name}" for base in bases for masks in _MASK_FOLDERS)
    return next((candidate for candidate in candidates if candidate in listing.files), None)


def _other_files(listing: _Listing, images: list[str]) -> list[str]:
    count = sum(not path.lower().endswith(SUFFIXES) for path in listing.files - {TABLE})
    return [f"{count} files are not images by their suffix and were left aside."] if count and images else []


@dataclass(frozen=True, slots=True)
class _Cell:
    """One field of the table, with what an error message needs."""

    text: str
    column: str
    line: int

    def wrong(self, why: str) -> InputError:
        return InputError(f"{TABLE}, line {self.line}, column {self.column}: {why}")

    def optional(self) -> str | None:
        if self.text.lower() in _UNKNOWN:
            return None
        return self.checked()

    def checked(self) -> str:
        try:
            self.text.encode()
        except UnicodeEncodeError:
            raise self.wrong(f"{self.text!r} is not UTF-8 text; save the table as UTF-8.") from None
        return self.text


def _from_table(root: Path, listing: _Listing) -> Layout:
    entries: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    masks: set[str] = set()
    missing_masks = 0
    real_root = os.path.realpath(root)
    for cells in _table(root / TABLE):
        image = cells["image"]
        path = _inside(image, real_root)
        if path in entries:
            raise image.wrong(f"{path!r} was listed before, in line {lines[path]}; an image has one row.")
        label = cells["label"].checked()
        if not label:
            raise cells["label"].wrong(f"{path!r} has no label; give it one, or delete the row.")
        mask = None
        if (cell := cells["mask"]).text:
            mask = _inside(cell, real_root)
            masks.add(mask)
            if not os.path.isfile(os.path.join(real_root, mask)):  # noqa: PTH113, PTH118  # a str may be no UTF-8
                mask, missing_masks = None, missing_masks + 1
        problem = listing.problems.get(path)
        if problem is None and path not in listing.files and not os.path.lexists(f"{real_root}/{path}"):
            problem = f"listed in {TABLE} but not there"
        lines[path] = image.line
        entries[path] = Entry(
            path=path,
            label=label,
            patient=cells["patient_id"].optional(),
            source=cells["source"].optional(),
            split=_part(cells["split"]),
            date=_date(cells["date"]),
            sex=cells["sex"].optional(),
            age=_age(cells["age"]),
            view_position=cells["view_position"].optional(),
            mask=mask,
            problem=problem,
        )
    if not entries:
        raise InputError(f"{str(root / TABLE)!r} has a header but no rows; it lists every image, one in a row.")
    images = listing.images()
    notes = _other_files(listing, images)
    unlisted = [path for path in images if path not in entries and path not in masks]
    if unlisted:
        notes.append(f"{len(unlisted)} images are not listed in {TABLE}, such as {unlisted[0]!r}, and were left aside.")
    if missing_masks:
        notes.append(f"{missing_masks} masks listed in {TABLE} are not there.")
    return Layout(entries=tuple(entries[path] for path in sorted(entries)), notes=tuple(notes))


def _table(path: Path) -> Iterable[dict[str, _Cell]]:
    """The rows of the table, every known column present, spaces stripped."""
    known = ("image", "label", "patient_id", "source", "split", "date", "sex", "age", "view_position", "mask")
    reader = csv.reader(io.StringIO(_table_text(path), newline=""), strict=True)
    try:
        first = next((row for row in reader if any(row)), [])
        if len(first) == 1:  # spreadsheets of some countries write semicolons
            mark = max(";\t|", key=first[0].count)
            if mark in first[0]:
                reader = csv.reader(io.StringIO(_table_text(path), newline=""), strict=True, delimiter=mark)
                first = next(row for row in reader if any(row))
        names = _column_names(first, reader.line_num)
        for row in reader:
            if not any(text.strip() for text in row):
                continue
            line = reader.line_num
            if len(row) > len(names):
                raise InputError(
                    f"{TABLE}, line {line}: {len(row)} fields under {len(names)} column names; "
                    'put a field that holds a comma in "double quotes".'
                )
            texts = dict(zip(names, row, strict=False))
            yield {name: _Cell(texts.get(name, "").strip(), name, line) for name in known}
    except csv.Error as error:
        raise InputError(
            f"{TABLE}, line {reader.line_num}: not a table of comma-separated values ({error})."
        ) from error


def _column_names(first: list[str], line: int) -> list[str]:
    names = [name.strip().lower() for name in first]
    if "image" not in names:
        names = ["image" if name == "file_name" else name for name in names]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise InputError(f"{TABLE}, line {line}: the column {twice[0]} is there twice; keep one.")
    for needed, title in (("image", "image (or file_name)"), ("label", "label")):
        if needed not in names:
            raise InputError(
                f"{TABLE}, line {line}: there is no column {title}; the columns are {', '.join(names) or 'none'}. "
                "It lists one image in a row: its path beside the table, and its class."
            )
    return names


def _table_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TABLE_BYTES:
            raise InputError(f"{str(path)!r} is over {_MAX_TABLE_BYTES / 1e6:.0f} MB; a table of images is smaller.")
        if not path.is_file():
            raise InputError(f"{str(path)!r} is not a regular file.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    # File names that are not UTF-8 are fine and come back as the system gives them; other columns are checked.
    return content.decode("utf-8-sig", "surrogateescape")


def _inside(cell: _Cell, real_root: str) -> str:
    """The path in a cell, normalised, if it stays inside the data folder."""
    text = cell.text
    if not text:
        raise cell.wrong("the path is empty.")
    if "\\" in text and not os.path.lexists(f"{real_root}/{text}"):
        text = text.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", text) or "\0" in text or not parts:
        raise cell.wrong(f"{cell.text!r} must be a path inside the data folder, relative to it.")
    path = "/".join(parts)
    real = os.path.realpath(f"{real_root}/{path}")
    if os.path.commonpath((real_root, real)) != real_root:
        raise cell.wrong(f"{path!r} is {_OUTSIDE}; copy the file into it.")
    return path


def _part(cell: _Cell) -> Part | None:
    if not cell.text:
        return None
    part = _PARTS.get(cell.text.lower())
    if part is None:
        raise cell.wrong(f"{cell.text!r} is no part of a split; it is train, validation or test.")
    return part


def _date(cell: _Cell) -> str | None:
    text = cell.optional()
    if text is None:
        return None
    try:
        if match := re.fullmatch(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", text):
            return date(*map(int, match.groups())).isoformat()
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise cell.wrong(f"{text!r} is not a date; write it as 2020-03-31.") from None


def _age(cell: _Cell) -> float | None:
    text = cell.optional()
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d*)?)([YMWD]?)", text, re.IGNORECASE)
    years = float(match[1]) / {"m": 12, "w": 52.18, "d": 365.25}.get(match[2].lower(), 1) if match else -1.0
    if not 0 <= years <= 150:
        raise cell.wrong(f"{text!r} is not an age in years, from 0 to 150; leave it empty where it is unknown.")
    return years
