"""Which units of a layer pass."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import HeadSpec


class Dropout:
    """Which units pass: decided by seed, step, row and unit alone."""

    def __init__(self, spec: HeadSpec, rows: int, units: int) -> None:
        """For batches out of this many rows, and this many units."""
        batch = min(spec.batch, rows)
        self._per_step = spec.batch * units
        self._counter = np.array(np.arange(batch * units, dtype=np.uint32).reshape(batch, units), order="F")
        self._key = _scrambled(np.array([spec.seed], np.uint32))
        self._least = np.uint32(math.ceil(float(np.float32(spec.dropout)) * 2**24) << 8)
        self._factor = np.float32(1) / (1 - np.float32(spec.dropout))

    def __call__(self, step: int, rows: int) -> NDArray[np.float32]:
        """Factor of each unit, `(rows, units)`, stored by columns: 0 or `1 / (1 - dropout)`."""
        bits = self._counter[:rows] + np.uint32(step * self._per_step % 2**32)
        bits ^= self._key
        kept: NDArray[np.bool_] = _scrambled(bits) >= self._least
        return np.asarray(kept * self._factor)


def _scrambled(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Scramble 32-bit numbers. Source: Wellons, "Prospecting for Hash Functions", 2018 (`lowbias32`)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(16))
