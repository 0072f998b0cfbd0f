"""Portraits of as many images as wanted, of which few are copies: made of those of real X-rays, or out of nothing.

Real ones are bent, and blended two at a time by smooth masks, so that each has the ribs of two people in places of its
own. With the 1200 that the figures were measured with, one pair in 400,000 agrees, zoomed and shifted, as copies do
(0.8 in `image.frequency.agreement`), and of these X-rays themselves, of different people, about one in 700,000: so a
search among the blends takes somewhat longer. Some have the same larger part and are copies: one in eight of a million.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from cxrfeat.image.appearance import PORTRAIT, look
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder

_BENT = 100_000
"""Portraits that are blended, each two."""
_MASKS = 512
_SLOPE = -2.5
"""Exponent by which the power of portraits out of nothing falls with the frequency, about as in radiographs."""

_LINE = (np.arange(PORTRAIT) + 0.5) / PORTRAIT


class Portraits:
    """Where portraits come from."""

    def __init__(self, real: NDArray[np.uint8] | None) -> None:
        """Prepare them.

        Args:
            real: `(n, 40, 40)`; without them they are made out of nothing.
        """
        draw = np.random.default_rng(0)
        self._bent = None if real is None else _bent(real, draw)
        waves = np.cos(np.pi * np.arange(3)[:, None] * _LINE)
        self._masks = 1 / (1 + np.exp(-np.sqrt(2) * (waves.T @ draw.normal(size=(_MASKS, 3, 3)) @ waves)))
        far = np.hypot(*np.meshgrid(*[np.fft.fftfreq(PORTRAIT) * PORTRAIT] * 2))
        self._waves = np.maximum(far, 1) ** (_SLOPE / 2)

    def some(self, count: int, draw: np.random.Generator) -> NDArray[np.uint8]:
        """`(count, 40, 40)` new ones."""
        if self._bent is None:
            noise = draw.normal(size=(count, PORTRAIT, PORTRAIT))
            made = np.fft.ifft2(np.fft.fft2(noise) * self._waves).real
        else:
            one, other = (self._bent[draw.integers(0, _BENT, count)].astype(np.float32) for _ in range(2))
            made = one + self._masks[draw.integers(0, _MASKS, count)] * (other - one)
        low, high = made.min(axis=(1, 2), keepdims=True), made.max(axis=(1, 2), keepdims=True)
        portraits: NDArray[np.uint8] = np.rint((made - low) * (255 / (high - low))).astype(np.uint8)
        return portraits


def real_portraits(data: Path) -> NDArray[np.uint8]:
    """`(n, 40, 40)`: those of a folder's images that can be decoded."""
    rows = index_folder(data).rows
    return np.stack([look(decode((data / row.path).read_bytes())).portrait for row in rows])


def _bent(real: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """`(100000, 40, 40)`: real ones, zoomed, shifted, and bent downwards and across."""
    bent = np.empty((_BENT, PORTRAIT, PORTRAIT), np.uint8)
    waves = np.sin(np.pi * np.arange(1, 5)[:, None] * _LINE) / np.arange(1, 5)[:, None] ** 0.7
    cells = np.arange(PORTRAIT) - (PORTRAIT - 1) / 2
    for place, one in enumerate(draw.integers(0, len(real), _BENT)):
        zoom, shift = draw.normal(1, 0.05, (2, 1)), draw.normal(0, 1, (2, 1))
        down, across = cells * zoom + shift - cells[0] + 0.6 * draw.normal(size=(2, 4)) @ waves
        where = np.broadcast_arrays(down[:, None], across)
        bent[place] = map_coordinates(real[one], where, order=1, mode="nearest")
    return bent
