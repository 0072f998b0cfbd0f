"""What the training of a small network takes, on whichever device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]
"""Kernel, bias, kernel, bias, ...: `(inputs, units)` and `(units,)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Numbers that stay the same through a fit."""

    batch: int
    adam: bool
    """Adam instead of Nesterov's momentum."""
    momentum: float
    dropout: float
    """Share of the units of the first hidden layer that are dropped."""
    l2: float
    """Factor of the squared weights in the loss."""
    seed: int
