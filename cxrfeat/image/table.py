"""What `metadata.csv` says of each image; the only place that knows its columns and the names others give them.

A value that cannot be read becomes unknown and is counted; a row that cannot be used is a fault, and all faults of a
table come in one message.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxrfeat.errors import InputError
from cxrfeat.image.listing import OUTSIDE, inside
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.row import Described
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

TABLE = "metadata.csv"

_COLUMNS = {
    "image": ("image", "filename", "file", "filepath", "path", "imagepath", "imageindex", "imageid", "dicomid",
              "imagename", "imagefile", "imagefilename", "img", "imgpath", "relativepath"),
    "label": ("label", "labels", "class", "classname", "finding", "findings", "findinglabels", "diagnosis", "category",
              "target", "disease", "condition"),
    "patient_id": ("patientid", "patient", "subjectid", "subject", "patientnumber", "patientno", "patientkey",
                   "patientname", "pid", "ptid"),
    "source": ("source", "hospital", "institution", "site", "centre", "center", "dataset", "location", "collection",
               "database", "origin"),
    "split": ("split", "set", "subset", "partition", "part", "datasplit", "traintest", "phase", "usage", "fold",
              "dataset"),
    "date": ("date", "studydate", "acquisitiondate", "examdate", "scandate", "imagedate"),
    "sex": ("sex", "gender", "patientsex", "patientgender", "patientsexdicom"),
    "age": ("age", "patientage", "ageyears", "ageinyears", "patientageyears"),
    "view_position": ("viewposition", "view", "projection", "appa", "position"),
    "folder": ("folder", "directory", "dir", "subfolder", "imagefolder"),
    "mask": ("mask", "maskpath", "maskfile", "lungmask", "lungmaskpath", "masks"),
}  # fmt: skip
"""The columns that are used, and the names under which they are taken, signs and case left out; first come first."""

_BY_VALUE = ("set", "subset", "partition", "part", "phase", "usage", "fold", "dataset", "traintest")
"""Names that mean the split only where the values are parts of one."""

_PATIENT_WORDS = ("patient", "subject", "person", "mrn")
_MAX_BYTES = 256_000_000
_MOST_FAULTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Described):
    """What the table says of one image; `None` where it says nothing."""

    path: str
    line: int
    label: str | None = None


@dataclass(slots=True)
class TableClaims:
    """All that the table says."""

    rows: dict[str, Row] = field(default_factory=dict)
    """By path, in the order of the table."""
    columns: dict[str, str] = field(default_factory=dict)
    """Which of its columns is taken for which of ours: ours first."""
    notes: list[Note] = field(default_factory=list)
    lost_masks: int = 0
    """Masks that are listed and not there."""


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


def read_table(
    root: Path, base: str, images: Collection[str], files: Collection[str], allowed: Sequence[str]
) -> TableClaims:
    """Read the table beside the images.

    Args:
        root: The data folder.
        base: The folder in it where the table lies, empty or with a `/` at its end; rows name images relative to it.
        images: Paths of the images, relative to the data folder.
        files: Paths of all files there.
        allowed: The real paths of the folders that an image may lie in, the data folder's first.

    Raises:
        InputError: If it is no table, lacks columns, or has faults; all of them in one message.
    """
    found = TableClaims()
    faults = Faults()
    header, lines = _read(root / base / TABLE, faults)
    index = _columns(header, lines, found)
    titles = {name: header[place].strip() for name, place in index.items()}
    cells = {
        name: [row[place].strip() if place < len(row) else "" for _, row in lines] for name, place in index.items()
    }
    if not lines:
        raise InputError(f"{str(root / base / TABLE)!r} has a header but no rows; it lists every image, one in a row.")
    numbers = [line for line, _ in lines]
    values: dict[str, list[str | None]] = {
        name: _known(name, cells[name], titles[name], numbers, faults, found.notes)
        for name in ("label", "patient_id", "source", "sex", "view_position")
        if name in cells
    }
    ages = _numbers("age", cells, titles, found.notes)
    dates = _dates(cells, titles, found.notes)
    parts = _parts(cells, titles, numbers, faults)
    finder = _Finder(root, base, images, files, allowed)
    for place, line in enumerate(numbers):
        folder = cells["folder"][place] if "folder" in cells else ""
        path = finder.find(cells["image"][place], folder, line, titles["image"], faults)
        if path is None:
            continue
        mask = None
        if text := cells.get("mask", [""] * len(lines))[place]:
            mask = None if unknown(text) else finder.inside(text, line, titles["mask"], faults)
            if mask is not None and not os.path.isfile(f"{allowed[0]}/{mask}"):  # noqa: PTH113  # a str may be no UTF-8
                mask, found.lost_masks = None, found.lost_masks + 1
        row = Row(
            path=path,
            line=line,
            split=parts[place] if parts else None,
            date=dates[place] if dates else None,
            age=ages[place] if ages else None,
            mask=mask,
            **{_FIELDS.get(name, name): column[place] for name, column in values.items()},
        )
        found.rows[path] = _merged(found.rows[path], row, faults) if path in found.rows else row
    faults.refuse()
    found.notes += finder.notes()
    twice = len(lines) - len(found.rows)
    if twice:
        found.notes.append(
            Note(text=f"{number(twice, 'further row')} of {TABLE} for images listed before, merged with the first.",
                 weight=Weight.MINOR)
        )  # fmt: skip
    return found


_FIELDS = {"patient_id": "patient"}


def _merged(first: Row, again: Row, faults: Faults) -> Row:
    """A row with what a second one of the same image adds; what contradicts it is a fault."""
    found = {"label": first.label} | first.description()
    for name, other in ({"label": again.label} | again.description()).items():
        if found[name] is None:
            found[name] = other
        elif other is not None and other != found[name]:
            faults.add(
                again.line,
                name,
                f"{first.path!r} was listed before, in line {first.line}, with {str(found[name])!r} and not "
                f"{str(other)!r}; keep one row, or make them agree.",
            )
            break
    return replace(first, **found)


def _read(path: Path, faults: Faults) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the other lines with their numbers; blank ones left out."""
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
        _check_header(first, reader.line_num)
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


def plain(name: str) -> str:
    """A column's name without case and signs.

    Example:
        >>> plain("Patient_ID"), plain("AP/PA")
        ('patientid', 'appa')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def _check_header(first: Sequence[str], line: int) -> None:
    names = [name.strip().casefold() for name in first]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    problems = [f"the column {name} is there twice; keep one" for name in twice]
    if not any(plain(name) in _COLUMNS["image"] for name in names):
        problems.append(f"there is no column image (or {', '.join(_TITLES)})")
    if problems:
        raise InputError(
            f"{TABLE}, line {line}: {'; '.join(problems)}. The columns are {', '.join(names) or 'none'}. It lists one "
            "image in a row: its path beside the table, and what is known of it."
        )


_TITLES = ("file_name", "path", "Image Index", "image_id", "...")


def _columns(header: Sequence[str], lines: Sequence[tuple[int, Sequence[str]]], found: TableClaims) -> dict[str, int]:
    """Which column is which of ours, by place; what is not used is noted."""
    names = [plain(name) for name in header]

    def holds_parts(place: int) -> bool:
        known = {row[place].strip() for _, row in lines if place < len(row) and not unknown(row[place].strip())}
        return bool(known) and any(part_of(text) is not None for text in known)

    index: dict[str, int] = {}
    for ours in ("split", *(name for name in _COLUMNS if name != "split")):
        for alias in _COLUMNS[ours]:
            places = [place for place, name in enumerate(names) if name == alias and place not in index.values()]
            if ours == "split" and alias in _BY_VALUE:
                places = [place for place in places if holds_parts(place)]
            if places:
                index[ours] = places[0]
                break
    found.columns = {ours: header[place].strip() for ours, place in index.items()}
    renamed = [f"{theirs} as {ours}" for ours, theirs in found.columns.items() if theirs.lower() != ours]
    if renamed:
        found.notes.append(Note(text=f"Read from {TABLE}: {', '.join(renamed)}.", weight=Weight.MINOR))
    unused = [header[place].strip() for place in range(len(header)) if place not in index.values() and names[place]]
    _note_unused(unused, index, found.notes)
    return index


def _note_unused(unused: Sequence[str], index: Collection[str], notes: list[Note]) -> None:
    known = {alias: ours for ours, aliases in _COLUMNS.items() for alias in aliases}
    rest = []
    for title in unused:
        name = plain(title)
        if name in _BY_VALUE:  # its values are no parts of a split
            rest.append(title)
            continue
        ours = known.get(name) or next((known[one] for one in difflib.get_close_matches(name, known, 1, 0.8)), None)
        if ours is None and any(word in name for word in _PATIENT_WORDS):
            ours = "patient_id"
        if ours is None:
            rest.append(title)
        elif ours in index:
            weight = Weight.NOTABLE if ours in ("patient_id", "split") else Weight.MINOR
            notes.append(Note(text=f"The column {title} is not used, since another is read as {ours}.", weight=weight))
        else:
            lost = ours in ("patient_id", "split")
            notes.append(
                Note(
                    text=f"The column {title} is not used. Did you mean {ours}? Then name it so.",
                    weight=Weight.LOSS if lost else Weight.NOTABLE,
                )
            )
    if rest:
        word = "column" if len(rest) == 1 else "columns"
        notes.append(Note(text=f"Not used of {TABLE}: the {word} {', '.join(rest)}.", weight=Weight.MINOR))


def _known(
    name: str, cells: Sequence[str], title: str, lines: Sequence[int], faults: Faults, notes: list[Note]
) -> list[str | None]:
    """A column of texts: placeholders become `None`, and whole numbers what they were before a spreadsheet had them."""
    placeholders = LABEL_PLACEHOLDERS if name == "label" else PLACEHOLDERS
    places = [place for place, text in enumerate(cells) if not unknown(text, placeholders)]
    _note_placeholders(title, (text for text in cells if text and unknown(text, placeholders)), notes)
    for place in places:
        try:
            cells[place].encode()
        except UnicodeEncodeError:
            faults.add(lines[place], title, f"{cells[place]!r} is not UTF-8 text; save the table as UTF-8.")
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
                 f"only{examples([' and '.join(pair) for pair in pairs])}; each is taken for two patients.")
        )  # fmt: skip
    if name == "patient_id" and (cut := scientific(values)):
        notes.append(
            Note(text=f"{number(len(cut), 'patient number')} in the column {title}{examples(cut)}, were cut to a few "
                 "digits by a spreadsheet, so that different patients may look like one.")
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


def _numbers(
    name: str, cells: dict[str, list[str]], titles: dict[str, str], notes: list[Note]
) -> list[float | None] | None:
    if name not in cells:
        return None
    told = [None if unknown(text) else text for text in cells[name]]
    _note_placeholders(titles[name], (text for text in cells[name] if text and unknown(text)), notes)
    ages = [None if text is None else age_of(text) for text in told]
    odd = [text for text, age in zip(told, ages, strict=True) if text is not None and age is None]
    _odd(titles[name], odd, "no age in years from 0 to 120", notes)
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


class _Finder:
    """Which image a row names: by its path, or by its name where the path is another machine's."""

    def __init__(
        self, root: Path, base: str, images: Collection[str], files: Collection[str], allowed: Sequence[str]
    ) -> None:
        self._base, self._allowed, self._files = base, allowed, files
        self._roots = tuple(dict.fromkeys((str(root), str(root.absolute()), allowed[0])))
        self._ends: dict[str, list[str]] = defaultdict(list)
        for path in images:
            name = path.rpartition("/")[2]
            self._ends[name].append(path)
            if stem := _bare(name):
                self._ends[stem].append(path)
        self._moved: list[str] = []

    def find(self, text: str, folder: str, line: int, column: str, faults: Faults) -> str | None:
        """The path of the image that a cell names, relative to the data folder; its own words if it is not there.

        Args:
            text: The cell.
            folder: What another column says of the folder; empty if there is none.
            line: Of the table.
            column: Its title.
            faults: Where a path that leads out, or that is ambiguous, is kept.
        """
        if folder and not unknown(folder) and text:
            text = f"{folder}/{text}"
        path = self.inside(text, line, column, faults)
        if path is None or path in self._files or os.path.lexists(f"{self._allowed[0]}/{path}"):
            return path
        *folders, name = path.removeprefix(self._base).split("/")
        candidates = self._ends.get(name) or self._ends.get(_bare(name) or name) or []
        if not candidates and re.fullmatch(r"\d+\.0", name):
            candidates = self._ends.get(name.removesuffix(".0")) or []
        # The one path must be the end of the other: an image of the same name in another folder is another image.
        shared = {one: depth for one in candidates if (depth := self._shared(one, folders)) is not None}
        good = [one for one, depth in shared.items() if depth == max(shared.values())]
        if len(good) > 1:
            places = ", ".join(map(repr, sorted(good)[:3]))
            faults.add(line, column, f"{text!r} could be any of {places}; give the path from the data folder on.")
            return None
        if good:
            self._moved.append(path)
        return good[0] if good else path

    def _shared(self, path: str, folders: Sequence[str]) -> int | None:
        """How many folders a path on disk shares with one in the table, where one of them is the end of the other."""
        here = path.removeprefix(self._base).split("/")[:-1]
        depth = min(len(here), len(folders))
        return depth if here[len(here) - depth :] == list(folders[len(folders) - depth :]) else None

    def inside(self, text: str, line: int, column: str, faults: Faults) -> str | None:
        """The path in a cell, normalised, if it stays inside the data folder."""
        if not text:
            faults.add(line, column, "the path is empty.")
            return None
        path = text
        if "\\" in path and not os.path.lexists(f"{self._allowed[0]}/{path}"):
            path = path.replace("\\", "/")
        for one in self._roots:
            if path.startswith(f"{one}/"):
                path = path[len(one) + 1 :]
                break
        else:
            path = f"{self._base}{path}" if not path.startswith("/") else path
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if path.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", path) or "\0" in path or not parts:
            faults.add(line, column, f"{text!r} must be a path inside the data folder, relative to it.")
            return None
        path = "/".join(parts)
        if not inside(os.path.realpath(f"{self._allowed[0]}/{path}"), self._allowed):
            faults.add(line, column, f"{path!r} is {OUTSIDE}; `follow_links` names a folder into which links may lead.")
            return None
        return path

    def notes(self) -> list[Note]:
        if not self._moved:
            return []
        count = number(len(self._moved), "image")
        return [
            Note(text=f"{count} found by name, since {TABLE} does not give the path{examples(self._moved)}.",
                 weight=Weight.MINOR)
        ]  # fmt: skip


def _bare(name: str) -> str:
    """A file name without an image's suffix; empty if it has none."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and suffix.isalpha() and len(suffix) <= 5 else ""


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
