"""Where a lung mask is: values only, no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Form = Literal["file", "halves", "planes", "row"]
"""One file; one for each lung; an array of many planes, two of which are lungs; runs of pixels in a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where a table of masks has what."""

    delimiter: str
    image: int
    left: int
    right: int
    height: int | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskPlace:
    """Where the mask of an image is."""

    form: Form = "file"
    paths: tuple[str, ...]
    """Of its files, absolute or relative to the data root: of halves the left and the right one, else one."""
    columns: Columns | None = None
    """Of the table that a row is in."""
    start: int = 0
    length: int = 0
    """The first byte of a row in its table, and how many it has."""
    packed: bytes = b""
    """The runs themselves, compressed, where the table is: nobody finds a row again in the middle of one."""

    def within(self, root: Path) -> MaskPlace:
        """The same by absolute paths."""
        return replace(self, paths=tuple(str(root / path) for path in self.paths))


def kept_at(mask: MaskPlace | str) -> MaskPlace:
    """Where a mask is of which at least the path is known."""
    return MaskPlace(paths=(mask,)) if isinstance(mask, str) else mask


def forms_of(masks: Iterable[MaskPlace | str | None]) -> dict[str, int]:
    """How many masks are kept in each form, in words; those of no image left out."""
    named = {"file": "files", "halves": "a file for each lung", "planes": "arrays", "row": "rows of a table"}
    counts: Counter[str] = Counter("file" if isinstance(one, str) else one.form for one in masks if one is not None)
    return {named[form]: counts[form] for form in named if counts[form]}
