"""Every pixel through a table, by compiled loops; see `image.dicom.grey`, which calls them, and `system.compiled`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled


@compiled("void(uint16[::1], float32[::1], float32[::1])", fills=1)
def look_up_uint16_float32(words: NDArray[np.uint16], table: NDArray[np.float32], grey: NDArray[np.float32]) -> None:
    """Fill `(n,)` with what the table has for each word."""
    for place in range(len(words)):
        grey[place] = table[words[place]]


@compiled("void(uint16[::1], uint8[::1], uint8[::1])", fills=1)
def look_up_uint16_uint8(words: NDArray[np.uint16], table: NDArray[np.uint8], grey: NDArray[np.uint8]) -> None:
    """The same."""
    for place in range(len(words)):
        grey[place] = table[words[place]]


@compiled("void(uint8[::1], uint8[::1], uint8[::1])", fills=1)
def look_up_uint8_uint8(words: NDArray[np.uint8], table: NDArray[np.uint8], grey: NDArray[np.uint8]) -> None:
    """The same."""
    for place in range(len(words)):
        grey[place] = table[words[place]]
