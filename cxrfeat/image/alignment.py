"""How alike two portraits are once they lie on each other as well as turning, zoom and shift allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.process import small_products

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

Planes = NDArray[np.float32]
"""`(n, height, width)`."""
Proposals = NDArray[np.int64]
"""`(n, 4)`: place of the one, place of the other, number among `SYMMETRIES`, and -1 where one is inverted, else 1."""

_AT_ONCE = 64
_STEPS = 4
_LAID_OVER = 2  # steps after which copies are on each other but for fractions of a cell
_HOPELESS = 0.7  # similarity that a copy has left behind by then
_MARGIN = 3  # cells at the edges that are not compared, since a crop or a shift may have moved them out
_MOST_ZOOM, _MOST_SHIFT = 0.12, 3.0


def similarities(portraits: NDArray[np.uint8], proposals: Proposals) -> NDArray[np.float32]:
    """How alike the portraits of each pair are.

    Args:
        portraits: `(images, 40, 40)`, as in `appearance.Look`.
        proposals: Pairs, each under one symmetry.

    Returns:
        `(n,)`: -1 to 1, the correlation of their details once they lie on each other.
    """
    similar = np.empty(len(proposals), np.float32)
    with small_products():
        for start in range(0, len(proposals), _AT_ONCE):
            one, other, symmetry, sign = proposals[start : start + _AT_ONCE].T
            _, first, place = np.unique([one, symmetry, sign], axis=1, return_index=True, return_inverse=True)
            ones = portraits[one[first]]
            ones[sign[first] < 0] = 255 - ones[sign[first] < 0]
            for each in np.unique(symmetry[first]):
                ones[symmetry[first] == each] = turn(ones[symmetry[first] == each], each)
            fixed, place = details(ones, COARSE), place.ravel()
            similar[start : start + _AT_ONCE] = _similarity(ones[place], portraits[other], fixed[place])
    return similar


def details(planes: NDArray[np.uint8] | Planes, band: tuple[Planes, Planes]) -> Planes:
    """What is between two blurs, everywhere as strong: so a bright edge or letter does not outweigh the ribs."""
    smooth = along(band[0], planes.astype(np.float32), band[0])
    fine = smooth - along(band[1], smooth, band[1])
    power = along(_AROUND, fine * fine, _AROUND)
    details: Planes = fine / np.sqrt(power + 0.09 * power.mean(axis=(1, 2), keepdims=True) + 1e-6)
    return details


def sampling(zoom: NDArray[np.float32], shift: NDArray[np.float32]) -> Planes:
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


def along(rows: Planes, planes: Planes, columns: Planes) -> Planes:
    """One matrix along the planes' rows, downwards, and another along their columns."""
    down: Planes = rows @ planes
    both: Planes = down @ columns.swapaxes(-2, -1)
    return both


def turn(planes: NDArray[np.uint8], symmetry: int) -> NDArray[np.uint8]:
    """Planes `(n, height, width)` under one of `SYMMETRIES`, by its number."""
    planes = planes.swapaxes(1, 2) if symmetry & 4 else planes
    planes = planes[:, ::-1] if symmetry & 2 else planes
    return planes[:, :, ::-1] if symmetry & 1 else planes


def _similarity(ones: NDArray[np.uint8], others: NDArray[np.uint8], fixed: Planes) -> NDArray[np.float32]:
    """`(n,)`: correlation of the fine details, apart from the margins, the others zoomed and shifted to agree best.

    Zoom and shift are found by Gauss-Newton steps on coarser details, which can be further off at the start; `fixed`
    are those of `ones`. Pairs that are far from agreeing after two steps have the similarity -1.

    Source: Lucas and Kanade 1981, section 4, with zoom and shift downwards and across.
    """
    similarity = np.full(len(ones), -1, np.float32)
    at = np.arange(len(ones))
    loose = details(others, COARSE)
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
    return _correlation(details(ones, _FINE), details(aligned, _FINE))


def _zoomed(planes: Planes, zoom: NDArray[np.float32], shift: NDArray[np.float32]) -> Planes:
    """The planes magnified and shifted, `(2, n)` each: downwards and across."""
    return along(sampling(zoom[0], shift[0]), planes, sampling(zoom[1], shift[1]))


def _correlation(ones: Planes, others: Planes) -> NDArray[np.float32]:
    ones, others = ones[:, _INNER, _INNER], others[:, _INNER, _INNER]
    ones, others = (planes - planes.mean(axis=(1, 2), keepdims=True) for planes in (ones, others))
    power = (ones * ones).sum(axis=(1, 2)) * (others * others).sum(axis=(1, 2))
    correlation: NDArray[np.float32] = (ones * others).sum(axis=(1, 2)) / np.sqrt(power + 1e-9)
    return correlation


def _step(fixed: Planes, moved: Planes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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


def _blur(sigma: float) -> Planes:
    """`(40, 40)`: a Gaussian over the cells, which at the edges takes those that are there."""
    weights = np.exp(-(((_CELLS[:, None] - _CELLS) / sigma) ** 2) / 2)
    weights[weights < 1e-12] = 0  # else subnormal numbers, with which a product takes ten times as long
    blur: Planes = weights / weights.sum(axis=1, keepdims=True)
    return blur


_CELLS = np.arange(PORTRAIT, dtype=np.float32)
_TAPS = np.arange(-1, 3, dtype=np.float32)
_INNER = slice(_MARGIN, PORTRAIT - _MARGIN)
_BEFORE, _AFTER = slice(_MARGIN - 1, PORTRAIT - _MARGIN - 1), slice(_MARGIN + 1, PORTRAIT - _MARGIN + 1)
_FINE, _AROUND = (_blur(0.35), _blur(0.7)), _blur(2.75)
COARSE = _blur(0.5), _blur(1.75)
"""The band of details that copies still share when they are a cell or two apart."""
