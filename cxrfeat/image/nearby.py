"""Which of a great many pictures resemble one, without holding it against each of them.

Of each quarter of its frequencies a picture is told by the direction, among 25, that they point along most, forwards or
backwards; and the four directions make a key, under which it is put in a table, of which there are 32, each with
directions of its own. Whoever asks looks under its own key and under those that it has but for a little: a copy is
there in some tables or others, and of the others one in a hundred is in any. Those that are there in two tables, one
in three thousand, are held against it.

Backwards and forwards being one, keys do not change as pictures are reversed or inverted, and there are two sets of
them to ask for: those of the picture and those of it with rows and columns swapped.

All of it is counted in whole numbers, so that it is the same for whatever number of pictures at a time.

Source: locality-sensitive hashing by cross-polytopes, Andoni et al. 2015, section 3, with the probing of section 5, by
distance in place of rank.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.alignment import Planes
from cxrfeat.image.frequency import HALF, REVERSALS, quarters, together
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.compiled import Compiled

WIDE = 32
"""Bytes of each quarter in a code: 25 numbers and zeros."""

KERNEL = Compiled("cxrfeat.image.nearby_kernel")

_SCALE = 127
_AT_ONCE = 128
_TABLES = 32
_DIRECTIONS = HALF * HALF
_RANKS = 6
"""Directions of each quarter that a picture is looked for under, at most."""
_REACH = int((0.06 * _SCALE * 127) ** 2)
"""How far from another key a picture may be that is looked for there too, squared."""
_NEW_TABLES = 4
"""Tables that are written anew at a time, since each takes as much as the one that it replaces."""
_CROWD = 256
"""Pictures under one key that are looked at, the latest ones: so a pile of blank images takes no hour."""
_ROOM = 1 << 15
"""Pictures that are looked at for one, under all keys: some 12,000 of a million."""
_MOST = 1024
"""Pairs that a picture may have."""


def encoded(planes: Planes) -> NDArray[np.int8]:
    """`(n, 128)`: weighted frequencies of length 1 in 127ths, by quarters."""
    codes = np.zeros((len(planes), 4, WIDE), np.int8)
    codes[..., :_DIRECTIONS] = np.rint(quarters(planes) * _SCALE).swapaxes(0, 1)
    return codes.reshape(len(planes), -1)


def decoded(codes: NDArray[np.int8]) -> Planes:
    """`(n, 10, 10)`: the weighted frequencies again, rounded."""
    apart = codes.reshape(len(codes), 4, WIDE)[..., :_DIRECTIONS].swapaxes(0, 1)
    return together(np.ascontiguousarray(apart, np.float32) / np.float32(_SCALE))


class Nearby:
    """Pictures by their places, each under its key in every table."""

    def __init__(self) -> None:
        """None yet."""
        draw = np.random.default_rng(0)
        turned = np.linalg.qr(draw.normal(size=(4, _TABLES, _DIRECTIONS, _DIRECTIONS)))[0]
        rounded = np.rint(127 * turned).astype(np.float32)
        self._directions = np.ascontiguousarray(rounded.transpose(0, 2, 1, 3).reshape(4, _DIRECTIONS, -1))
        """`(4, 25, tables * 25)`: of each quarter."""
        self._codes = np.zeros((0, 4 * WIDE), np.int8)
        self._starts = [np.zeros(_DIRECTIONS**4 + 1, np.int32) for _ in range(_TABLES)]
        self._order = [np.zeros(0, np.int32) for _ in range(_TABLES)]
        """Of each table, the places of the pictures in the order of their keys, and where in it each key begins."""
        try:
            kernel = KERNEL.load()
            self._look_up, self._weigh = kernel.look_up, kernel.weigh
        except RuntimeError:
            self._look_up, self._weigh = look_up_slowly, weigh_slowly

    def __len__(self) -> int:
        """How many there are."""
        return len(self._codes)

    def planes(self, places: NDArray[np.int64]) -> Planes:
        """`(n, 10, 10)`: the weighted frequencies of some pictures, rounded."""
        return decoded(self._codes[places])

    def add(self, codes: NDArray[np.int8], stop: Callable[[Iterable[int]], Iterator[int]] = iter) -> None:
        """Put more pictures under their keys; many at a time, since all tables are written anew.

        Args:
            codes: `(n, 128)`, as `encoded` makes them.
            stop: Given what is to be done, ends it in between.
        """
        before = len(self)
        with Ahead(partial(self._keys, codes), stop(range(0, len(codes), _AT_ONCE))) as parts:
            keys = np.concatenate([np.zeros((_TABLES, 0), np.int32), *parts], axis=1)
        self._codes.resize((before + len(codes), self._codes.shape[1]), refcheck=False)  # where it is, if it can be
        self._codes[before:] = codes
        with Ahead(partial(self._merged, keys, before), stop(range(_TABLES)), ahead=_NEW_TABLES) as tables:
            for number, (starts, order) in enumerate(tables):
                self._starts[number], self._order[number] = starts, order

    def pairs(self, start: int, stop: int, least: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Pictures before each of some that resemble it.

        Args:
            start: Place of the first of these.
            stop: The place behind the last.
            least: Product of the frequencies from which they do, as they are or inverted.

        Returns:
            `(n, 3)` places of the one and of the other, and the number of the symmetry that makes the other of the one;
            and their products, which are negative where one is inverted.
        """
        direct = self._codes[start:stop]
        asked = np.stack([direct, _swapped(direct)], axis=1)
        scores = np.abs(self._scores(asked.reshape(-1, 4 * WIDE))).reshape(4, stop - start, 2, _TABLES, _DIRECTIONS)
        listed = np.empty((stop - start, _ROOM), np.int32)
        count, kept = np.zeros((2, stop - start), np.int64)
        for number, (starts, order) in enumerate(zip(self._starts, self._order, strict=True)):
            own = np.ascontiguousarray(scores[:, :, :, number].transpose(1, 2, 0, 3))
            self._look_up(starts, order, own, start, _REACH, _CROWD, listed, count)
        found = np.empty((stop - start, _MOST, 3), np.int32)
        times = np.zeros(len(self), np.uint8)
        self._weigh(self._codes, asked, math.ceil(least * _SCALE**2), listed, count, times, found, kept)
        row = np.repeat(np.arange(stop - start), kept)
        one, symmetry, product = found[np.arange(_MOST) < kept[:, None]].T.astype(np.int64)
        pairs = np.stack([one, row + start, symmetry], axis=1)
        return pairs, (product / _SCALE**2).astype(np.float32)

    def _scores(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        """`(4, n, tables * 25)`: how much each quarter points along each direction, in whole numbers below 2**24."""
        apart = codes.reshape(-1, 4, WIDE)[..., :_DIRECTIONS].swapaxes(0, 1).astype(np.float32)
        scores: NDArray[np.float32] = apart @ self._directions
        return scores

    def _keys(self, codes: NDArray[np.int8], start: int) -> NDArray[np.int32]:
        """`(tables, n)`."""
        scores = np.abs(self._scores(codes[start : start + _AT_ONCE]))
        along = scores.reshape(4, -1, _TABLES, _DIRECTIONS).argmax(axis=3)
        return np.tensordot(_DIGITS, along, 1).T.astype(np.int32)

    def _merged(self, keys: NDArray[np.int32], before: int, number: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """A table with more pictures behind each key's own."""
        starts, order, new = self._starts[number], self._order[number], keys[number]
        counts = np.bincount(new, minlength=len(starts) - 1)
        shift = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
        merged = np.empty(len(order) + len(new), np.int32)
        merged[np.repeat(shift[:-1], np.diff(starts)) + np.arange(len(order), dtype=np.int32)] = order
        behind = np.argsort(new, kind="stable").astype(np.int32)
        merged[np.arange(len(new), dtype=np.int32) + starts[new[behind] + 1]] = behind + before
        return starts + shift, merged


def look_up_slowly(
    starts: NDArray[np.int32],
    order: NDArray[np.int32],
    scores: NDArray[np.float32],
    first: int,
    reach: int,
    crowd: int,
    listed: NDArray[np.int32],
    count: NDArray[np.int64],
) -> None:
    """Look some pictures up in one table, as the compiled loop does.

    Args:
        starts: Where each key begins in `order`.
        order: Places of the pictures.
        scores: `(asked, 2, 4, 25)`: how much the quarters of those that are looked up point along each direction, as
            they are, and with rows and columns swapped.
        first: Place of the first of them; each finds those before it.
        reach: What the squares of the differences to the largest scores may sum up to.
        crowd: Pictures under one key that are looked at, the latest ones.
        listed: `(asked, room)`: filled with the places of those that are found; once a key has more than there is room
            for, no further one is looked at.
        count: `(asked,)`: how many are listed of each, which is raised.
    """
    for row, swap in itertools.product(range(len(scores)), range(2)):
        told = scores[row, swap].astype(np.int64)
        ranked = np.argsort(-told, axis=1, kind="stable")[:, :_RANKS]
        loss = (told.max(axis=1)[:, None] - np.take_along_axis(told, ranked, axis=1)) ** 2
        whole = loss[0][:, None, None, None] + loss[1][:, None, None] + loss[2][:, None] + loss[3]
        keys = _DIGITS @ ranked[np.arange(4)[:, None], np.argwhere(whole <= reach).T]
        for key in keys.tolist():
            under = order[starts[key] : starts[key + 1]]
            under = under[: np.searchsorted(under, first + row)][::-1][:crowd]
            if count[row] + len(under) > listed.shape[1]:
                break
            listed[row, count[row] : count[row] + len(under)] = under
            count[row] += len(under)


def weigh_slowly(
    codes: NDArray[np.int8],
    asked: NDArray[np.int8],
    least: int,
    listed: NDArray[np.int32],
    count: NDArray[np.int64],
    times: NDArray[np.uint8],
    found: NDArray[np.int32],
    kept: NDArray[np.int64],
) -> None:
    """Hold pictures against those that are listed twice or more, as the compiled loop does.

    Args:
        codes: `(n, 128)` of all pictures.
        asked: `(asked, 2, 128)` of some, as they are, and with rows and columns swapped.
        least: Product from which a pair is found, in whole numbers.
        listed: As `look_up_slowly` fills it.
        count: Likewise.
        times: Not used here.
        found: `(asked, most, 3)`: filled with the place of the one, the symmetry and the product of each pair, in the
            order in which they are listed a second time.
        kept: `(asked,)`: how many there are of each, 0 before.
    """
    signs = REVERSALS.astype(np.int64)
    for row in range(len(asked)):
        places = listed[row, : count[row]]
        order = np.argsort(places, kind="stable")
        same = np.diff(places[order], prepend=-1) == 0
        second = np.sort(order[same & ~np.roll(same, 1)])
        ones = places[second]
        parts = codes[ones].astype(np.int64)[:, None] * asked[row]
        quarters = parts.reshape(-1, 2, 4, WIDE).sum(axis=3)
        quarters[:, 1] = quarters[:, 1][:, [0, 2, 1, 3]]
        products = (quarters @ signs.T).reshape(-1, 8)
        which, turned = np.nonzero(np.abs(products) >= least)
        pairs = np.stack([ones[which], turned, products[which, turned]], axis=1)[: found.shape[1]]
        found[row, : len(pairs)] = pairs
        kept[row] = len(pairs)


def _swapped(codes: NDArray[np.int8]) -> NDArray[np.int8]:
    """Of the pictures with rows and columns swapped."""
    swapped = codes.copy().reshape(-1, 4, WIDE)
    planes = codes.reshape(-1, 4, WIDE)[:, [0, 2, 1, 3], :_DIRECTIONS].reshape(-1, 4, HALF, HALF)
    swapped[..., :_DIRECTIONS] = planes.swapaxes(2, 3).reshape(-1, 4, _DIRECTIONS)
    return swapped.reshape(codes.shape)


_DIGITS = _DIRECTIONS ** np.arange(3, -1, -1)
