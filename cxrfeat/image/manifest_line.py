"""Lines of manifests, by the million: held by columns, as `row.ImageRows` are, and made as they are asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

YES, NO = "yes", "no"


class Line(NamedTuple):
    """What one id stands for: one image, with the bytes that it had."""

    image_id: str
    path: str
    """Relative to `root`."""
    label: str
    content_sha256: str
    group: str
    patient_id: str
    source: str
    quarantined: str
    """Empty for the images of the data set; else at which stage one failed, and why."""
    present: str
    """`yes` where the last extraction found this image with these bytes, else `no`."""
    root: str
    """The data folder, where the image was seen last."""


class Lines(Sequence[Line]):
    """Lines that take 250 bytes each in place of 900.

    Example:
        >>> line = Line("0" * 32, "A/1.png", "A", "1" * 64, "2" * 32, "", "GMH", "", YES, "/data")
        >>> lines = Lines([line, line._replace(path="A/2.png")])
        >>> lines[0] == line, [path for (path,) in lines.columns("path")], len(lines)
        (True, ['A/1.png', 'A/2.png'], 2)
    """

    __slots__ = ("_codes", "_different", "_ends", "_texts")

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        """Take them, one at a time."""
        texts = {name: bytearray() for name in _OWN}
        ends = {name: array("q", [0]) for name in _OWN}
        codes = {name: array("i") for name in _SHARED}
        known: dict[str, dict[str, int]] = {name: {} for name in _SHARED}
        own = [(Line._fields.index(name), texts[name], ends[name]) for name in _OWN]
        shared = [(Line._fields.index(name), codes[name], known[name]) for name in _SHARED]
        for line in lines:
            for at, text, end in own:
                text += line[at].encode("utf-8", "surrogatepass")
                end.append(len(text))
            for at, code, seen in shared:
                code.append(seen.setdefault(line[at], len(seen)))
        self._texts = {name: bytes(text) for name, text in texts.items()}
        self._ends = {name: np.array(end, np.int64) for name, end in ends.items()}
        self._different = {name: list(seen) for name, seen in known.items()}
        self._codes = {name: np.array(code, np.int32) for name, code in codes.items()}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._codes["present"])

    @overload
    def __getitem__(self, which: int) -> Line: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[Line, ...]: ...

    def __getitem__(self, which: int | slice) -> Line | tuple[Line, ...]:
        """One, or some as a tuple."""
        if isinstance(which, slice):
            return tuple(self[number] for number in range(len(self))[which])
        number = range(len(self))[which]
        return Line(*(self._column(name, number, number + 1)[0] for name in Line._fields))

    def __iter__(self) -> Iterator[Line]:
        """All of them, some made at a time."""
        return map(Line._make, self.columns(*Line._fields))

    def __repr__(self) -> str:
        """How many there are."""
        return f"Lines({len(self)})"

    def columns(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Some fields of every line."""
        for start in range(0, len(self), _AT_ONCE):
            stop = min(start + _AT_ONCE, len(self))
            yield from zip(*(self._column(name, start, stop) for name in names), strict=True)

    def says(self, name: str, value: str) -> NDArray[np.bool_]:
        """`(lines,)` whether each says something.

        Args:
            name: A field of which many lines say the same, such as `present`.
            value: What they say.
        """
        different = self._different[name]
        number = different.index(value) if value in different else -1
        return np.asarray(self._codes[name] == number)

    def tells(self, name: str) -> NDArray[np.bool_]:
        """`(lines,)` whether each says anything.

        Args:
            name: A field that is nearly each line's own, such as `content_sha256`.
        """
        return np.asarray(np.diff(self._ends[name]) > 0)

    def _column(self, name: str, start: int, stop: int) -> list[str]:
        if name in self._codes:
            different = self._different[name]
            return [different[code] for code in self._codes[name][start:stop].tolist()]
        ends, text = self._ends[name][start : stop + 1].tolist(), self._texts[name]
        return [text[begin:end].decode("utf-8", "surrogatepass") for begin, end in pairwise(ends)]


_AT_ONCE = 4096
_OWN = ("image_id", "path", "content_sha256", "group", "patient_id")
_SHARED = tuple(name for name in Line._fields if name not in _OWN)
"""Fields that are held as texts, and as numbers of their different values."""
