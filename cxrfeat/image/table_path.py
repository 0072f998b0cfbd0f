"""Which image a line of a table names: by its path, or by its name where the path is another machine's."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cxrfeat.image.listing import OUTSIDE, inside
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.table_line import Faults
from cxrfeat.image.value import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the images of a table may be."""

    root: Path
    """The data folder."""
    base: str
    """The folder in it that rows name images from, empty or with a `/` at its end."""
    images: Collection[str]
    """Paths of the images, relative to the data folder."""
    files: Collection[str]
    """Paths of all files there."""
    allowed: Sequence[str]
    """The real paths of the folders that an image may lie in, the data folder's first."""


class Finder:
    """Which image a row names: by its path, or by its name where the path is another machine's."""

    def __init__(self, places: Places, table: str, *, western: bool = False) -> None:
        """Begin.

        Args:
            places: Where images may be.
            table: What messages call the table.
            western: Whether it was read as Latin-1: then the same bytes may be the name of a file.
        """
        self._base, self._allowed, self._files = places.base, places.allowed, places.files
        self._roots = tuple(dict.fromkeys((str(places.root), str(places.root.absolute()), places.allowed[0])))
        self._table, self._western = table, western
        self._ends: dict[str, list[str]] = defaultdict(list)
        for path in places.images:
            name = path.rpartition("/")[2]
            self._ends[name].append(path)
            if stem := _bare(name):
                self._ends[stem].append(path)
        self._moved: list[str] = []
        self._folded: Mapping[str, list[str]] | None = None

    def find(self, text: str, folder: str, line: int, column: str, faults: Faults) -> str | None:
        """The path of the image that a cell names, relative to the data folder; its own words if it is not there.

        Args:
            text: The cell.
            folder: What another column says of the folder; empty if there is none.
            line: Line of the table.
            column: Its title.
            faults: Where a path that leads out, or that is ambiguous, is kept.
        """
        if folder and not unknown(folder) and text:
            text = f"{folder}/{text}"
        path = self._normal(text, line, column, faults)
        if path is None or path in self._files:
            return path
        if self._there(path):
            return self._if_allowed(path, line, column, faults)
        *folders, name = path.removeprefix(self._base).split("/")
        for above in range(1, len(folders)):  # the set's own folder in front, as in CheXpert-v1.0-small/train/...
            below = f"{self._base}{'/'.join((*folders[above:], name))}"
            if below in self._files:
                self._moved.append(path)
                return below
        path = self._if_allowed(path, line, column, faults)
        if path is None:
            return None
        if self._western and not path.isascii():
            same = _bytes_of(path)
            if self._there(same) or same.rpartition("/")[2] in self._ends:
                path = same
        *folders, name = path.removeprefix(self._base).split("/")
        candidates = self._named(name)
        # The one path must be the end of the other: an image of the same name in another folder is another image.
        shared = {one: depth for one in candidates if (depth := self._shared(one, folders)) is not None}
        good = [one for one, depth in shared.items() if depth == max(shared.values())]
        if len(good) > 1:
            places = ", ".join(map(repr, sorted(good)[:3]))
            faults.add(
                line,
                column,
                f"{text!r} could be any of {places}; give the path from the data folder on, or move the others away.",
            )
            return None
        if good:
            self._moved.append(path)
        return good[0] if good else path

    def _there(self, path: str) -> bool:
        return path in self._files or os.path.lexists(f"{self._allowed[0]}/{path}")

    def _named(self, name: str) -> list[str]:
        """The images of a name: as it is written, without suffix, or but for case."""
        for one in (name, _bare(name), name.removesuffix(".0") if re.fullmatch(r"\d+\.0", name) else ""):
            if one and (found := self._ends.get(one)):
                return found
        if self._folded is None:
            folded: dict[str, list[str]] = defaultdict(list)
            for each, paths in self._ends.items():
                folded[each.casefold()] += paths
            self._folded = folded
        return self._folded.get(name.casefold(), [])

    def _shared(self, path: str, folders: Sequence[str]) -> int | None:
        """How many folders a path on disk shares with one in the table, where one of them is the end of the other."""
        here = path.removeprefix(self._base).split("/")[:-1]
        depth = min(len(here), len(folders))
        return depth if here[len(here) - depth :] == list(folders[len(folders) - depth :]) else None

    def inside(self, text: str, line: int, column: str, faults: Faults) -> str | None:
        """The path in a cell, normalised, if it stays inside the data folder."""
        path = self._normal(text, line, column, faults)
        return path if path is None or path in self._files else self._if_allowed(path, line, column, faults)

    def _normal(self, text: str, line: int, column: str, faults: Faults) -> str | None:
        """The path in a cell, normalised, if as a text it stays inside the data folder."""
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
        return "/".join(parts)

    def _if_allowed(self, path: str, line: int, column: str, faults: Faults) -> str | None:
        """A path that the listing has not seen, if no link leads it out of the data folder."""
        if not inside(os.path.realpath(f"{self._allowed[0]}/{path}"), self._allowed):
            faults.add(line, column, f"{path!r} is {OUTSIDE}; `follow_links` names a folder into which links may lead.")
            return None
        return path

    def notes(self) -> list[Note]:
        """What there is to say of images that were found by their names."""
        if not self._moved:
            return []
        count = number(len(self._moved), "image")
        return [
            Note(text=f"{count} found by name, since {self._table} does not give the path{examples(self._moved)}.",
                 weight=Weight.MINOR)
        ]  # fmt: skip


def _bare(name: str) -> str:
    """A file name without an image's suffix; empty if it has none."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and suffix.isalpha() and len(suffix) <= 5 else ""


def _bytes_of(path: str) -> str:
    """A path that was read as Latin-1, as the system has names of the same bytes."""
    try:
        return os.fsdecode(path.encode("cp1252"))
    except UnicodeEncodeError:
        return path
