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
_MANY = 4096


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

    __slots__ = ("_heads", "array")

    def __init__(self, hashes: Iterable[str] | Column = ()) -> None:
        """Sort them, and take each once; an empty one is none."""
        self._heads: NDArray[np.uint64] | None = None
        """What they begin with, once many are looked for: numbers are compared a tenth as long as texts."""
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
        return self.where(Keys(others).places(self.array) < 0)

    def __and__(self, others: Iterable[Any]) -> Keys:
        """Those that are among others too."""
        return self.where(Keys(others).places(self.array) >= 0)

    def where(self, kept: NDArray[np.bool_]) -> Keys:
        """Some of them, by a mask `(n,)`; of all, no second copy."""
        return self if kept.all() else Keys(self.array[kept])

    def __or__(self, others: Iterable[Any]) -> Keys:
        """Those of both; where one has all, no second copy."""
        others = Keys(others)
        more = others - self
        if not more:
            return self
        shared = len(others) - len(more)
        return others if shared == len(self) else Keys(np.concatenate([self.array, more.array]))

    def again(self, hashes: Column) -> Keys:
        """As `Keys(hashes)`; where that is this set, no second copy.

        Example:
            >>> some = Keys(["a", "b"])
            >>> some.again(column(["b", "a", "b"])) is some, some.again(column(["a"])) == {"a"}
            (True, True)
        """
        there = np.zeros(len(self) + 1, bool)  # the last one: whether any is not among these
        there[self.places(hashes)] = True
        return self if there[:-1].all() and not there[-1] else Keys(hashes)

    def part(self, which: slice) -> tuple[str, ...]:
        """Some of them that follow each other, as texts."""
        return texts(self.array[which])

    def places(self, hashes: Column) -> NDArray[np.intp]:
        """`(n,)`: the place of each of some hashes here, -1 where it is not."""
        if not len(self.array):
            return np.full(len(hashes), -1, np.intp)
        if len(hashes) < _MANY:
            return self._searched(hashes.astype(_TYPE, copy=False))
        if self._heads is None:
            self._heads = _heads(self.array)
        found = np.empty(len(hashes), np.intp)
        for start in range(0, len(hashes), _AT_ONCE):
            some = hashes[start : start + _AT_ONCE].astype(_TYPE, copy=False)
            heads = _heads(some)
            place = np.searchsorted(self._heads, heads)
            place[place == len(self.array)] = 0
            other = np.flatnonzero(self.array[place] != some)
            alike = self._heads[place[other]] == heads[other]  # several may begin alike
            place[other[~alike]] = -1
            place[other[alike]] = self._searched(some[other[alike]])
            found[start : start + _AT_ONCE] = place
        return found

    def _searched(self, hashes: Column) -> NDArray[np.intp]:
        found = np.searchsorted(self.array, hashes)
        found[found == len(self.array)] = 0
        found[self.array[found] != hashes] = -1
        return found


def _heads(hashes: Column) -> NDArray[np.uint64]:
    """Their first eight digits as numbers that are in the same order."""
    return np.ascontiguousarray(hashes).view(">u8")[:: hashes.itemsize // 8].astype(np.uint64)
