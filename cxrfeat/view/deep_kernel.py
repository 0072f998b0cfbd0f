"""Views of an image of more than 8 bits, by compiled loops; see `view.deep`, which calls them, and `system.compiled`.

Sums are of 64 bits, their terms in the order in which Pillow adds them, so that the last bit is the same. Many rows are
summed side by side: what is added to one another is far apart, and a processor adds four at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled

_ROWS = 32
"""Of an image at a time: so many rows of 2048 pixels lie in the second cache, and all views are made of them."""

_COLUMNS = 64
"""Of them that are turned at a time, within the first cache."""


@compiled("void(float32[:,::1], int32, int32[:], float64[:], float64[::1])", fills=1)
def add_lines(
    lines: NDArray[np.float32], first: np.int32, count: NDArray[np.int32], weights: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:  # fmt: skip
    """Weighted sums of `count[0]` lines from `first` on."""
    pixels, taps = lines.shape[1], count[0]
    for pixel in range(pixels):
        sums[pixel] = 0.0
    whole = taps - taps % 4
    for tap in range(0, whole, 4):  # four at a time: sums are read and written a quarter as often
        a, b, c, d = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
        of_a, of_b, of_c, of_d = (
            lines[first + tap], lines[first + tap + 1], lines[first + tap + 2], lines[first + tap + 3]
        )  # fmt: skip
        for pixel in range(pixels):
            two = (sums[pixel] + np.float64(of_a[pixel]) * a) + np.float64(of_b[pixel]) * b
            sums[pixel] = (two + np.float64(of_c[pixel]) * c) + np.float64(of_d[pixel]) * d
    for tap in range(whole, taps):
        a, of_a = weights[tap], lines[first + tap]
        for pixel in range(pixels):
            sums[pixel] = sums[pixel] + np.float64(of_a[pixel]) * a


@compiled(
    "void(float32[:,:], int32[:,:], int32[:,:], float64[:,:,:], int32[:,:], int32[:,:], float64[:,:,:], boolean[:],"
    " float64[:], uint8[:,:,::1])",
    fills=1,
)
def draw(
    image: NDArray[np.float32],
    first_columns: NDArray[np.int32],
    column_counts: NDArray[np.int32],
    column_weights: NDArray[np.float64],
    first_rows: NDArray[np.int32],
    row_counts: NDArray[np.int32],
    row_weights: NDArray[np.float64],
    flips: NDArray[np.bool_],
    gains: NDArray[np.float64],
    views: NDArray[np.uint8],
) -> None:
    """Fill `views`.

    Args:
        image: `(h, w)`.
        first_columns: `(n, size)`: the first column that a column of a view is made of.
        column_counts: `(n, size)`: of how many it is made.
        column_weights: `(n, size, taps)`: how much of each.
        first_rows: Likewise, of rows.
        row_counts: Likewise.
        row_weights: Likewise.
        flips: `(n,)`: whether a view is mirrored.
        gains: `(n,)`: what it is multiplied by.
        views: `(n, size, size)`.
    """
    height, width = image.shape
    count, size, _ = column_weights.shape
    turned = np.empty((width, _ROWS), np.float32)
    sums, line = np.empty(_ROWS), np.empty(size)
    made = np.empty((size, _ROWS), np.float32)
    # Of the rows of a view that are as wide as it, only those that rows to come are made of: all would be new memory.
    narrow = np.empty((count, row_weights.shape[2] + _ROWS, size), np.float32)
    above, kept, done = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    for start in range(0, height, _ROWS):
        rows = min(_ROWS, height - start)
        for side in range(0, width, _COLUMNS):
            for row in range(_ROWS):
                given = image[start + min(row, rows - 1)]
                for column in range(side, min(side + _COLUMNS, width)):
                    turned[column, row] = given[column]
        for number in range(count):
            if done[number] == size or start + rows <= first_rows[number, 0]:
                continue
            lines, first, have = narrow[number], above[number], kept[number]
            if have == 0:
                first = start
            for column in range(size):
                add_lines(
                    turned, first_columns[number, column], column_counts[number, column : column + 1],
                    column_weights[number, column], sums,
                )  # fmt: skip
                for row in range(_ROWS):
                    made[column, row] = np.float32(sums[row])
            for row in range(rows):
                into = lines[have + row]
                for column in range(size):
                    into[column] = made[size - 1 - column if flips[number] else column, row]
            have += rows
            row = done[number]
            while row < size and first_rows[number, row] + row_counts[number, row] <= first + have:
                add_lines(
                    lines, np.int32(first_rows[number, row] - first), row_counts[number, row : row + 1],
                    row_weights[number, row], line,
                )  # fmt: skip
                view = views[number, row]
                for column in range(size):
                    grey = np.rint(np.float64(np.float32(line[column])) * gains[number])
                    view[column] = np.uint8(min(max(grey, 0.0), 255.0))
                row += 1
            done[number] = row
            passed = min(have, first_rows[number, row] - first) if row < size else have
            for place in range(have - passed):
                for column in range(size):
                    lines[place, column] = lines[place + passed, column]
            above[number], kept[number] = first + passed, have - passed
