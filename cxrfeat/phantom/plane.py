"""Planes of numbers: soft steps over them, and random structure of a given spectrum in them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]


def step(value: Plane, width: float) -> Plane:
    """0 below, 1 above zero, over about `width` on either side."""
    ramp = value * (0.5 / width)
    ramp += 0.5
    np.clip(ramp, 0, 1, out=ramp)
    bend = 3 - 2 * ramp
    ramp *= ramp
    ramp *= bend
    return ramp


@functools.lru_cache(maxsize=8)
def frequency(height: int, width: int) -> Plane:
    """`(h, w // 2 + 1)` frequency of each coefficient of `rfft2`, in cycles per pixel; shared, so not to be changed."""
    cycles_per_pixel: Plane = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return cycles_per_pixel


def unit_deviation(gain: Plane) -> Plane:
    """A filter of that shape that turns white noise into noise of mean 0 and, nearly, of deviation 1."""
    gain = gain.copy()
    gain[0, 0] = 0
    scaled: Plane = (gain / np.sqrt(np.mean(gain**2))).astype(np.float32)
    return scaled
