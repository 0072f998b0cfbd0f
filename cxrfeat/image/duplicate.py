"""The only place that finds copies: of the same bytes, of the same pixels, or the same picture after a small change.

Chest X-rays resemble each other, so 64 bits cannot tell a copy from another patient. Here the lowest frequencies of
the portraits only propose pairs, under all symmetries at once; their details, laid on each other as well as zoom and
shift allow, confirm or refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.process import small_products
from cxrfeat.types import Features

Kind = Literal["bytes", "pixels", "near"]

SIMILAR = 0.87
"""The similarity from which two portraits are of one picture.

Measured on 1200 real X-rays (720,000 pairs) and 300 copies of each kind: re-encoded and resized copies have 0.95 or
more, those 15 % brighter (and clipped) or darker 0.93, those cropped by 3 % at a corner or all round 0.89. Of images of
different people the most similar have 0.67, and consecutive ones of one person 0.84; phantoms of different patients,
which are more alike, 0.84."""

SYMMETRIES = (
    "",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180 degrees",
    "mirrored along the diagonal",
    "turned clockwise",
    "turned counterclockwise",
    "mirrored along the other diagonal",
)
"""By number: bit 2 swaps rows with columns, then bit 1 reverses the rows, and bit 0 the columns."""

_Planes = NDArray[np.float32]
"""`(n, height, width)`."""
_Proposals = NDArray[np.int64]
"""`(n, 4)`: place of the one, place of the other, number of the symmetry, and -1 where one is inverted, else 1."""

_FREQUENCIES = 10  # of a portrait, in each direction
_PROPOSE = 0.7  # 1 in 20,000 pairs of different people, and all but 1 in 1000 copies
_PROPOSE_BY_FEATURES = 0.95
_MOST = 64  # proposals of one image: so a pile of blank images takes no hour
_ROWS, _COLUMNS = 128, 2048
_SAMPLE = 2000
_CHANCE = 30
_AT_ONCE = 64
_STEPS = 4
_LAID_OVER = 2  # steps after which copies are on each other but for fractions of a cell
_HOPELESS = 0.7  # similarity that a copy has left behind by then
_MARGIN = 3  # cells at the edges that are not compared, since a crop or a shift may have moved them out
_MOST_ZOOM, _MOST_SHIFT = 0.12, 3.0


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

    Returns:
        The pairs, in order of `one` and `other`.

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
    pairs += _near(kept, portraits[kept], None if features is None else features[kept])
    return tuple(sorted(pairs, key=lambda pair: (pair.one, pair.other)))


def _near(kept: NDArray[np.int64], portraits: NDArray[np.uint8], features: Features | None) -> list[Pair]:
    """Pairs among pictures; `kept` are their places among all images."""
    if len(kept) < 2:
        return []
    with small_products():
        cosines = _whitened_cosines(portraits)
    sources = [_by_cosines(cosines)] + ([] if features is None else [_by_features(features, cosines)])
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    for proposals in chain(*sources):
        similar = _compare(portraits, proposals)
        for row in np.flatnonzero(similar >= SIMILAR).tolist():
            one, other, symmetry, sign = proposals[row].tolist()
            found = (float(similar[row]), sign, -symmetry)
            best[one, other] = max(found, best.get((one, other), found))
    return [
        _pair(int(kept[one]), int(kept[other]), similar, -symmetry, inverted=sign < 0)
        for (one, other), (similar, sign, symmetry) in best.items()
    ]


def _pair(one: int, other: int, similarity: float, symmetry: int, *, inverted: bool) -> Pair:
    if one > other:
        one, other, symmetry = other, one, _OPPOSITE[symmetry]
    change = ", ".join(filter(None, (SYMMETRIES[symmetry], "inverted" if inverted else "")))
    return Pair(one=one, other=other, kind="near", similarity=min(round(similarity, 4), 1.0), change=change)


def _by_cosines(cosines: _Planes) -> Iterator[_Proposals]:
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
    for start in range(0, len(cosines), _ROWS):
        found = []
        with small_products():
            for swap, turned in ((0, quarters), (4, swapped)):
                for left in range(start, len(cosines), _COLUMNS):
                    parts = turned[:, start : start + _ROWS] @ quarters[:, left : left + _COLUMNS].swapaxes(1, 2)
                    row, column = np.nonzero(np.abs(parts).sum(axis=0) >= _PROPOSE)
                    products = _REVERSALS @ parts[:, row, column]
                    reversal, place = np.nonzero(np.abs(products) >= _PROPOSE)
                    found.append((row[place] + start, column[place] + left, reversal + swap, products[reversal, place]))
        one, other, symmetry, product = (np.concatenate(part) for part in zip(*found, strict=True))
        yield _strongest(one, other, symmetry, product)


def _by_features(features: Features, cosines: _Planes) -> Iterator[_Proposals]:
    """Pairs whose features agree, each under the symmetry that their lowest frequencies speak for."""
    count = len(features)
    # Nearly the mean: with few images, copies would be what it is made of.
    unit = (features - features.sum(axis=0) / (count + 50)).astype(np.float32)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-9)
    for start in range(0, count, _ROWS):
        alike = unit[start : start + _ROWS] @ unit[start:].T
        row, column = np.nonzero(alike >= _PROPOSE_BY_FEATURES)
        one, other = row + start, column + start
        under = np.stack([(_turn_cosines(cosines[one], each) * cosines[other]).sum(axis=(1, 2)) for each in range(8)])
        symmetry = np.abs(under).argmax(axis=0)
        sign = np.sign(under[symmetry, np.arange(len(one))])
        yield _strongest(one, other, symmetry, alike[row, column] * sign)


def _strongest(
    one: NDArray[np.int64], other: NDArray[np.int64], symmetry: NDArray[np.int64], product: NDArray[np.float32]
) -> _Proposals:
    """The strongest proposals of each `one`; every pair from one of its sides only."""
    order = np.lexsort((symmetry, other, -np.abs(product), one))
    order = order[one[order] < other[order]]
    ranked = one[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    kept = order[rank < _MOST]
    sign = np.where(product[kept] < 0, -1, 1)
    return np.stack([one[kept], other[kept], symmetry[kept], sign], axis=1)


def _whitened_cosines(portraits: NDArray[np.uint8]) -> _Planes:
    """`(n, 10, 10)`: the lowest frequencies of each portrait's details, so weighted that chance pairs agree in none.

    What all images share (lungs, spine), and what zoom and shift change, counts little. Turning commutes with the
    weighting, and inverting with all of it.

    Source: whitening by the covariance within a class as in linear discriminant analysis (Fisher 1936), the class
    being the images that zoom and shift make of one.
    """
    count = len(portraits)
    cosines = np.concatenate([_cosines(portraits[start : start + _ROWS]) for start in range(0, count, _ROWS)])
    step = -(-count // _SAMPLE)
    few, plain = portraits[::step], cosines[::step]
    scatter = _scatter(plain)
    # Few images do not show what all share: as if some of pure chance were among them.
    even = np.eye(len(scatter)) * np.trace(scatter) / len(scatter)
    scatter = (len(few) * scatter + _CHANCE * even) / (len(few) + _CHANCE)
    for zoom, shift in ((0.06, 0.0), (-0.06, 0.0), (0.0, 1.2), (0.0, -1.2)):
        moved = _sampling(np.array([zoom], np.float32), np.array([shift], np.float32))[0]
        for start in range(0, len(few), _ROWS):
            part, still = few[start : start + _ROWS].astype(np.float32), plain[start : start + _ROWS]
            for planes in (moved @ part, part @ moved.T):
                scatter += 3 / 8 * len(part) / len(few) * _scatter(_cosines(planes) - still)
    scatter += 1e-3 * even
    values, vectors = np.linalg.eigh(scatter)
    weights: _Planes = ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)
    white = cosines.reshape(count, -1) @ weights
    white /= np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9)
    return white.reshape(-1, _FREQUENCIES, _FREQUENCIES)


def _scatter(cosines: _Planes) -> NDArray[np.float64]:
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


def _cosines(planes: NDArray[np.uint8] | _Planes) -> _Planes:
    return _along(_COSINE, _details(planes, _COARSE), _COSINE)


def _details(planes: NDArray[np.uint8] | _Planes, band: tuple[_Planes, _Planes]) -> _Planes:
    """What is between two blurs, everywhere as strong: so a bright edge or letter does not outweigh the ribs."""
    smooth = _along(band[0], planes.astype(np.float32), band[0])
    fine = smooth - _along(band[1], smooth, band[1])
    power = _along(_AROUND, fine * fine, _AROUND)
    details: _Planes = fine / np.sqrt(power + 0.09 * power.mean(axis=(1, 2), keepdims=True) + 1e-6)
    return details


def _compare(portraits: NDArray[np.uint8], proposals: _Proposals) -> NDArray[np.float32]:
    """`(n,)`: the similarity of each proposed pair."""
    similar = np.empty(len(proposals), np.float32)
    with small_products():
        for start in range(0, len(proposals), _AT_ONCE):
            one, other, symmetry, sign = proposals[start : start + _AT_ONCE].T
            _, first, place = np.unique([one, symmetry, sign], axis=1, return_index=True, return_inverse=True)
            ones = portraits[one[first]]
            ones[sign[first] < 0] = 255 - ones[sign[first] < 0]
            for each in np.unique(symmetry[first]):
                ones[symmetry[first] == each] = _turn(ones[symmetry[first] == each], each)
            fixed, place = _details(ones, _COARSE), place.ravel()
            similar[start : start + _AT_ONCE] = _similarity(ones[place], portraits[other], fixed[place])
    return similar


def _similarity(ones: NDArray[np.uint8], others: NDArray[np.uint8], fixed: _Planes) -> NDArray[np.float32]:
    """`(n,)`: correlation of the fine details, apart from the margins, the others zoomed and shifted to agree best.

    Zoom and shift are found by Gauss-Newton steps on coarser details, which can be further off at the start; `fixed`
    are those of `ones`. Pairs that are far from agreeing after two steps have the similarity -1.

    Source: Lucas and Kanade 1981, section 4, with zoom and shift downwards and across.
    """
    similarity = np.full(len(ones), -1, np.float32)
    at = np.arange(len(ones))
    loose = _details(others, _COARSE)
    zoom, shift = np.zeros((2, len(ones)), np.float32), np.zeros((2, len(ones)), np.float32)
    for step in range(_STEPS):
        moved = _zoomed(loose, zoom, shift) if step else loose
        if step == _LAID_OVER:
            keep = _correlation(fixed, moved) >= _HOPELESS
            at, fixed, loose, moved = at[keep], fixed[keep], loose[keep], moved[keep]
            zoom, shift = zoom[:, keep], shift[:, keep]
            if not len(at):
                return similarity
        zoom_by, shift_by = _step(fixed[:, _INNER, _INNER], moved)
        zoom = np.clip(zoom + zoom_by, -_MOST_ZOOM, _MOST_ZOOM)
        shift = np.clip(shift + shift_by, -_MOST_SHIFT, _MOST_SHIFT)
    # Both ways, since reading between cells blurs, and one of the two may bear it better.
    there = _fine_correlation(ones[at], others[at], zoom, shift)
    back = _fine_correlation(others[at], ones[at], -zoom / (1 + zoom), -shift / (1 + zoom))
    similarity[at] = np.maximum(there, back)
    return similarity


def _fine_correlation(
    ones: NDArray[np.uint8], others: NDArray[np.uint8], zoom: NDArray[np.float32], shift: NDArray[np.float32]
) -> NDArray[np.float32]:
    aligned = _zoomed(others.astype(np.float32), zoom, shift)
    return _correlation(_details(ones, _FINE), _details(aligned, _FINE))


def _zoomed(planes: _Planes, zoom: NDArray[np.float32], shift: NDArray[np.float32]) -> _Planes:
    """The planes magnified and shifted, `(2, n)` each: downwards and across."""
    return _along(_sampling(zoom[0], shift[0]), planes, _sampling(zoom[1], shift[1]))


def _correlation(ones: _Planes, others: _Planes) -> NDArray[np.float32]:
    ones, others = ones[:, _INNER, _INNER], others[:, _INNER, _INNER]
    ones, others = (planes - planes.mean(axis=(1, 2), keepdims=True) for planes in (ones, others))
    power = (ones * ones).sum(axis=(1, 2)) * (others * others).sum(axis=(1, 2))
    correlation: NDArray[np.float32] = (ones * others).sum(axis=(1, 2)) / np.sqrt(power + 1e-9)
    return correlation


def _step(fixed: _Planes, moved: _Planes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What to add to zoom and shift, `(2, n)` each, so that the moved planes agree better with the fixed."""
    count = len(fixed)
    place = _CELLS[_INNER] - (PORTRAIT - 1) / 2
    plane = moved[:, _INNER, _INNER]
    down = (moved[:, _AFTER, _INNER] - moved[:, _BEFORE, _INNER]) / 2
    across = (moved[:, _INNER, _AFTER] - moved[:, _INNER, _BEFORE]) / 2
    # The plane itself is among them, since the contrasts may differ.
    slopes = np.stack([plane, down * place[:, None], across * place, down, across], axis=1).reshape(count, 5, -1)
    normal = slopes @ slopes.swapaxes(1, 2)
    unit = np.eye(5, dtype=np.float32)
    normal += (1e-3 * normal + 1e-6) * unit  # so that a plane without slopes has a solution too
    solution = np.linalg.solve(normal, slopes @ fixed.reshape(count, -1, 1))[..., 0].T
    contrast = np.maximum(solution[0], 0.2)
    return np.clip(solution[1:3] / contrast, -0.05, 0.05), np.clip(solution[3:] / contrast, -1, 1)


def _sampling(zoom: NDArray[np.float32], shift: NDArray[np.float32]) -> _Planes:
    """`(n, 40, 40)` matrices that read a line of cells magnified about its centre and shifted.

    Source: the cubic convolution of Keys 1981, equation 15; edges repeated.
    """
    centre = (PORTRAIT - 1) / 2
    place = (centre + (_CELLS - centre) * (1 + zoom[:, None]) + shift[:, None]).clip(0, PORTRAIT - 1)
    before = np.floor(place)
    sampling = np.zeros((*place.shape, PORTRAIT + 3), np.float32)  # with room for what reaches over the edges
    cells = before[..., None] + _TAPS
    far = np.abs(place[..., None] - cells)
    near = (1.5 * far - 2.5) * far * far + 1
    outer = ((-0.5 * far + 2.5) * far - 4) * far + 2
    weights = np.where(far < 1, near, np.where(far < 2, outer, 0))
    np.put_along_axis(sampling, cells.astype(np.intp) + 1, weights, axis=2)
    sampling = sampling[..., 1:-2]
    sampling /= sampling.sum(axis=2, keepdims=True)
    return sampling


def _along(rows: _Planes, planes: _Planes, columns: _Planes) -> _Planes:
    """One matrix along the planes' rows, downwards, and another along their columns."""
    down: _Planes = rows @ planes
    both: _Planes = down @ columns.swapaxes(-2, -1)
    return both


def _turn(planes: NDArray[np.uint8], symmetry: int) -> NDArray[np.uint8]:
    planes = planes.swapaxes(1, 2) if symmetry & 4 else planes
    planes = planes[:, ::-1] if symmetry & 2 else planes
    return planes[:, :, ::-1] if symmetry & 1 else planes


def _turn_cosines(cosines: _Planes, symmetry: int) -> _Planes:
    """The cosines of the turned planes: an odd frequency backwards is its negative."""
    signs = np.where(np.arange(_FREQUENCIES) % 2, -1, 1).astype(np.float32)
    cosines = cosines.swapaxes(1, 2) if symmetry & 4 else cosines
    cosines = cosines * signs[:, None] if symmetry & 2 else cosines
    return cosines * signs if symmetry & 1 else cosines


def _blur(sigma: float) -> _Planes:
    """`(40, 40)`: a Gaussian over the cells, which at the edges takes those that are there."""
    weights = np.exp(-(((_CELLS[:, None] - _CELLS) / sigma) ** 2) / 2)
    weights[weights < 1e-12] = 0  # else subnormal numbers, with which a product takes ten times as long
    blur: _Planes = weights / weights.sum(axis=1, keepdims=True)
    return blur


def _cosine_matrix(frequencies: int, side: int) -> NDArray[np.float64]:
    """`(frequencies, side)`: the lowest rows of the DCT-II."""
    frequency, place = np.mgrid[:frequencies, :side]
    matrix: NDArray[np.float64] = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side))
    return matrix


_CELLS = np.arange(PORTRAIT, dtype=np.float32)
_TAPS = np.arange(-1, 3, dtype=np.float32)
_INNER = slice(_MARGIN, PORTRAIT - _MARGIN)
_BEFORE, _AFTER = slice(_MARGIN - 1, PORTRAIT - _MARGIN - 1), slice(_MARGIN + 1, PORTRAIT - _MARGIN + 1)
_FINE, _COARSE, _AROUND = (_blur(0.35), _blur(0.7)), (_blur(0.5), _blur(1.75)), _blur(2.75)
_COSINE = _cosine_matrix(_FREQUENCIES, PORTRAIT).astype(np.float32)
_REVERSALS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)
"""Signs of the quarters (even even, even odd, odd even, odd odd) under the first four symmetries."""
_OPPOSITE = (0, 1, 2, 3, 4, 6, 5, 7)
"""What undoes each symmetry: itself, but for the quarter turns."""
