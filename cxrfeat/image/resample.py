"""The only place that resamples: the same bits with every Pillow, since it never leaves Pillow the order of its passes.

Pillow resamples rows and columns one after the other, and 8-bit pixels are rounded in between. Up to 12.3 the rows of
an image went first, always; 13.0 begins with the columns of a tall image, which moves up to a fifth of its pixels by a
grey level (python-pillow/Pillow, pull request 9549). Here each pass is a call of its own, rows first.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Filter = Literal["box", "bilinear", "bicubic"]
"""Each widens when it shrinks an image, so that every pixel counts."""
Region = tuple[float, float, float, float]
"""`(left, upper, right, lower)` in pixels. Pillow keeps these four numbers in single precision."""

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_REACH = {"box": 0.5, "bilinear": 1.0, "bicubic": 2.0}
"""How far a filter sees from its centre, in pixels of whichever image is coarser."""


class Original:
    """An image that several others are to be resampled from."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        """Keep the pixels; they must not change as long as this is in use.

        Args:
            pixels: `(h, w)` uint8 or float32, or `(h, w, 3)` uint8.
        """
        self._pixels = np.ascontiguousarray(pixels)
        self._image = Image.fromarray(self._pixels)

    def resized(self, height: int, width: int, how: Filter, region: Region | None = None) -> NDArray[Any]:
        """A part of the image at another size: rows, then columns.

        Args:
            height: Height of the result, in pixels.
            width: Likewise.
            how: The filter.
            region: The part; `None` is the whole.

        Returns:
            `(height, width)`, or with three channels, of the type of the pixels. uint8 is rounded after either pass.

        Example:
            >>> Original(np.array([[0, 100], [200, 100]], np.uint8)).resized(1, 1, "box")
            array([[100]], dtype=uint8)
        """
        full_height, full_width = self._pixels.shape[:2]
        left, upper, right, lower = region or (0, 0, full_width, full_height)
        image, top, bottom = self._image, 0, full_height
        if self._pixels.dtype == np.uint8 and self._pixels.ndim == 2:
            # Rows that the second pass will not see are left out of the first. Pillow shares the memory of 8-bit grey
            # only; of other pixels the part would have to be copied, which costs more than it saves.
            reach = max((lower - upper) / height, 1.0) * _REACH[how] + 1
            top, bottom = max(0, math.floor(upper - reach)), min(full_height, math.ceil(lower + reach))
            if bottom - top < full_height:
                image = Image.fromarray(self._pixels[top:bottom])
        rows = image.resize((width, bottom - top), _FILTERS[how], box=(left, 0, right, bottom - top))
        if bottom - top < full_height:  # the columns keep their places, for these are rounded to single precision
            whole = Image.new(rows.mode, (width, full_height))
            whole.paste(rows, (0, top))
            rows = whole
        return np.asarray(rows.resize((width, height), _FILTERS[how], box=(0, upper, width, lower)))


def resized(pixels: NDArray[Any], height: int, width: int, how: Filter) -> NDArray[Any]:
    """The whole of one image at another size; as `Original.resized`."""
    return Original(pixels).resized(height, width, how)


def fitted_in(pixels: NDArray[Any], side: int) -> NDArray[Any]:
    """An image made small enough for a square, in its own form; a smaller one is left as it is.

    For pictures to look at: most of the way goes by means of whole blocks, which is fast.

    Args:
        pixels: `(h, w)` uint8.
        side: Side of the square, in pixels.
    """
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels
    factor = side / max(height, width)
    tall, wide = max(1, round(height * factor)), max(1, round(width * factor))
    rows, columns = max(1, height // tall // 2), max(1, width // wide // 2)
    small = np.asarray(Image.fromarray(pixels).reduce((columns, rows)))
    # The last block may be cut short, so the image ends within it.
    region = (0.0, 0.0, width / columns, height / rows)
    return Original(small).resized(tall, wide, "bicubic", region)
