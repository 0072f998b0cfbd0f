"""What is known of one image before its pixels are used: values only, no files."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, overload

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import SpecError
from cxrfeat.image.mask_place import MaskPlace
from cxrfeat.image.note import Note
from cxrfeat.image.projection import Projection
from cxrfeat.notebook import brief, html_table
from cxrfeat.system.given import as_path, as_paths, one_or_many
from cxrfeat.types import Labels, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The container an image came in, read without decoding it; the audit asks whether it gives the class away."""

    format: str
    """The real format, by content: `PNG`, `JPEG`, `WEBP`, `BMP`, `TIFF`, `DICOM`."""
    suffix: str
    """The file name's suffix, lower case, with its dot; `.jpg` may well be a `WEBP`."""
    width: int
    """Columns in pixels, after the EXIF orientation."""
    height: int
    """Rows in pixels, after the EXIF orientation."""
    bits: int
    """Bits per channel as stored: 1, 2, 4, 8, 12, 16 or 32."""
    mode: str
    """Colour model as stored: `L`, `LA`, `RGB`, `RGBA`, `P`, `CMYK`, `I;16`, ...; of DICOM modality, photometric
    interpretation, how it is compressed, and which VOI LUT or window made grey of it."""
    file_bytes: int
    """Size of the file."""
    jpeg_tables: str = ""
    """Eight hexadecimal digits that name the quantisation tables of a JPEG, and so mostly the program that wrote it and
    its quality; empty for other formats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What may be known of an image next to its class; `None` where nobody says."""

    patient: str | None = None
    source: str | None = None
    split: Part | None = None
    """The part of the user's own split, where the data have one."""
    date: str | None = None
    """ISO 8601, so that text order is time order."""
    sex: str | None = None
    age: float | None = None
    view_position: str | None = None
    modality: str | None = None
    """How the picture was taken: `CR`, `DX`, ..."""
    laterality: str | None = None
    """Which side of the body it shows, where it is said: `L`, `R`, `B` for both, `U` for an unpaired part."""
    mask: MaskPlace | str | None = None
    """Where a lung mask is; one file of the data by its path, relative to the data root."""
    findings: tuple[int, ...] | None = None
    """What is said of each finding that the data set names, where an image may have several: 1 present, 0 absent,
    -1 uncertain, -2 not stated."""
    kept: tuple[str | float | None, ...] | None = None
    """What stands in the columns that the user keeps."""

    def description(self) -> dict[str, Any]:
        """These fields by name, to make another image of."""
        return {one.name: getattr(self, one.name) for one in fields(Described)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow(Described):
    """One image of the data set."""

    path: str
    """Relative to the data root, with `/` between the parts."""
    label: str
    """Class name."""
    content_sha256: str
    """SHA-256 of the file's bytes, 64 hexadecimal digits."""
    header: Header


class ImageRows(Sequence[ImageRow]):
    """The rows of a data set, held by columns and made as they are asked for: 150 bytes each in place of some 700.

    Example:
        >>> header = Header(format="PNG", suffix=".png", width=2, height=3, bits=8, mode="L", file_bytes=70)
        >>> rows = ImageRows([ImageRow(path="A/1.png", label="A", content_sha256="0" * 64, header=header)])
        >>> rows[0].header == header, [row.path for row in rows], rows.contents.dtype
        (True, ['A/1.png'], dtype('S64'))
    """

    __slots__ = ("_codes", "_ends", "_numbers", "_paths", "_values", "contents")

    def __init__(self, rows: Iterable[ImageRow]) -> None:
        """Take them, one at a time."""
        paths, contents, ends = bytearray(), bytearray(), array("q", [0])
        numbers = {name: array("q") for name in _NUMBERS}
        codes: dict[str, array[int]] = {name: array("i") for name in (*_CODED, *_OF_CONTAINER)}
        known: dict[str, dict[object, int]] = {name: {} for name in codes}
        for row in rows:
            paths += row.path.encode("utf-8", "surrogatepass")
            ends.append(len(paths))
            contents += row.content_sha256.encode().ljust(_DIGITS, b"\0")
            for name, some in numbers.items():
                some.append(getattr(row.header, name))
            for name, those in codes.items():
                value = getattr(row if name in _CODED_SET else row.header, name)
                seen = known[name]
                those.append(seen.setdefault(value, len(seen)))
        self._paths, self._ends = bytes(paths), np.array(ends, np.int64)
        self.contents: NDArray[np.bytes_] = np.frombuffer(bytes(contents), f"S{_DIGITS}")
        """`(images,)` SHA-256 of each file's bytes, as ASCII."""
        self._numbers = {name: np.array(some, _least_type(max(some, default=0))) for name, some in numbers.items()}
        self._values = {name: list(seen) for name, seen in known.items()}
        self._codes = {name: np.array(those, _least_type(len(known[name]))) for name, those in codes.items()}

    def coded(self, name: str) -> tuple[NDArray[np.int64], list[Any]]:
        """A field as `(images,)` numbers of a list of different values.

        Args:
            name: A field of a row, but for `path`, `content_sha256` and `header`.
        """
        return self._codes[name].astype(np.int64), self._values[name]

    def number(self, name: str) -> NDArray[np.int64]:
        """`(images,)` a number of each header: `width`, `height` or `file_bytes`."""
        return self._numbers[name].astype(np.int64)

    def paths(self, rows: NDArray[np.intp]) -> Iterator[str]:
        """The paths of some, one at a time."""
        for start, end in zip(self._ends[rows].tolist(), self._ends[rows + 1].tolist(), strict=True):
            yield self._paths[start:end].decode("utf-8", "surrogatepass")

    def in_order(self) -> ImageRows:
        """The same, ascending by path."""
        ends = self._ends.tolist()
        paths = [self._paths[start:end] for start, end in pairwise(ends)]  # of UTF-8, bytes have the order of texts
        if all(one <= other for one, other in pairwise(paths)):
            return self
        order = np.array(sorted(range(len(paths)), key=paths.__getitem__))
        found = ImageRows.__new__(ImageRows)
        found._paths = b"".join([paths[row] for row in order.tolist()])
        found._ends = np.concatenate([[0], np.cumsum(np.diff(self._ends)[order])])
        found.contents, found._values = self.contents[order], self._values
        found._numbers = {name: some[order] for name, some in self._numbers.items()}
        found._codes = {name: codes[order] for name, codes in self._codes.items()}
        return found

    def __len__(self) -> int:
        """How many there are."""
        return len(self.contents)

    @overload
    def __getitem__(self, which: int) -> ImageRow: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[ImageRow, ...]: ...

    def __getitem__(self, which: int | slice) -> ImageRow | tuple[ImageRow, ...]:
        """One, or some as a tuple."""
        if isinstance(which, slice):
            return tuple(self[number] for number in range(len(self))[which])
        number = range(len(self))[which]
        return next(self._made(number, number + 1))

    def __iter__(self) -> Iterator[ImageRow]:
        """All of them, some made at a time."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield from self._made(start, min(start + _ROWS_AT_ONCE, len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds equal rows."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(one == its for one, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        """As of a tuple of them."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """How many there are."""
        return f"ImageRows({len(self)} images)"

    def _made(self, start: int, stop: int) -> Iterator[ImageRow]:
        ends = self._ends[start : stop + 1].tolist()
        contents = self.contents[start:stop].tolist()
        numbers = zip(*(self._numbers[name][start:stop].tolist() for name in _NUMBERS), strict=True)
        told = {
            name: [self._values[name][code] for code in codes[start:stop].tolist()]
            for name, codes in self._codes.items()
        }
        containers = zip(*(told[name] for name in _OF_CONTAINER), strict=True)
        others = zip(*(told[name] for name in _CODED), strict=True)
        headers: dict[object, Header] = {}
        for place, (number, container, other) in enumerate(zip(numbers, containers, others, strict=True)):
            header = headers.get((number, container))
            if header is None:
                named = zip((*_NUMBERS, *_OF_CONTAINER), (*number, *container), strict=True)
                headers[number, container] = header = Header(**dict(named))
            yield ImageRow(
                path=self._paths[ends[place] : ends[place + 1]].decode("utf-8", "surrogatepass"),
                content_sha256=contents[place].decode(),
                header=header,
                **dict(zip(_CODED, other, strict=True)),
            )


def _least_type(most: int) -> np.dtype[Any]:
    """The smallest type of whole numbers from 0 to one."""
    return np.min_scalar_type(max(0, most))


_DIGITS = 64
_ROWS_AT_ONCE = 4096
_NUMBERS = ("width", "height", "file_bytes")
_OF_CONTAINER = ("format", "suffix", "bits", "mode", "jpeg_tables")
_CODED = ("label", *(one.name for one in fields(Described)))
_CODED_SET = frozenset(_CODED)
"""Fields of a row, and of its header, that are held as numbers of their different values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An image that could not be used: named, never silently dropped."""

    path: str
    """Relative to the data root."""
    stage: str
    """`open`, `header` or `decode`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTable:
    """A table of images, as far as it is to be shown: which of its columns are read."""

    name: str
    """What messages call it."""
    form: str
    """How it is written: `tab-separated, Latin-1`."""
    columns: Mapping[str, str]
    """The columns that are read: our name, and the table's title."""
    findings: tuple[str, ...] = ()
    """Titles of columns of a finding each."""
    kept: tuple[str, ...] = ()
    """Titles of columns that the user keeps."""
    unused: tuple[str, ...] = ()
    """Titles of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set: its images in order of path, and those that could not be used."""

    dataset: str
    """Name in file names: the root folder's, plus what was chosen of it."""
    root: Path
    rows: Sequence[ImageRow]
    """Held as `ImageRows`, in whatever form they come."""
    quarantined: tuple[Quarantined, ...] = ()
    classes: tuple[str, ...] = field(default=())
    """Class names, sorted; a label's index is its place here."""
    notes: tuple[Note, ...] = ()
    """The ledger: what was seen but not used, or not used as written; the most serious first."""
    table: ReadTable | None = None
    """The table that the images were read with."""
    published: tuple[str, str] | None = None
    """The published set that the folder was recognised as: the word for it, and what it is called."""
    finding_names: tuple[str, ...] = ()
    """Of the findings of the rows."""
    kept_names: tuple[str, ...] = ()
    """Titles of the columns that the user keeps."""
    aside: Mapping[str, str] = field(default_factory=dict, hash=False)
    """DICOM files that are not frontal radiographs of a chest, and why."""
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How many images are left out because of the kind of set, and why; lateral views, for example."""

    def __post_init__(self) -> None:
        """Hold the rows by columns."""
        if not isinstance(self.rows, ImageRows):
            object.__setattr__(self, "rows", ImageRows(self.rows))

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: how many images, classes, patients and sources there are."""
        counts = Counter(row.label for row in self.rows)
        rows = [
            ("images", str(len(self.rows))),
            ("classes", ", ".join(f"{name} {counts[name]}" for name in self.classes)),
            ("patients", f"{len({row.patient for row in self.rows} - {None})} known"),
            ("sources", ", ".join(sorted({row.source for row in self.rows if row.source})) or "unknown"),
            ("quarantined", str(len(self.quarantined))),
            *(("note", note.text) for note in self.notes),
        ]
        return html_table(self.dataset, ("", ""), rows)

    @property
    def held(self) -> ImageRows:
        """The rows, as they are held."""
        assert isinstance(self.rows, ImageRows), "made when the manifest was"
        return self.rows

    @property
    def contents(self) -> NDArray[np.bytes_]:
        """`(images,)` SHA-256 of each file's bytes, as ASCII."""
        return self.held.contents

    @property
    def labels(self) -> Labels:
        """`(images,)` class indices."""
        place = {name: index for index, name in enumerate(self.classes)}
        codes, names = self.held.coded("label")
        return np.array([place[name] for name in names], dtype=np.int64)[codes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which images of a folder to take, and how to read patients from their names."""

    classes: Sequence[str] = ()
    """These class names only; empty is all."""
    per_class: int | None = None
    """Exactly this many of each class, drawn with `seed`; an error where a class has fewer."""
    limit: int | None = None
    """At most this many of each class, drawn with `seed`."""
    seed: int = 0
    patient_regex: str | None = None
    """Takes the patient from the relative path: group `patient`, else the first group, else the whole match. Or the
    word for a published set, as `kermany`."""
    follow_links: Sequence[Path] = ()
    """Folders outside the data folder into which links may lead."""
    masks: Sequence[Path] = ()
    """Folders and tables of lung masks, which count before those that lie among the images."""
    metadata: Path | None = None
    """The table of the images, wherever it is; by default `metadata.csv` next to them."""
    column: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Titles that our columns have in the table: `{"image": "Image Index"}`; an empty one leaves one unread."""
    published: str | None = None
    """The published set that the data are, by its word, or `none`; by default it is found out."""
    findings: Sequence[str] = ()
    """Columns of the table that hold a finding each (1 present, 0 absent, -1 uncertain, empty not stated), or findings
    of a published set or of a list; by default those of a list with bars, and columns with the names of CheXpert's."""
    keep_columns: Sequence[str] = ()
    """Columns of the table that features keep, of categories or numbers."""
    projection: Projection | None = None
    """Views to take: `frontal`, `lateral` or `all`; by default the frontal ones of DICOM files and published sets, and
    all of a table of the user's own."""
    strict: bool = False
    """Refuse data if reading them loses images, parts of a split or patients."""

    def given(self) -> dict[str, Any]:
        """The fields that differ from their defaults, except `seed` and `strict`: to read a folder the same way."""
        usual = Selection()
        names = (one.name for one in fields(self) if one.name not in ("seed", "strict"))
        return {name: value for name in names if (value := getattr(self, name)) != getattr(usual, name)}

    def __post_init__(self) -> None:
        """Let one class, and one folder in any form, stand where many can."""
        object.__setattr__(self, "classes", tuple(one_or_many(self.classes)))
        object.__setattr__(self, "findings", tuple(one_or_many(self.findings)))
        object.__setattr__(self, "keep_columns", tuple(one_or_many(self.keep_columns)))
        object.__setattr__(self, "follow_links", tuple(as_paths(self.follow_links, "a folder of links")))
        object.__setattr__(self, "masks", tuple(as_paths(self.masks, "a folder or table of masks")))
        object.__setattr__(self, "column", dict(self.column))
        if self.projection not in (None, *get_args(Projection)):
            raise SpecError(f"`Selection.projection` is {', '.join(get_args(Projection))}; got {self.projection!r}.")
        if self.metadata is not None:
            object.__setattr__(self, "metadata", as_path(self.metadata, "the table"))
