"""What the images of a data set are called: by their paths where its manifest tells them, by their ids elsewhere.

And the other way round, which image a text means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cxrfeat.errors import InputError, IntegrityError
from cxrfeat.image.manifest_file import manifest_path, read_lines
from cxrfeat.image.manifest_line import YES, Line, Lines

_LEAST_DIGITS = 8
"""Of an id, that name an image where no other id begins with them."""


@dataclass(frozen=True)
class Called:
    """The names of some images.

    Example:
        >>> called = Called(["a" * 32, "b" * 32], {})
        >>> called.names[0] == "a" * 32, called.row_of("bbbbbbbb"), called.row_of("COVID/1.png")
        (True, 1, None)
    """

    ids: Sequence[str]
    """`image_id` of each image."""
    lines: Mapping[str, Line]
    """By id, what the manifest tells; empty where there is none."""

    @classmethod
    def beside(cls, folder: Path, dataset: str, ids: Sequence[str]) -> Called:
        """By the manifest in a folder of feature files, if it is there.

        Args:
            folder: Folder of the feature files.
            dataset: The data set's name.
            ids: Ids of the images.

        Raises:
            IntegrityError: If the manifest is damaged.
        """
        place = manifest_path(folder, dataset)
        lines = read_lines(place) if place.is_file() else Lines()
        return cls(ids, {line.image_id: line for line in lines})

    @cached_property
    def names(self) -> list[str]:
        """Of each image its path relative to the data folder, or its id."""
        return [self.lines[one].path if one in self.lines else one for one in self.ids]

    def row_of(self, text: str) -> int | None:
        """The image that a text means; `None` if it means none, or several.

        Args:
            text: An id or the beginning of one, a path relative to the data folder, or where the image lies.
        """
        if text in self._rows:
            return self._rows[text]
        if re.fullmatch(rf"[0-9a-f]{{{_LEAST_DIGITS},32}}", text):
            begun = [row for row, one in enumerate(self.ids) if one.startswith(text)]
            return begun[0] if len(begun) == 1 else None
        places = _places(text) if self.lines else ()
        return next((self._rows[place] for place in places if place in self._rows), None)

    @cached_property
    def _rows(self) -> dict[str, int | None]:
        """By everything that an image is called; `None` for what several are."""
        rows: dict[str, int | None] = {}
        for row, one in enumerate(self.ids):
            line = self.lines.get(one)
            places = () if line is None else (line.path, f"{line.root}/{line.path}")
            for name in {one, *places}:
                rows[name] = None if name in rows else row
        return rows


def data_folder_of(folder: Path, dataset: str) -> Path | None:
    """The data folder, if the manifest in a folder of feature files tells it and it is there.

    Args:
        folder: Folder of the feature files.
        dataset: The data set's name.
    """
    try:
        lines = read_lines(manifest_path(folder, dataset))
    except (InputError, IntegrityError):
        return None
    roots = {root for present, root in lines.columns("present", "root") if present == YES}
    found = Path(roots.pop()) if len(roots) == 1 else None
    return found if found is not None and found.is_absolute() and found.is_dir() else None


def _places(text: str) -> tuple[str, ...]:
    """Where a path may lead; the root of a manifest is without links, what lies in it need not be."""
    try:
        return str(Path.cwd() / text), str(Path(text).resolve())
    except (OSError, ValueError):  # no path: a null character, say
        return ()
