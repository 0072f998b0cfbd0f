"""Views drawn from their tables here: the bits of Pillow's resampling in little more than half of its time.

A pass is a product of a sparse matrix of whole numbers with the pixels, which SciPy adds up without the interpreter's
lock. Rows first, then columns, each rounded to bytes, as in `image.resample`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import TAP_BITS, Taps, Undrawn, Views

_AS_IT_IS = bytes(range(256))


def draw_tables(tables: Undrawn) -> Views:
    """`(views, size, size)` uint8: what `view.apply.drawn` gives of the same image and parameters.

    Views are drawn one at a time, since the sums of several leave the processor's cache.

    Args:
        tables: From `device.undrawn`.
    """
    image = tables.image
    height, width = image.shape
    count, size = tables.columns.first.shape
    columns = _matrices(tables.columns, width)
    rows = columns if tables.rows is None else _matrices(tables.rows, height)
    lying = np.ascontiguousarray(image.T, np.int32)
    standing = np.empty((height, size), np.int32)
    views: Views = np.empty((count, size, size), np.uint8)
    for view, across, down, flip, gain in zip(views, columns, rows, tables.flips.tolist(), tables.gains, strict=True):
        narrow = _rounded(across @ lying)
        standing[...] = (narrow[::-1] if flip else narrow).T
        pixels, table = _rounded(down @ standing), gain.tobytes()
        if table != _AS_IT_IS:
            pixels = np.frombuffer(pixels.tobytes().translate(table), np.uint8).reshape(size, size)
        view[...] = pixels
    return views


def _matrices(taps: Taps, length: int) -> list[Any]:
    """The weights of each view, `(size, length)`."""
    from scipy.sparse import csr_array

    first, weights = taps.first, taps.weights
    _, size, each = weights.shape
    place = np.minimum(first[..., np.newaxis] + np.arange(each, dtype=np.int32), length - 1)  # beyond it, weights are 0
    rows = np.arange(0, size * each + 1, each, dtype=np.int32)
    return [
        csr_array((weight.ravel(), pixels.ravel(), rows), shape=(size, length))
        for weight, pixels in zip(weights, place, strict=True)
    ]


def _rounded(sums: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Pillow's rounding; no sum of weights exceeds one by as much as would need clipping."""
    sums += 1 << (TAP_BITS - 1)
    sums >>= TAP_BITS
    return sums.astype(np.uint8)
