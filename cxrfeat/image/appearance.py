"""What the audit knows of an image without its pixels: a mean, a border, a thumbnail, a portrait, a digest.

The numbers are exact sums of pixels over a grid, so they are the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Grey

PORTRAIT = 40
"""Cells along a portrait's side. With 32, copies and images of different people lie closer together (see `duplicate`);
with 48, no further apart."""

_GRID = 32
_NEAR_BLACK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one image looks, in 1.7 kB."""

    mean_grey: float
    """Mean grey value, 0 to 255."""
    black_border: float
    """Fraction of the area in black rows and columns at the edges."""
    thumbnail: NDArray[np.uint8]
    """`(8, 8)`."""
    portrait: NDArray[np.uint8]
    """`(40, 40)`, stretched from 0 to 255: what near-duplicates are found by."""
    pixel_digest: int
    """64 bits; equal exactly when the pixels are equal."""


def look(grey: Grey) -> Look:
    """All of this module for one image; 2 ms for a megapixel.

    Args:
        grey: `(h, w)`, as `decode` gives it.

    Example:
        >>> look(np.full((64, 64), 7, np.uint8)).black_border
        1.0
    """
    return Look(
        mean_grey=mean_grey(grey),
        black_border=black_border(grey),
        thumbnail=thumbnail(grey),
        portrait=portrait(grey),
        pixel_digest=pixel_digest(grey),
    )


def mean_grey(grey: Grey) -> float:
    """Mean grey value, 0 to 255."""
    if grey.dtype == np.uint8:
        return int(grey.sum(dtype=np.uint64)) / grey.size
    return float(grey.mean(dtype=np.float64))


def black_border(grey: Grey) -> float:
    """Fraction of the image's area in rows and columns at its edges where no pixel is over 8 of 255.

    Example:
        >>> image = np.full((10, 10), 200, np.uint8)
        >>> image[:2] = 0
        >>> black_border(image)
        0.2
    """
    rows = np.flatnonzero(grey.max(axis=1) > _NEAR_BLACK)
    if not rows.size:
        return 1.0
    columns = np.flatnonzero(grey.max(axis=0) > _NEAR_BLACK)
    inside = int(rows[-1] - rows[0] + 1) * int(columns[-1] - columns[0] + 1)
    return (grey.size - inside) / grey.size


def thumbnail(grey: Grey) -> NDArray[np.uint8]:
    """`(8, 8)` uint8: the mean of each cell of an 8 x 8 grid."""
    sums, counts = (part.reshape(8, 4, 8, 4).sum(axis=(1, 3)) for part in _cells(grey, _GRID))
    means: NDArray[np.float64] = np.rint(sums / counts)
    return means.astype(np.uint8)


def portrait(grey: Grey) -> NDArray[np.uint8]:
    """`(40, 40)` uint8: the mean of each cell of a 40 x 40 grid, the darkest as 0 and the brightest as 255.

    So an image of few grey levels keeps its detail, and one copy is as bright as the other. An image of one value is 0.
    """
    sums, counts = _cells(grey, PORTRAIT)
    means = sums / counts
    low, high = means.min(), means.max()
    if high == low:
        return np.zeros(means.shape, np.uint8)
    stretched: NDArray[np.float64] = np.rint((means - low) * (255 / (high - low)))
    return stretched.astype(np.uint8)


def pixel_digest(grey: Grey) -> int:
    """64 bits of BLAKE2b over shape, type and values: one number for the same pixels in whatever file they came.

    Example:
        >>> image = np.zeros((2, 3), np.uint8)
        >>> pixel_digest(image) == pixel_digest(image.copy()), pixel_digest(image) == pixel_digest(image.T)
        (True, False)
    """
    height, width = grey.shape
    digest = blake2b(f"{height} {width} {grey.dtype.name}".encode(), digest_size=8)
    digest.update(grey.astype(grey.dtype.newbyteorder("<"), copy=False).tobytes())
    return int.from_bytes(digest.digest(), "little")


def _cells(grey: Grey, side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the pixels in each cell of a `side` x `side` grid."""
    height, width = grey.shape
    if min(height, width) < side:  # every cell needs a pixel of its own
        grey = grey.repeat(-(-side // height), axis=0).repeat(-(-side // width), axis=1)
        height, width = grey.shape
    top = np.arange(side) * height // side
    left = np.arange(side) * width // side
    total = np.uint32 if grey.dtype == np.uint8 else np.float64
    strips = np.stack([part.sum(axis=0, dtype=total) for part in np.split(grey, top[1:])])
    sums = np.add.reduceat(strips, left, axis=1).astype(np.float64)
    counts = np.outer(np.diff(top, append=height), np.diff(left, append=width)).astype(np.float64)
    return sums, counts
