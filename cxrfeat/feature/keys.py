"""Content hashes by the million: as bytes side by side, where texts would take twice as much and a set four times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.bytes_]
"""`(n,)` content hashes as ASCII, in any order."""

_TYPE = "S64"
_AT_ONCE = 1 << 16


def column(hashes: Iterable[str]) -> Column:
    """Content hashes as bytes.

    Example:
        >>> column(["b", "a"]).tolist()
        [b'b', b'a']
    """
    return np.fromiter(hashes, dtype=_TYPE)


def texts(hashes: Column) -> tuple[str, ...]:
    """The same as texts: of a few."""
    return tuple(one.decode() for one in hashes.tolist())


class Keys(Set[str]):
    """A set of content hashes, in their order: what it takes is 64 bytes each, and each question a look into a list.

    Example:
        >>> some = Keys(["b", "a", "b"])
        >>> list(some), "b" in some, some - Keys(["a"]) == {"b"}, some.places(column(["b", "c"])).tolist()
        (['a', 'b'], True, True, [1, -1])
    """

    __slots__ = ("array",)

    def __init__(self, hashes: Iterable[str] | Column = ()) -> None:
        """Sort them, and take each once; an empty one is none."""
        if isinstance(hashes, Keys):
            self.array: Column = hashes.array
            return
        array = hashes.astype(_TYPE, copy=False) if isinstance(hashes, np.ndarray) else column(hashes)
        if len(array) > 1 and not (array[1:] > array[:-1]).all():
            array = np.unique(array)
        self.array = array[1:] if len(array) and not array[0] else array

    def __len__(self) -> int:
        """How many there are."""
        return len(self.array)

    def __iter__(self) -> Iterator[str]:
        """In their order, as texts."""
        for start in range(0, len(self.array), _AT_ONCE):
            yield from texts(self.array[start : start + _AT_ONCE])

    def __contains__(self, one: object) -> bool:
        """Whether a text is among them; for many ask `places`."""
        return isinstance(one, str) and bool(self.places(column([one]))[0] >= 0)

    def __eq__(self, other: object) -> bool:
        """As sets are."""
        return np.array_equal(self.array, other.array) if isinstance(other, Keys) else super().__eq__(other)

    def __hash__(self) -> int:
        """Of the bytes."""
        return hash(self.array.tobytes())

    def __sub__(self, others: Iterable[Any]) -> Keys:
        """Those that are not among others."""
        return self._where(Keys(others).places(self.array) < 0)

    def __and__(self, others: Iterable[Any]) -> Keys:
        """Those that are among others too."""
        return self._where(Keys(others).places(self.array) >= 0)

    def _where(self, kept: NDArray[np.bool_]) -> Keys:
        """Some of them; of all, no second copy."""
        return self if kept.all() else Keys(self.array[kept])

    def __or__(self, others: Iterable[Any]) -> Keys:
        """Those of both."""
        return Keys(np.concatenate([self.array, Keys(others).array]))

    def part(self, which: slice) -> tuple[str, ...]:
        """Some of them that follow each other, as texts."""
        return texts(self.array[which])

    def places(self, hashes: Column) -> NDArray[np.intp]:
        """`(n,)`: the place of each of some hashes here, -1 where it is not."""
        if not len(self.array):
            return np.full(len(hashes), -1, np.intp)
        found = np.searchsorted(self.array, hashes.astype(_TYPE, copy=False))
        found[found == len(self.array)] = 0
        found[self.array[found] != hashes] = -1
        return found
