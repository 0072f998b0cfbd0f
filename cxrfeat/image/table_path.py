"""Which image a line of `metadata.csv` names: by its path, or by its name where the path is another machine's."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from cxrfeat.image.listing import OUTSIDE, inside
from cxrfeat.image.note import Note, Weight, examples, number
from cxrfeat.image.table_column import TABLE
from cxrfeat.image.table_line import Faults
from cxrfeat.image.value import unknown


class Finder:
    """Which image a row names: by its path, or by its name where the path is another machine's."""

    def __init__(
        self, root: Path, base: str, images: Collection[str], files: Collection[str], allowed: Sequence[str]
    ) -> None:
        """As in `read_table`."""
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
        """What there is to say of images that were found by their names."""
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
