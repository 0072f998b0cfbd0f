"""Which units of a layer pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.constants import Constants


class Dropout:
    """Which units pass: decided by seed, step, row and unit alone, so the same on every device."""

    def __init__(self, constants: Constants, rows: int, units: int) -> None:
        """For batches out of so many rows, and so many units."""
        batch = min(constants.batch, rows)
        self._per_step = constants.batch * units
        self._counter = np.array(np.arange(batch * units, dtype=np.uint32).reshape(batch, units), order="F")
        self._key = dropout_key(constants.seed)
        self._least = np.uint32(math.ceil(float(np.float32(constants.dropout)) * 2**24) << 8)
        self._factor = np.float32(1) / (1 - np.float32(constants.dropout))

    def __call__(self, step: int, rows: int) -> NDArray[np.float32]:
        """Factor of each unit, `(rows, units)`, stored by columns: 0 or `1 / (1 - dropout)`."""
        bits = self._counter[:rows] + np.uint32(step * self._per_step % 2**32)
        bits ^= self._key
        kept: NDArray[np.bool_] = scrambled(bits) >= self._least
        return np.asarray(kept * self._factor)


def dropout_key(seed: int) -> NDArray[np.uint32]:
    """What sets the units that a seed drops apart from another's; `()`."""
    return np.array(scrambled(np.array([seed], np.uint32))[0])


def scrambled(x: Any, ops: Any = np) -> Any:  # noqa: ANN401  # arrays of NumPy or of Keras
    """Scramble 32-bit numbers. Source: Wellons, "Prospecting for Hash Functions", 2018 (`lowbias32`)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, np.uint32(shift))) * np.uint32(factor)
    return ops.bitwise_xor(x, ops.right_shift(x, np.uint32(16)))
