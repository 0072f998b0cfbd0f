"""The only place that finds copies: of the same bytes, of the same pixels, or the same picture after a small change.

Chest X-rays resemble each other, so 64 bits cannot tell a copy from another patient. Here the lowest frequencies of
the portraits only propose pairs, under all symmetries at once; their details, laid on each other as well as zoom and
shift allow, confirm or refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from itertools import chain
from threading import Event
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.alignment import COARSE, SYMMETRIES, Planes, Proposals, along, details, sampling, similarities
from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.process import small_products
from cxrfeat.types import Features

Kind = Literal["bytes", "pixels", "near"]
_T = TypeVar("_T")

SIMILAR = 0.87
"""The similarity from which two portraits are of one picture.

Measured on 1200 real X-rays (720,000 pairs) and 300 copies of each kind: re-encoded and resized copies have 0.95 or
more, those 15 % brighter (and clipped) or darker 0.93, those cropped by 3 % at a corner or all round 0.89. Of images of
different people the most similar have 0.67, and consecutive ones of one person 0.84; phantoms of different patients,
which are more alike, 0.84."""

_FREQUENCIES = 10  # of a portrait, in each direction
_PROPOSE = 0.7  # 1 in 20,000 pairs of different people, and all but 1 in 1000 copies
_PROPOSE_BY_FEATURES = 0.95
_MOST = 64  # proposals of one image: so a pile of blank images takes no hour
_ROWS, _COLUMNS = 128, 2048
_BLOCKS_AHEAD = 32
_SAMPLE = 2000
_CHANCE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images that are one picture."""

    one: int
    """Place among the images given."""
    other: int
    """Place among the images given, larger than `one`."""
    kind: Kind
    similarity: float
    """Correlation of the details once they are aligned, `SIMILAR` to 1; 1 where the pixels are the same."""
    change: str = ""
    """What makes the other of the one, besides zoom, shift, brightness and contrast: one of `SYMMETRIES`, `inverted`,
    both with a comma between, or nothing."""


def find_duplicates(
    content_sha256: Sequence[str],
    portraits: NDArray[np.uint8],
    pixel_digests: NDArray[np.uint64],
    features: Features | None = None,
    *,
    stop: Event | None = None,
) -> tuple[Pair, ...]:
    """Find the images that are copies of others.

    Of images with the same bytes, each is paired with the first; of different files with the same pixels, each with
    one, which alone is compared with other pictures. So many copies of one picture make few pairs, and the pairs, taken
    transitively, make the groups. Images of one value are copies of nothing but the same pixels.

    The order of the images decides nothing but which of identical files is named.

    Args:
        content_sha256: Of each image's file.
        portraits: `(images, 40, 40)`, as in `appearance.Look`.
        pixel_digests: `(images,)`, as in `appearance.Look`.
        features: `(images, dim)`; pairs with nearly the same features are compared too, such as copies that were
            changed more than their lowest frequencies bear. The portraits still decide.
        stop: Ends the search soon after it is set.

    Returns:
        The pairs, in order of `one` and `other`.

    Raises:
        CancelledError: If it was stopped.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
        >>> (pair,) = find_duplicates("ab", np.stack([image, 255 - image[:, ::-1]]), np.array([1, 2], np.uint64))
        >>> pair.kind, pair.change
        ('near', 'mirrored left to right, inverted')
    """
    pairs = []
    first: dict[str, int] = {}
    for index, content in enumerate(content_sha256):
        if first.setdefault(content, index) != index:
            pairs.append(Pair(one=first[content], other=index, kind="bytes", similarity=1.0))
    pictures: dict[int, int] = {}
    for content in sorted(first):
        index = first[content]
        known = pictures.setdefault(int(pixel_digests[index]), index)
        if known != index:
            pairs.append(Pair(one=min(known, index), other=max(known, index), kind="pixels", similarity=1.0))
    # In an order that is the pictures' own, so that no sum depends on the order of the images.
    kept = np.array([index for index in pictures.values() if portraits[index].any()], dtype=np.int64)
    pairs += _near(kept, portraits[kept], None if features is None else features[kept], stop or Event())
    return tuple(sorted(pairs, key=lambda pair: (pair.one, pair.other)))


def _near(kept: NDArray[np.int64], portraits: NDArray[np.uint8], features: Features | None, stop: Event) -> list[Pair]:
    """Pairs among pictures; `kept` are their places among all images."""
    if len(kept) < 2:
        return []
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    with small_products():  # every core has blocks of its own
        cosines = _whitened_cosines(portraits, stop)
        proposed = [_by_cosines(cosines)] + ([] if features is None else [_by_features(features, cosines)])
        blocks = _until(stop, chain(*proposed))
        with Ahead(partial(_confirmed, portraits), blocks, ahead=_BLOCKS_AHEAD) as confirmed:
            for proposals, similar in confirmed:
                for (one, other, symmetry, sign), value in zip(proposals.tolist(), similar.tolist(), strict=True):
                    found = (value, sign, -symmetry)
                    best[one, other] = max(found, best.get((one, other), found))
    return [
        _pair(int(kept[one]), int(kept[other]), similar, -symmetry, inverted=sign < 0)
        for (one, other), (similar, sign, symmetry) in best.items()
    ]


def _until(stop: Event, things: Iterable[_T]) -> Iterator[_T]:
    for thing in things:
        if stop.is_set():
            raise CancelledError
        yield thing


def _confirmed(portraits: NDArray[np.uint8], propose: Callable[[], Proposals]) -> tuple[Proposals, NDArray[np.float32]]:
    """Those of a block's proposals that are of one picture, and how alike they are."""
    proposals = propose()
    similar = similarities(portraits, proposals)
    alike = similar >= SIMILAR
    return proposals[alike], similar[alike]


def _pair(one: int, other: int, similarity: float, symmetry: int, *, inverted: bool) -> Pair:
    if one > other:
        one, other, symmetry = other, one, _OPPOSITE[symmetry]
    change = ", ".join(filter(None, (SYMMETRIES[symmetry], "inverted" if inverted else "")))
    return Pair(one=one, other=other, kind="near", similarity=min(round(similarity, 4), 1.0), change=change)


def _by_cosines(cosines: Planes) -> Iterator[Callable[[], Proposals]]:
    """Pairs whose lowest frequencies agree, under any symmetry and inverted or not, some images at a time.

    The product of two images' cosines is a sum over four quarters: even and odd frequencies, downwards and across.
    Reversing rows or columns changes but the signs of quarters, so the sum of their magnitudes tells first which pairs
    may agree under any of the four reversals.
    """
    half = _FREQUENCIES // 2
    quarters, swapped = (
        planes.reshape(-1, half, 2, half, 2).transpose(2, 4, 0, 1, 3).reshape(4, len(cosines), half * half)
        for planes in (cosines, cosines.swapaxes(1, 2))
    )

    def block(start: int) -> Proposals:
        found = []
        for swap, turned in ((0, quarters), (4, swapped)):
            for left in range(start, len(cosines), _COLUMNS):
                parts = turned[:, start : start + _ROWS] @ quarters[:, left : left + _COLUMNS].swapaxes(1, 2)
                row, column = np.nonzero(np.abs(parts).sum(axis=0) >= _PROPOSE)
                products = _REVERSALS @ parts[:, row, column]
                reversal, place = np.nonzero(np.abs(products) >= _PROPOSE)
                found.append((row[place] + start, column[place] + left, reversal + swap, products[reversal, place]))
        one, other, symmetry, product = (np.concatenate(part) for part in zip(*found, strict=True))
        return _strongest(one, other, symmetry, product)

    for start in range(0, len(cosines), _ROWS):
        yield partial(block, start)


def _by_features(features: Features, cosines: Planes) -> Iterator[Callable[[], Proposals]]:
    """Pairs whose features agree, each under the symmetry that their lowest frequencies speak for."""
    count = len(features)
    # Nearly the mean: with few images, copies would be what it is made of.
    unit = (features - features.sum(axis=0) / (count + 50)).astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)

    def block(start: int) -> Proposals:
        alike = unit[start : start + _ROWS] @ unit[start:].T
        row, column = np.nonzero(alike >= _PROPOSE_BY_FEATURES)
        one, other = row + start, column + start
        under = np.stack([(_turn_cosines(cosines[one], each) * cosines[other]).sum(axis=(1, 2)) for each in range(8)])
        symmetry = np.abs(under).argmax(axis=0)
        sign = np.sign(under[symmetry, np.arange(len(one))])
        return _strongest(one, other, symmetry, alike[row, column] * sign)

    for start in range(0, count, _ROWS):
        yield partial(block, start)


def _strongest(
    one: NDArray[np.int64], other: NDArray[np.int64], symmetry: NDArray[np.int64], product: NDArray[np.float32]
) -> Proposals:
    """The strongest proposals of each `one`; every pair from one of its sides only."""
    order = np.lexsort((symmetry, other, -np.abs(product), one))
    order = order[one[order] < other[order]]
    ranked = one[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    kept = order[rank < _MOST]
    sign = np.where(product[kept] < 0, -1, 1)
    return np.stack([one[kept], other[kept], symmetry[kept], sign], axis=1)


def _whitened_cosines(portraits: NDArray[np.uint8], stop: Event) -> Planes:
    """`(n, 10, 10)`: the lowest frequencies of each portrait's details, so weighted that chance pairs agree in none.

    What all images share (lungs, spine), and what zoom and shift change, counts little. Turning commutes with the
    weighting, and inverting with all of it.

    Source: whitening by the covariance within a class as in linear discriminant analysis (Fisher 1936), the class
    being the images that zoom and shift make of one.
    """
    count = len(portraits)
    parts = (portraits[start : start + _ROWS] for start in range(0, count, _ROWS))
    with Ahead(_cosines, _until(stop, parts)) as blocks:
        cosines = np.concatenate(list(blocks))
    step = -(-count // _SAMPLE)
    few, plain = portraits[::step], cosines[::step]
    scatter = _scatter(plain)
    # Few images do not show what all share: as if some of pure chance were among them.
    even = np.eye(len(scatter)) * np.trace(scatter) / len(scatter)
    scatter = (len(few) * scatter + _CHANCE * even) / (len(few) + _CHANCE)
    for zoom, shift in ((0.06, 0.0), (-0.06, 0.0), (0.0, 1.2), (0.0, -1.2)):
        moved = sampling(np.array([zoom], np.float32), np.array([shift], np.float32))[0]
        for start in range(0, len(few), _ROWS):
            part, still = few[start : start + _ROWS].astype(np.float32), plain[start : start + _ROWS]
            for planes in (moved @ part, part @ moved.T):
                scatter += 3 / 8 * len(part) / len(few) * _scatter(_cosines(planes) - still)
    scatter += 1e-3 * even
    values, vectors = np.linalg.eigh(scatter)
    weights: Planes = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    white = cosines.reshape(count, -1) @ weights
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9)
    return white.reshape(-1, _FREQUENCIES, _FREQUENCIES)


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


_COSINE = _cosine_matrix(_FREQUENCIES, PORTRAIT).astype(np.float32)
_REVERSALS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
"""Signs of the quarters (even even, even odd, odd even, odd odd) under the first four symmetries."""
_OPPOSITE = (0, 1, 2, 3, 4, 6, 5, 7)
"""What undoes each symmetry: itself, but for the quarter turns."""
