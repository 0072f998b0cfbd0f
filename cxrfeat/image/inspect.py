"""What the audit takes from the pixels of an image, for all its checks together; the pixels themselves are not kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.appearance import Look, look
from cxrfeat.image.letters import letter_area
from cxrfeat.types import Grey

BINS = 32
"""Cells of the histogram, each eight grey levels wide."""

_DEEP_STEPS = 257  # 65535 / 255: deep images are counted in the steps of 16 bits, 257 to a grey level
_WHITE, _BLACK = 250, 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """What one image's pixels tell the audit, in 1.5 kB."""

    look: Look
    histogram: NDArray[np.int64]
    """`(32,)` pixels at grey values [0, 8), [8, 16), ..., [248, 255]."""
    white: float
    """Fraction of the pixels at 250 and above."""
    black: float
    """Fraction of the pixels at 5 and below."""
    spread: float
    """Standard deviation of the pixels."""
    low: float
    """Grey value that 1 in 1000 pixels does not exceed: the darkest, specks aside."""
    high: float
    """Grey value that all but 1 in 1000 pixels do not exceed: the brightest, specks aside."""
    levels: int
    """Distinct grey values; at most 256, or 65536 where the original has more than 8 bits."""
    letters: float
    """Fraction of the area that is burned-in text."""
    colour: float
    """Largest mean difference between two colour channels, 0 to 255; 0 for grey."""


def inspect_image(grey: Grey, colour: float = 0.0) -> Inspection:
    """All of this module for one decoded image; 5 ms for a megapixel.

    Args:
        grey: `(h, w)`, as `decode` gives it.
        colour: As `decode_with_colour` gives it.

    Example:
        >>> seen = inspect_image(np.full((64, 64), 252, np.uint8))
        >>> seen.white, seen.black, seen.spread, seen.levels
        (1.0, 0.0, 0.0, 1)
    """
    counts, values = _counts(grey)
    present = np.flatnonzero(counts)
    mean = counts @ values / grey.size
    ranks = np.cumsum(counts)
    low, high = values[np.searchsorted(ranks, [0.001 * grey.size, 0.999 * grey.size])]
    edges = np.searchsorted(values, np.arange(0, 256, 256 // BINS))
    return Inspection(
        look=look(grey),
        histogram=np.add.reduceat(counts, edges),
        white=float(counts[values >= _WHITE].sum() / grey.size),
        black=float(counts[values <= _BLACK].sum() / grey.size),
        spread=float(np.sqrt(counts @ (values - mean) ** 2 / grey.size)),
        low=float(low),
        high=float(high),
        levels=len(present),
        letters=letter_area(grey),
        colour=colour,
    )


def _counts(grey: Grey) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How many pixels have each grey value, and these values from 0 to 255."""
    if grey.dtype == np.uint8:
        from PIL import Image

        counts = np.array(Image.fromarray(grey).histogram())  # `bincount` makes 64 bits of each pixel first
        return counts, np.arange(256, dtype=np.float64)
    steps = np.rint(grey.ravel() * np.float32(_DEEP_STEPS)).astype(np.uint16)
    return np.bincount(steps, minlength=65536), np.arange(65536) / _DEEP_STEPS
