"""Extremes over the windows round all pixels of an image, and windows round a box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice]
"""Rows and columns."""


def windowed(extreme: np.ufunc, image: NDArray[Any], window: int) -> NDArray[Any]:
    """The least (`np.minimum`) or greatest (`np.maximum`, `np.logical_or`) of the square round each pixel.

    By doubling: two windows side by side make one of twice the width. Rows lie one after the other in a frame that no
    extreme is taken from, so that each step is one call for the whole image.

    Args:
        extreme: Which.
        image: `(h, w)`, not below 0.
        window: An odd number of pixels.
    """
    height, width = image.shape
    margin = window // 2
    none = 0 if extreme is not np.minimum else np.inf if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    framed = np.full((height + 2 * margin, width + 2 * margin), none, image.dtype)
    framed[margin : margin + height, margin : margin + width] = image
    flat = framed.ravel()
    for stride in (1, framed.shape[1]):
        reached = 1
        while reached < window:
            step = min(reached, window - reached)
            flat = extreme(flat[: -step * stride], flat[step * stride :])
            reached += step
    return np.ndarray(image.shape, image.dtype, np.ascontiguousarray(flat), strides=framed.strides)


def widened(box: Box, margin: int) -> Box:
    """So many pixels more on each side, as far as there are any."""
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns
