"""Which pictures may be copies of which: the lowest frequencies of their portraits propose pairs, as pictures come.

Each picture proposes those before it that it resembles most, so what is found of it holds whatever comes after it. Only
the weights of the frequencies are of many pictures together: those of the first `SAMPLE`. The first `EXACT` are held
against all before them, and each further one against those that `nearby` finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.album import Album
from cxrfeat.image.alignment import Planes, Proposals
from cxrfeat.image.frequency import (
    FREQUENCIES,
    HALF,
    REVERSALS,
    agreement,
    cosines,
    quarters,
    tangents,
    together,
    turn_cosines,
    weights_of,
    whitened,
)
from cxrfeat.image.nearby import Nearby, encoded
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.process import give_back
from cxrfeat.types import Features

SAMPLE = 2000
"""Pictures by which the frequencies are weighted: the first ones, and all where there are fewer. Where they come in the
order of a digest of their files, as in `duplicate`, these are drawn as at random."""

EXACT = 98_304
"""Pictures of which each is held against all before it; twice as many would take four times as long. Beyond them, of
copies cropped by 3 % fewer than 1 in 100 are missed, and of other changes 1 in 1000 (see `benchmarks/README.md`)."""

_PROPOSE = 0.7  # 1 in 20,000 pairs of different people, and all but 1 in 1000 copies
_AGREE = 0.8  # of those a quarter; copies have 0.83 or more, see `frequency.agreement`
_PROPOSE_BY_FEATURES = 0.95
_PROPOSE_SHORT = 0.9  # of features made short: 100 numbers, in 127ths
_MOST = 64  # proposals of one image: so a pile of blank images takes no hour
_MOST_NEARBY = 8  # of one of a great many, of which by chance more are alike
_ROWS, _COLUMNS = 128, 2048
_BLOCK, _BLOCK_NEARBY = 2048, 16_384
_AT_ONCE = 512  # columns: more, and what is between a product and its sum is in no cache, and takes five times as long

_T = TypeVar("_T")
Strip = tuple[int, int]
"""Place of the first of some pictures, and the one behind the last."""


class Pictures:
    """Pictures in the order in which they come, each with a place from 0 on."""

    def __init__(self, folder: Path | None = None) -> None:
        """None yet.

        Args:
            folder: As in `Album`.
        """
        self._album = Album(folder)
        self._pages: list[Planes] = []
        """`(2, 4, _COLUMNS, 25)` of each: the whitened cosines, and those of the picture with rows and columns swapped,
        by quarters; none where there are tables."""
        self._tables: Nearby | None = None
        """From the first picture beyond `EXACT` on, all that are ready."""
        self._ready = 0
        self._weights: Planes | None = None

    def __len__(self) -> int:
        """How many there are."""
        return len(self._album)

    @property
    def waiting(self) -> int:
        """How many cannot propose yet."""
        return len(self) - self._ready

    @property
    def enough(self) -> bool:
        """Whether so many wait that it is worth preparing them: where there are tables, these are written anew then."""
        return self.waiting >= (_BLOCK if len(self) <= EXACT else _BLOCK_NEARBY)

    def add(self, portrait: NDArray[np.uint8]) -> None:
        """Take one more, `(40, 40)`, which is copied.

        Raises:
            StorageError: If there are many, and they cannot be written to a temporary file.
        """
        self._album.add(portrait)

    def portraits(self, places: Sequence[int] | range) -> NDArray[np.uint8]:
        """`(n, 40, 40)`: those of some pictures.

        Raises:
            StorageError: If they cannot be read from a temporary file.
        """
        return self._album.take(places)

    def prepare(self, stop: Event, *, last: bool) -> list[Strip]:
        """Have the pictures that came ready to propose.

        Args:
            stop: Ends it soon after it is set.
            last: Whether none will follow; else some of the last ones wait for more.

        Returns:
            Which are now, in strips that are always the same ones. All of them must have proposed before more pictures
            are added.

        Raises:
            CancelledError: If it was stopped.
            StorageError: As `portraits`.
        """
        if self._tables is not None:
            self._pages = []  # those among them have proposed
        end = len(self) if last else len(self) - len(self) % _ROWS
        if self._weights is None:
            if not last and end < SAMPLE:
                return []
            few = self.portraits(range(min(SAMPLE, end)))
            parts = (few[start : start + _ROWS] for start in range(0, len(few), _ROWS))
            with Ahead(cosines, until(stop, parts)) as blocks:
                self._weights = weights_of(few, np.concatenate(list(blocks))) if len(few) else None
        strips = [(start, min(start + _ROWS, end)) for start in range(self._ready, end, _ROWS)]
        with Ahead(self._whitened, until(stop, strips)) as whitened:
            self._keep(strips, whitened, stop)
        self._ready = end
        return strips

    def propose(self, strip: Strip) -> Proposals:
        """Pairs of a strip's pictures with those before them whose lowest frequencies agree, under any symmetry.

        Returns:
            Of each picture the strongest, the earlier of the two first; with its sign, inverted or not.
        """
        return self._propose_nearby(strip) if strip[0] >= EXACT else self._propose_any(strip)

    def _whitened(self, strip: Strip) -> Planes:
        assert self._weights is not None  # made before
        return whitened(cosines(self.portraits(range(*strip))), self._weights)

    def _keep(self, strips: Sequence[Strip], white: Iterable[Planes], stop: Event) -> None:
        codes = []
        for (start, _), planes in zip(strips, white, strict=True):
            if start >= EXACT:
                codes.append(encoded(planes))
                continue
            page, place = divmod(start, _COLUMNS)
            if page == len(self._pages):
                self._pages.append(np.empty((2, 4, _COLUMNS, HALF * HALF), np.float32))
            for swapped, each in ((0, planes), (1, planes.swapaxes(1, 2))):
                self._pages[page][swapped, :, place : place + len(planes)] = quarters(each)
        if codes:
            if self._tables is None:
                self._tables = Nearby()
                codes = [encoded(together(page[0])) for page in self._pages] + codes
            self._tables.add(np.concatenate(codes), partial(until, stop))
            give_back()  # the tables of before, which were a little smaller, and once the pages of the album

    def _propose_any(self, strip: Strip) -> Proposals:
        """As `propose`, of each pair.

        The product of two images' cosines is a sum over four quarters: even and odd frequencies, downwards and across.
        Reversing rows or columns changes but the signs of quarters, so the sum of their magnitudes tells first which
        pairs may agree under any of the four reversals.
        """
        start, stop = strip
        page, place = divmod(start, _COLUMNS)
        own = self._pages[page][0, :, place : place + stop - start]
        found = [_NOTHING]
        for left in range(0, stop, _AT_ONCE):
            page, place = divmod(left, _COLUMNS)
            before = self._pages[page][..., place : place + min(_AT_ONCE, stop - left), :]
            for swap, turned in ((0, before[0]), (4, before[1])):
                parts = own @ turned.swapaxes(1, 2)
                row, column = np.divmod(np.flatnonzero(np.abs(parts).sum(axis=0) >= _PROPOSE), turned.shape[1])
                if not len(row):
                    continue
                products = REVERSALS @ parts[:, row, column]
                reversal, which = np.nonzero(np.abs(products) >= _PROPOSE)
                found.append((column[which] + left, row[which] + start, reversal + swap, products[reversal, which]))
        one, other, symmetry, product = (np.concatenate(part) for part in zip(*found, strict=True))
        return _strongest(one, other, symmetry, product, _MOST)

    def _propose_nearby(self, strip: Strip) -> Proposals:
        """As `propose`, of pairs that are found in tables, and by zoom and shift can be made to agree much."""
        assert self._tables is not None  # filled before
        assert self._weights is not None  # likewise
        pairs, product = self._tables.pairs(*strip, _PROPOSE)
        one, other, symmetry = pairs.T
        moved = tangents(self.portraits(range(*strip)), self._weights)
        agree = np.empty(len(pairs), np.float32)
        for each in range(8):
            these = np.flatnonzero(symmetry == each)
            turned = turn_cosines(self._tables.planes(one[these]), each).reshape(len(these), FREQUENCIES**2)
            agree[these] = agreement(moved[other[these] - strip[0]], turned)
        near = agree >= _AGREE
        agree = np.where(product < 0, -agree, agree)
        return _strongest(one[near], other[near], symmetry[near], agree[near], _MOST_NEARBY)

    def cosines(self, places: NDArray[np.int64]) -> Planes:
        """`(n, 10, 10)`: the whitened cosines of some that are ready."""
        if self._tables is not None:
            return self._tables.planes(places)
        apart = np.empty((4, len(places), HALF * HALF), np.float32)
        for number, page in enumerate(self._pages):
            here = np.flatnonzero(places // _COLUMNS == number)
            apart[:, here] = page[0][:, places[here] % _COLUMNS]
        return together(apart)


class ByFeatures:
    """Pairs whose features agree, each under the symmetry that their lowest frequencies speak for.

    More than `EXACT` are looked up in tables, by 100 numbers each: their features turned in a fixed way, and cut off.

    Source: random projections as of Johnson and Lindenstrauss 1984, lemma 1.
    """

    def __init__(self, features: Features, pictures: Pictures, stop: Event) -> None:
        """Take the features.

        Args:
            features: `(pictures, dim)`; all of them, since what all have in common is no likeness.
            pictures: The same, and all ready.
            stop: Ends it soon after it is set.

        Raises:
            CancelledError: If it was stopped.
        """
        # Nearly the mean: with few images, copies would be what it is made of.
        unit = (features - features.sum(axis=0) / (len(features) + 50)).astype(np.float32)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
        self._unit, self._pictures = unit, pictures
        self._tables = Nearby() if len(unit) > EXACT else None
        if self._tables is not None:
            short = _shortening(unit.shape[1])
            for start in until(stop, range(0, len(unit), _BLOCK_NEARBY)):
                some = unit[start : start + _BLOCK_NEARBY] @ short
                some /= np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-9)
                self._tables.add(encoded(some.reshape(-1, FREQUENCIES, FREQUENCIES)), partial(until, stop))

    def strips(self) -> list[Strip]:
        """All pictures."""
        count = len(self._unit)
        return [(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]

    def propose(self, strip: Strip) -> Proposals:
        """As `Pictures.propose`."""
        one, other, alike = self._alike(*strip)
        ones, others = self._pictures.cosines(one), self._pictures.cosines(other)
        under = np.stack([(turn_cosines(ones, each) * others).sum(axis=(1, 2)) for each in range(8)])
        symmetry = np.abs(under).argmax(axis=0)
        sign = np.sign(under[symmetry, np.arange(len(one))])
        return _strongest(one, other, symmetry, alike * sign, _MOST)

    def _alike(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Places of pairs whose features agree, and how much; the other of each is among some."""
        if self._tables is None:
            product = self._unit[start:stop] @ self._unit[:stop].T
            row, one = np.nonzero(product >= _PROPOSE_BY_FEATURES)
            return one, row + start, product[row, one]
        pairs, short = self._tables.pairs(start, stop, _PROPOSE_SHORT)
        one, other, _ = pairs[(short > 0) & (pairs[:, 2] == 0)].T  # the tables would find reversed ones too
        alike = (self._unit[one] * self._unit[other]).sum(axis=1)
        kept = alike >= _PROPOSE_BY_FEATURES
        return one[kept], other[kept], alike[kept]


def _shortening(dim: int) -> NDArray[np.float32]:
    """`(dim, 100)`: directions at right angles to each other, drawn once and for all; what there are none for is 0."""
    short = np.zeros((dim, FREQUENCIES**2))
    some = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, min(dim, FREQUENCIES**2))))[0]
    short[:, : some.shape[1]] = some
    return short.astype(np.float32)


def until(stop: Event, things: Iterable[_T]) -> Iterator[_T]:
    """Things, until it is told to stop.

    Raises:
        CancelledError: If it was stopped.
    """
    for thing in things:
        if stop.is_set():
            raise CancelledError
        yield thing


def _strongest(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    symmetry: NDArray[np.int64],
    product: NDArray[np.float32],
    most: int,
) -> Proposals:
    """The strongest proposals of each `other`, with those before it only."""
    order = np.lexsort((symmetry, one, -np.abs(product), other))
    order = order[one[order] < other[order]]
    ranked = other[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    kept = order[rank < most]
    sign = np.where(product[kept] < 0, -1, 1)
    return np.stack([one[kept], other[kept], symmetry[kept], sign], axis=1)


_NOTHING = (*np.empty((3, 0), np.int64), np.empty(0, np.float32))
