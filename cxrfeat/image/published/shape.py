"""How a published data set is described: which files show that it is one, which tables to read, what stands where.

Values only. Patterns are regular expressions, case apart: those of files and folders for a path below the set's folder
with `/` between its parts, from its beginning on; all others for the whole of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PATH = "(path)"
"""Stands for a column: the path of the image, below the set's folder."""

NAME = "(name)"
"""Stands for a column: the name of the image's file, without suffix."""

FILE = "(file)"
"""Stands for a column: the name of the table that lists the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where something is said of an image."""

    column: str = ""
    """Title of the column, or `PATH`, `NAME` or `FILE`."""
    part: str = ""
    """A pattern that is searched for: its first group is what is said; empty is the whole cell."""
    words: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What some words are called here; an empty text is nothing said."""
    one_of: tuple[str, ...] = ()
    """Columns of which the one that holds a 1 says it, by its title."""
    always: str = ""
    """What holds for all images of the set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A table of the set; several files of one kind are read one after the other."""

    files: str
    """Pattern of their paths."""
    columns: tuple[str, ...] = ()
    """Titles that they must have."""
    titles: tuple[str, ...] = ()
    """The titles, for a list that has none."""
    line: str = ""
    """What the first line of such a list looks like."""
    mark: str | None = None
    """What separates its fields."""
    key: Cell | None = None
    """What tells which image, or study, a row of it is of; `None` where the table itself lists the images."""
    to: Cell = Cell(column=NAME)
    """Where that stands in what is known of the image so far."""
    says: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What being in it says: values of columns that it does not have."""
    needed: bool = True
    """Whether the set is no such set without it."""
    version: str = ""
    """A pattern of the name of which the first group is its version: of several the last is read."""
    reading: Mapping[str, str] = field(default_factory=dict, hash=False)
    """If given, each file is a text on the image of the same name, in which these columns are found by their patterns,
    as by `Cell.part`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Images that are left out, with a note."""

    cell: Cell
    where: str
    """Pattern of what is said of them."""
    why: str
    """In a few words; `{}` stands for what is said of them."""
    lateral: str = ""
    """Of views: the pattern of those from the side, which may be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingColumns:
    """Where the findings of an image stand, of which it may have several."""

    none: str
    """The finding that stands for none; it becomes the class of images without any."""
    columns: tuple[str, ...] = ()
    """Columns of a finding each: 1 present, 0 absent, -1 uncertain, empty not stated."""
    but: tuple[str, ...] = ()
    """If given, all columns of the table that lists the images are findings but these."""
    listed: str = ""
    """A column that lists those that are present."""
    between: str = r"\|"
    """Pattern of what stands between them."""
    no_findings: tuple[str, ...] = ()
    """Words in the list that are none, and from which no class follows."""
    words: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What some findings are called here."""
    reader: str = ""
    """A column of who said so, where an image has several rows: a finding is present where most readers see it, and
    uncertain where fewer do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One set."""

    name: str
    """The word for it."""
    title: str
    """What it is called."""
    facts: str
    """Where its own description, or the files themselves, say what is said here."""
    paths: tuple[str, ...] = ()
    """Patterns of images, each of which must match one."""
    tables: tuple[Listed, ...] = ()
    """The first lists the images, unless it has a key; then all images of the folder are of the set."""
    image: Cell = Cell(column=PATH)
    cells: Mapping[str, Cell | tuple[Cell, ...]] = field(default_factory=dict, hash=False)
    """What is said of an image, by our names of columns; of several places the first that says something."""
    born: Cell | None = None
    """The year of birth, where that is given in place of the age."""
    findings: FindingColumns | None = None
    left: tuple[Left, ...] = ()
    aside: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Patterns of images in the folder that are left out, and why."""
    headers_but: tuple[str, ...] = ()
    """What DICOM headers say of its images and is not to be believed, by the names of `Described`."""
    told: str = ""
    """What its user must know, in a sentence or two."""
