"""An image that is the same on every machine: whole-number arithmetic, no random numbers."""

from __future__ import annotations

import numpy as np

from cxrfeat.types import Grey


def pattern(height: int, width: int, *, deep: bool = False) -> Grey:
    """`(height, width)` uint8, or float32 in steps of 1/257: fine and coarse structure, and every grey value."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    fine = (x * x * 7 + y * y * 13 + x * y * 5) % 65536
    coarse = (x // 16 * 37 + y // 16 * 91) % 65536 * 256 % 65536
    values = (fine // 2 + coarse // 2) % 65536
    grey: Grey = (values / 257).astype(np.float32) if deep else (values // 256).astype(np.uint8)
    return grey
