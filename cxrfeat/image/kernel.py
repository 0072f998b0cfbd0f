"""How an image looks, by compiled loops; see `image.appearance`, which calls `look`, and `system.compiled`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled


@compiled("void(uint8[:,::1], float64[:,::1])", fills=1)
def add_cells(grey: NDArray[np.uint8], sums: NDArray[np.float64]) -> None:
    """Fill `(side, side)` with the sum of the pixels in each cell of a grid."""
    height, width = grey.shape
    side = len(sums)
    columns = np.empty(width, np.uint32)
    for band in range(side):
        columns[:] = np.uint32(0)
        for row in range(band * height // side, (band + 1) * height // side):
            line = grey[row]
            for column in range(width):
                columns[column] = np.uint32(columns[column] + np.uint32(line[column]))
        for cell in range(side):
            added = np.int64(0)
            for column in range(cell * width // side, (cell + 1) * width // side):
                added += np.int64(columns[column])
            sums[band, cell] = added


@compiled("int64(uint8[:,:], int64)")
def dark_lines(lines: NDArray[np.uint8], most: int) -> int:
    """How many lines from the first on have no pixel over `most`."""
    dark = 0
    for line in lines:
        for pixel in line:
            if pixel > most:
                return dark
        dark += 1
    return dark


@compiled("void(float64[:,::1], int64, int64, uint8[:,::1])", fills=1)
def average(sums: NDArray[np.float64], height: int, width: int, thumbnail: NDArray[np.uint8]) -> None:
    """Fill `(n, n)` with the rounded mean of each cell of a grid, from the sums of a finer one."""
    side = len(thumbnail)
    part = len(sums) // side
    for row in range(side):
        rows = (row + 1) * height // side - row * height // side
        for column in range(side):
            columns = (column + 1) * width // side - column * width // side
            added = 0.0
            for down in range(part):
                for across in range(part):
                    added += sums[row * part + down, column * part + across]
            thumbnail[row, column] = np.uint8(np.rint(added / (rows * columns)))


@compiled("void(float64[:,::1], int64, int64, uint8[:,::1])", fills=1)
def stretch(sums: NDArray[np.float64], height: int, width: int, portrait: NDArray[np.uint8]) -> None:
    """Fill `portrait` with the mean of each cell, the darkest as 0 and the brightest as 255, or with 0."""
    side = len(sums)
    means = np.empty((side, side))
    low, high = np.inf, -np.inf
    for row in range(side):
        rows = (row + 1) * height // side - row * height // side
        for column in range(side):
            columns = (column + 1) * width // side - column * width // side
            mean = sums[row, column] / (rows * columns)
            means[row, column] = mean
            low, high = min(low, mean), max(high, mean)
    factor = 255 / (high - low) if high > low else 0.0
    for row in range(side):
        for column in range(side):
            portrait[row, column] = np.uint8(np.rint((means[row, column] - low) * factor))


@compiled("void(uint8[:,::1], int64, float64[:,::1], uint8[:,::1], uint8[:,::1], int64[::1])", fills=4)
def look(
    grey: NDArray[np.uint8],
    near_black: int,
    sums: NDArray[np.float64],
    portrait: NDArray[np.uint8],
    thumbnail: NDArray[np.uint8],
    black: NDArray[np.int64],
) -> None:
    """Fill all but the image, in one call, for each takes the interpreter's lock: `appearance.look` says with what.

    Args:
        grey: `(h, w)`, at least as many pixels each way as the portrait has cells.
        near_black: Grey values up to this one are black.
        sums: `(40, 40)`: of the pixels in each cell of the portrait.
        portrait: `(40, 40)`.
        thumbnail: `(8, 8)`.
        black: Black rows at the top and at the bottom, black columns at the left and at the right.
    """
    height, width = grey.shape
    add_cells(grey, sums)
    stretch(sums, height, width, portrait)
    average(sums, height, width, thumbnail)
    black[0] = dark_lines(grey, near_black)
    black[1] = dark_lines(grey[::-1], near_black)
    black[2] = dark_lines(grey.T, near_black)
    black[3] = dark_lines(grey.T[::-1], near_black)
