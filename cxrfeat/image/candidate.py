"""Which pictures may be copies of which: the lowest frequencies of their portraits propose pairs, as pictures come.

Each picture proposes those before it that it resembles most, so what is found of it holds whatever comes after it. Only
the weights of the frequencies are of many pictures together: those of the first `SAMPLE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.alignment import COARSE, Planes, Proposals, along, details, sampling
from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.ahead import Ahead
from cxrfeat.types import Features

SAMPLE = 2000
"""Pictures by which the frequencies are weighted: the first ones, and all where there are fewer. Where they come in the
order of a digest of their files, as in `duplicate`, these are drawn as at random."""

_FREQUENCIES = 10  # of a portrait, in each direction
_HALF = _FREQUENCIES // 2
_PROPOSE = 0.7  # 1 in 20,000 pairs of different people, and all but 1 in 1000 copies
_PROPOSE_BY_FEATURES = 0.95
_MOST = 64  # proposals of one image: so a pile of blank images takes no hour
_ROWS, _COLUMNS = 128, 2048
_AT_ONCE = 512  # columns: more, and what is between a product and its sum is in no cache, and takes five times as long
_CHANCE = 30

_T = TypeVar("_T")
Strip = tuple[int, int]
"""Place of the first of some pictures, and the one behind the last."""


@dataclass(slots=True)
class _Page:
    """So many pictures, or room for them."""

    portraits: NDArray[np.uint8] = field(default_factory=lambda: np.empty((_COLUMNS, PORTRAIT, PORTRAIT), np.uint8))
    quarters: Planes = field(default_factory=lambda: np.empty((2, 4, _COLUMNS, _HALF * _HALF), np.float32))
    """The whitened cosines, and those of the picture with rows and columns swapped: even and odd frequencies,
    downwards and across, apart."""


class Pictures:
    """Pictures in the order in which they come, each with a place from 0 on."""

    def __init__(self) -> None:
        """None yet."""
        self._pages: list[_Page] = []
        self._count = self._ready = 0
        self._weights: Planes | None = None

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    @property
    def waiting(self) -> int:
        """How many cannot propose yet."""
        return self._count - self._ready

    def add(self, portrait: NDArray[np.uint8]) -> None:
        """Take one more, `(40, 40)`, which is copied."""
        page, place = divmod(self._count, _COLUMNS)
        if page == len(self._pages):
            self._pages.append(_Page())
        self._pages[page].portraits[place] = portrait
        self._count += 1

    def portraits(self, places: Iterable[int]) -> NDArray[np.uint8]:
        """`(n, 40, 40)`: those of some pictures."""
        return np.stack([self._pages[place // _COLUMNS].portraits[place % _COLUMNS] for place in places])

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
        """
        end = self._count if last else self._count - self._count % _ROWS
        if self._weights is None and not last and end < SAMPLE:
            return []
        strips = [(start, min(start + _ROWS, end)) for start in range(self._ready, end, _ROWS)]
        parts = (self.portraits(range(*strip)) for strip in strips)
        with Ahead(_cosines, until(stop, parts)) as blocks:
            cosines = list(blocks)
        if self._weights is None and cosines:
            few = min(SAMPLE, end)
            self._weights = _weights(self.portraits(range(few)), np.concatenate(cosines)[:few])
        for (start, _), block in zip(strips, cosines, strict=True):
            self._keep(start, block)
        self._ready = end
        return strips

    def _keep(self, start: int, cosines: Planes) -> None:
        assert self._weights is not None  # made before
        white = cosines.reshape(len(cosines), -1) @ self._weights
        white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9)
        planes = white.reshape(cosines.shape)
        page, place = divmod(start, _COLUMNS)
        for quarters, turned in zip(self._pages[page].quarters, (planes, planes.swapaxes(1, 2)), strict=True):
            apart = turned.reshape(-1, _HALF, 2, _HALF, 2).transpose(2, 4, 0, 1, 3)
            quarters[:, place : place + len(cosines)] = apart.reshape(4, len(cosines), -1)

    def propose(self, strip: Strip) -> Proposals:
        """Pairs of a strip's pictures with those before them whose lowest frequencies agree, under any symmetry.

        The product of two images' cosines is a sum over four quarters: even and odd frequencies, downwards and across.
        Reversing rows or columns changes but the signs of quarters, so the sum of their magnitudes tells first which
        pairs may agree under any of the four reversals.

        Returns:
            Of each picture the strongest, the earlier of the two first; with its sign, inverted or not.
        """
        start, stop = strip
        page, place = divmod(start, _COLUMNS)
        own = self._pages[page].quarters[0, :, place : place + stop - start]
        found = [_NOTHING]
        for left in range(0, stop, _AT_ONCE):
            page, place = divmod(left, _COLUMNS)
            before = self._pages[page].quarters[..., place : place + min(_AT_ONCE, stop - left), :]
            for swap, turned in ((0, before[0]), (4, before[1])):
                parts = own @ turned.swapaxes(1, 2)
                row, column = np.divmod(np.flatnonzero(np.abs(parts).sum(axis=0) >= _PROPOSE), turned.shape[1])
                if not len(row):
                    continue
                products = _REVERSALS @ parts[:, row, column]
                reversal, which = np.nonzero(np.abs(products) >= _PROPOSE)
                found.append((column[which] + left, row[which] + start, reversal + swap, products[reversal, which]))
        one, other, symmetry, product = (np.concatenate(part) for part in zip(*found, strict=True))
        return _strongest(one, other, symmetry, product)

    def cosines(self) -> Planes:
        """`(n, 10, 10)`: the whitened cosines of all that are ready."""
        quarters = np.concatenate([page.quarters[0] for page in self._pages], axis=1)[:, : self._ready]
        apart = quarters.reshape(2, 2, self._ready, _HALF, _HALF)
        return apart.transpose(2, 3, 0, 4, 1).reshape(self._ready, _FREQUENCIES, _FREQUENCIES)


class ByFeatures:
    """Pairs whose features agree, each under the symmetry that their lowest frequencies speak for."""

    def __init__(self, features: Features, pictures: Pictures) -> None:
        """Take the features.

        Args:
            features: `(pictures, dim)`; all of them, since what all have in common is no likeness.
            pictures: The same, and all ready.
        """
        # Nearly the mean: with few images, copies would be what it is made of.
        unit = (features - features.sum(axis=0) / (len(features) + 50)).astype(np.float32)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
        self._unit, self._cosines = unit, pictures.cosines()

    def strips(self) -> list[Strip]:
        """All pictures."""
        count = len(self._unit)
        return [(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]

    def propose(self, strip: Strip) -> Proposals:
        """As `Pictures.propose`."""
        start, stop = strip
        alike = self._unit[start:stop] @ self._unit[:stop].T
        row, one = np.nonzero(alike >= _PROPOSE_BY_FEATURES)
        other = row + start
        under = np.stack(
            [(_turn_cosines(self._cosines[one], each) * self._cosines[other]).sum(axis=(1, 2)) for each in range(8)]
        )
        symmetry = np.abs(under).argmax(axis=0)
        sign = np.sign(under[symmetry, np.arange(len(one))])
        return _strongest(one, other, symmetry, alike[row, one] * sign)


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
    one: NDArray[np.int64], other: NDArray[np.int64], symmetry: NDArray[np.int64], product: NDArray[np.float32]
) -> Proposals:
    """The strongest proposals of each `other`, with those before it only."""
    order = np.lexsort((symmetry, one, -np.abs(product), other))
    order = order[one[order] < other[order]]
    ranked = other[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    kept = order[rank < _MOST]
    sign = np.where(product[kept] < 0, -1, 1)
    return np.stack([one[kept], other[kept], symmetry[kept], sign], axis=1)


def _weights(portraits: NDArray[np.uint8], cosines: Planes) -> Planes:
    """`(100, 100)`: weights of the lowest frequencies of the details, by which chance pairs agree in none.

    What all images share (lungs, spine), and what zoom and shift change, counts little. Turning commutes with the
    weighting, and inverting with all of it.

    Source: whitening by the covariance within a class as in linear discriminant analysis (Fisher 1936), the class
    being the images that zoom and shift make of one.
    """
    count, scatter = len(portraits), _scatter(cosines)
    # Few images do not show what all share: as if some of pure chance were among them.
    even = np.eye(len(scatter)) * np.trace(scatter) / len(scatter)
    scatter = (count * scatter + _CHANCE * even) / (count + _CHANCE)
    moves = [
        sampling(np.array([zoom], np.float32), np.array([shift], np.float32))[0]
        for zoom, shift in ((0.06, 0.0), (-0.06, 0.0), (0.0, 1.2), (0.0, -1.2))
    ]
    parts = ((moved, start) for moved in moves for start in range(0, count, _ROWS))
    with Ahead(partial(_moved_scatters, portraits, cosines), parts) as found:  # added in one order, whoever is first
        for each, scatters in found:
            for one in scatters:
                scatter += 3 / 8 * each / count * one
    scatter += 1e-3 * even
    values, vectors = np.linalg.eigh(scatter)
    weights: Planes = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    return weights


def _moved_scatters(
    portraits: NDArray[np.uint8], cosines: Planes, part: tuple[Planes, int]
) -> tuple[int, list[NDArray[np.float64]]]:
    """How many of some pictures there are, and what moving them does to their frequencies, downwards and across."""
    moved, start = part
    own, still = portraits[start : start + _ROWS].astype(np.float32), cosines[start : start + _ROWS]
    return len(own), [_scatter(_cosines(planes) - still) for planes in (moved @ own, own @ moved.T)]


def _scatter(cosines: Planes) -> NDArray[np.float64]:
    """`(100, 100)`: mean product of each two frequencies, over the images in all their symmetries.

    Under the four reversals, products of an even and an odd frequency cancel, and all others stay.
    """
    flat = cosines.reshape(len(cosines), -1).astype(np.float64)
    odd = np.arange(_FREQUENCIES) % 2
    kinds = (2 * odd[:, None] + odd).ravel()
    kept = (flat.T @ flat) * (kinds[:, None] == kinds)
    swapped = kept.reshape((_FREQUENCIES,) * 4).transpose(1, 0, 3, 2).reshape(kept.shape)
    scatter: NDArray[np.float64] = (kept + swapped) / (2 * len(cosines))
    return scatter


def _cosines(planes: NDArray[np.uint8] | Planes) -> Planes:
    return along(_COSINE, details(planes, COARSE), _COSINE)


def _turn_cosines(cosines: Planes, symmetry: int) -> Planes:
    """The cosines of the turned planes: an odd frequency backwards is its negative."""
    signs = np.where(np.arange(_FREQUENCIES) % 2, -1, 1).astype(np.float32)
    cosines = cosines.swapaxes(1, 2) if symmetry & 4 else cosines
    cosines = cosines * signs[:, None] if symmetry & 2 else cosines
    return cosines * signs if symmetry & 1 else cosines


def _cosine_matrix(frequencies: int, side: int) -> NDArray[np.float64]:
    """`(frequencies, side)`: the lowest rows of the DCT-II."""
    frequency, place = np.mgrid[:frequencies, :side]
    matrix: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side))
    return matrix


_NOTHING = (*np.empty((3, 0), np.int64), np.empty(0, np.float32))
_COSINE = _cosine_matrix(_FREQUENCIES, PORTRAIT).astype(np.float32)
_REVERSALS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
"""Signs of the quarters (even even, even odd, odd even, odd odd) under the first four symmetries."""
