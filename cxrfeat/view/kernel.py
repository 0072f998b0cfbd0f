"""Views drawn from their tables by compiled loops; see `view.host`, which calls them, and `system.compiled`.

Numba would make 64 bits of every sum of 32, so each step says what it is. The sums of a pixel never exceed 30 bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled

_BITS = np.int32(22)  # `types.TAP_BITS`
_HALF = np.int32(1 << 21)
_TOGETHER = 4
"""Columns of a view that are written at a time, as bytes of one number: so a quarter as many writes, far from each
other, turn an image."""


@compiled("void(uint8[:,::1], uint32[:,::1])", fills=1)
def turn(image: NDArray[np.uint8], turned: NDArray[np.uint32]) -> None:
    """Write the columns of `(h, w)` as rows, `(w, ceil(h / 4))`: four pixels a number, the first in its lowest bits."""
    height, width = image.shape
    four = np.empty(width, np.uint32)
    for start in range(0, height, _TOGETHER):
        last = height - 1
        one, two = image[start], image[min(start + 1, last)]
        three, last_one = image[min(start + 2, last)], image[min(start + 3, last)]
        for column in range(width):
            low = np.uint32(np.uint32(one[column]) | np.uint32(np.uint32(two[column]) << np.uint32(8)))
            high = np.uint32(np.uint32(three[column]) | np.uint32(np.uint32(last_one[column]) << np.uint32(8)))
            four[column] = np.uint32(low | np.uint32(high << np.uint32(16)))
        place = start // _TOGETHER
        for column in range(width):
            turned[column, place] = four[column]


@compiled("void(uint8[:,:], int32, int32[:], int32[::1])", fills=1)
def add_lines(lines: NDArray[np.uint8], first: int, weights: NDArray[np.int32], sums: NDArray[np.int32]) -> None:
    """Weighted sums of lines from `first` on, ready to be cut off at `_BITS`; beyond the last line weights are 0."""
    taps, count, last = len(weights), lines.shape[1], lines.shape[0] - 1
    none = np.int32(0)
    for tap in range(0, taps, 4):  # four at a time: sums are read and written a quarter as often
        a, b = weights[tap], weights[tap + 1] if tap + 1 < taps else none
        c, d = weights[tap + 2] if tap + 2 < taps else none, weights[tap + 3] if tap + 3 < taps else none
        of_a, of_b = lines[min(first + tap, last)], lines[min(first + tap + 1, last)]
        of_c, of_d = lines[min(first + tap + 2, last)], lines[min(first + tap + 3, last)]
        for pixel in range(count):
            two = np.int32(np.int32(a * np.int32(of_a[pixel])) + np.int32(b * np.int32(of_b[pixel])))
            more = np.int32(np.int32(c * np.int32(of_c[pixel])) + np.int32(d * np.int32(of_d[pixel])))
            before = sums[pixel] if tap else _HALF
            sums[pixel] = np.int32(before + np.int32(two + more))


@compiled(
    "void(uint8[:,::1], int32[:,:], int32[:,:,:], int32[:,:], int32[:,:,:], boolean[:], uint8[:,:], uint8[:,:,::1])",
    fills=1,
)
def draw(
    image: NDArray[np.uint8],
    first_columns: NDArray[np.int32],
    column_weights: NDArray[np.int32],
    first_rows: NDArray[np.int32],
    row_weights: NDArray[np.int32],
    flips: NDArray[np.bool_],
    gains: NDArray[np.uint8],
    views: NDArray[np.uint8],
) -> None:
    """Fill `views`; the other arguments are the fields of `types.Undrawn`."""
    height, width = image.shape
    count, size, _ = column_weights.shape
    turned = np.empty((width, -(-height // _TOGETHER)), np.uint32)
    turn(image, turned)
    lying = turned.view(np.uint8)
    narrow = np.empty((height, -(-size // _TOGETHER)), np.uint32)  # the columns of a view, in rows again
    standing = narrow.view(np.uint8)
    sums, four = np.empty(max(height, size), np.int32), np.empty(height, np.uint32)
    for number in range(count):
        low = first_rows[number, 0]
        high = min(height, first_rows[number, size - 1] + row_weights.shape[2])
        rows = high - low
        for start in range(0, size, _TOGETHER):
            four[:rows] = np.uint32(0)
            for more in range(min(_TOGETHER, size - start)):
                column = size - 1 - start - more if flips[number] else start + more
                add_lines(
                    lying[:, low:high], first_columns[number, column], column_weights[number, column], sums[:rows]
                )
                shift = np.uint32(8 * more)
                for row in range(rows):
                    pixel = np.uint32(np.uint32(np.int32(sums[row] >> _BITS)) << shift)
                    four[row] = np.uint32(four[row] | pixel)
            for row in range(rows):
                narrow[low + row, start // _TOGETHER] = four[row]
        gain, plain = gains[number], True
        for grey in range(256):
            plain = plain and gain[grey] == grey
        for row in range(size):
            add_lines(standing[:, :size], first_rows[number, row], row_weights[number, row], sums[:size])
            view = views[number, row]
            for column in range(size):
                view[column] = np.uint8(np.int32(sums[column] >> _BITS))
            if not plain:
                for column in range(size):
                    view[column] = gain[view[column]]
