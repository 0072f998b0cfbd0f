"""Views drawn from their tables here: the bits of Pillow's resampling in two thirds of its time.

A pass is a product of a sparse matrix of whole numbers with the pixels, which SciPy adds up without the interpreter's
lock. Rows first, then columns, each rounded to bytes, as in `image.resample`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Taps, Undrawn, Views
from cxrfeat.view.device import BITS

_TOGETHER = 4
"""Views that are drawn at once: their sums stay in the processor's cache."""


def draw_tables(tables: Undrawn) -> Views:
    """`(views, size, size)` uint8: what `view.apply.drawn` gives of the same image and parameters.

    Args:
        tables: From `device.undrawn`.
    """
    image = tables.image
    height, width = image.shape
    count, size = tables.columns.first.shape
    down = tables.columns if tables.rows is None else tables.rows
    lying = np.ascontiguousarray(image.T, np.int32)
    views: Views = np.empty((count, size, size), np.uint8)
    for start in range(0, count, _TOGETHER):
        part = slice(start, min(count, start + _TOGETHER))
        some = part.stop - start
        across = _rounded(_matrix(tables.columns, part, width) @ lying)
        standing = np.ascontiguousarray(across.reshape(some, size, height).swapaxes(1, 2), np.int32)
        drawn = _matrix(down, part, height, apart=True) @ standing.reshape(some * height, size)
        views[part] = _rounded(drawn).reshape(some, size, size)
    for view, flip, gain in zip(views, tables.flips.tolist(), tables.gains, strict=True):
        pixels = view[:, ::-1] if flip else view
        view[...] = np.frombuffer(pixels.tobytes().translate(gain.tobytes()), np.uint8).reshape(size, size)
    return views


def _matrix(taps: Taps, part: slice, length: int, *, apart: bool = False) -> Any:  # noqa: ANN401  # SciPy has no types
    """The weights of some views below each other; `apart`, each has the pixels of a view of its own."""
    from scipy.sparse import csr_array

    first, weights = taps.first[part], taps.weights[part]
    count, size, each = weights.shape
    place = np.minimum(first[..., np.newaxis] + np.arange(each, dtype=np.int32), length - 1)  # beyond it, weights are 0
    if apart:
        place += (np.arange(count, dtype=np.int32) * length)[:, np.newaxis, np.newaxis]
    rows = np.arange(0, weights.size + 1, each, dtype=np.int32)
    shape = (count * size, length * count if apart else length)
    return csr_array((weights.ravel(), place.ravel(), rows), shape=shape)


def _rounded(sums: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Pillow's rounding; no sum of weights exceeds one by as much as would need clipping."""
    sums += 1 << (BITS - 1)
    sums >>= BITS
    return sums.astype(np.uint8)
