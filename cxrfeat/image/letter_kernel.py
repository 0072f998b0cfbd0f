"""Bright figures found and measured by compiled loops; see `image.figure`, which calls them, and `system.compiled`.

Numbers are those of `image.figure`, sum by sum: grey values are of single precision, and contrasts added up in double.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled

NUMBER, CONTRAST, AREA, TOP, BOTTOM, LEFT, RIGHT, LEVEL, EDGE, GAP = range(10)
"""Columns of what is measured of each figure."""


@compiled("void(int16[:,::1], int64, int16[:,::1])", fills=1)
def least_round(image: NDArray[np.int16], half: int, least: NDArray[np.int16]) -> None:
    """Fill `(h, w)` with the least of the square round each pixel, as far as it is in the image.

    By doubling, as in `image.figure`: each row by itself, then rows with rows. Loops are written out, and each step
    writes to another place than it reads from: several pixels are then compared at once.
    """
    height, width = image.shape
    window, none = 2 * half + 1, np.int16(2**15 - 1)
    lines = np.empty((2, width + 2 * half), np.int16)
    down = np.empty((2, height + 2 * half, width), np.int16)
    for row in range(half):
        above, below = down[0, row], down[0, half + height + row]
        for column in range(width):
            above[column] = below[column] = none
    for row in range(height):
        line, source = lines[0], image[row]
        inner, after = line[half:], line[half + width :]
        for column in range(half):
            line[column] = after[column] = none
        for column in range(width):
            inner[column] = source[column]
        reached, left, which = 1, width + 2 * half, 0
        while reached < window:
            step = min(reached, window - reached)
            left -= step
            line, ahead, into = lines[which], lines[which, step:], lines[1 - which]
            for column in range(left):
                into[column] = min(line[column], ahead[column])
            reached, which = reached + step, 1 - which
        line, into = lines[which], down[0, half + row]
        for column in range(width):
            into[column] = line[column]
    reached, left, which = 1, height + 2 * half, 0
    while reached < window:
        step = min(reached, window - reached)
        left -= step
        for row in range(left):
            line, below, into = down[which, row], down[which, row + step], down[1 - which, row]
            for column in range(width):
                into[column] = min(line[column], below[column])
        reached, which = reached + step, 1 - which
    for row in range(height):
        line, into = down[which, row], least[row]
        for column in range(width):
            into[column] = line[column]


@compiled("void(int16[:,::1], float32, int64, int64, float32[:,::1], float32[:,::1], float32[:,::1])", fills=3)
def contrast(
    sums: NDArray[np.int16],
    pixels: np.float32,
    stroke: int,
    reach: int,
    greys: NDArray[np.float32],
    rises: NDArray[np.float32],
    falls: NDArray[np.float32],
) -> None:
    """Fill `(h, w)`: grey values, how far they are over the ground, and over the least within the reach.

    Args:
        sums: `(h, w)` over blocks.
        pixels: In a block.
        stroke: Half of the window that no stroke fills.
        reach: Half of the other one.
        greys: To be filled, as those that follow.
        rises: Over what two windows leave of narrow things.
        falls: To the least.
    """
    height, width = sums.shape
    low, ground = np.empty((height, width), np.int16), np.empty((height, width), np.int16)
    least_round(sums, stroke, low)
    for row in range(height):
        line = low[row]
        for column in range(width):
            line[column] = np.int16(-line[column])
    least_round(low, stroke, ground)  # of negatives: the greatest
    least_round(sums, reach, low)
    for row in range(height):
        line, under, least = sums[row], ground[row], low[row]
        grey, rise, fall = greys[row], rises[row], falls[row]
        for column in range(width):
            one = np.float32(np.float32(line[column]) / pixels)
            grey[column] = one
            rise[column] = np.float32(one - np.float32(np.float32(np.int16(-under[column])) / pixels))
            fall[column] = np.float32(one - np.float32(np.float32(least[column]) / pixels))


@compiled("int64(float32[:,::1], float32, int32[:,::1])", fills=1)
def label(rises: NDArray[np.float32], least: np.float32, labels: NDArray[np.int32]) -> int:
    """Number the connected parts that are higher, corners count, in the order of their first pixels; how many."""
    height, width = rises.shape
    parents = np.zeros(height * width // 2 + 2, np.int32)
    count = np.int32(0)
    for row in range(height):
        line, own = rises[row], labels[row]
        own[:] = np.int32(0)
        high = 0
        for column in range(width):
            high += line[column] > least
        if high == 0:
            continue
        for column in range(width):
            if not line[column] > least:
                continue
            found = own[column - 1] if column > 0 else np.int32(0)
            if row > 0:
                before = labels[row - 1]
                for beside in range(max(0, column - 1), min(width, column + 2)):
                    other = before[beside]
                    if other == 0 or other == found:
                        continue
                    while parents[other] != other:
                        other = parents[other]
                    while parents[found] != found:
                        found = parents[found]
                    if found == 0:
                        found = other
                    elif other < found:
                        parents[found] = other
                        found = other
                    else:
                        parents[other] = found
            if found == 0:
                count = np.int32(count + 1)
                parents[count] = count
                found = count
            own[column] = found
    numbers = np.int32(0)
    final = np.zeros(count + 1, np.int32)
    for one in range(1, count + 1):
        root = one
        while parents[root] != root:
            root = parents[root]
        if root == one:
            numbers = np.int32(numbers + 1)
            final[one] = numbers
        else:
            final[one] = final[root]
    for row in range(height):
        own = labels[row]
        for column in range(width):
            if own[column] > 0:
                own[column] = final[own[column]]
    return int(numbers)


@compiled("float64(float32[::1], float64)")
def quantile(values: NDArray[np.float32], share: float) -> float:
    """The value that a share of them does not exceed: Hoare's selection (`np.partition` compiles for ten seconds)."""
    own = values.copy()
    place = int(np.rint(share * (len(own) - 1)))
    first, last = 0, len(own) - 1
    while first < last:
        middle = own[(first + last) // 2]
        up, down = first, last
        while up <= down:
            while own[up] < middle:
                up += 1
            while own[down] > middle:
                down -= 1
            if up <= down:
                own[up], own[down] = own[down], own[up]
                up += 1
                down -= 1
        if place <= down:
            last = down
        elif place >= up:
            first = up
        else:
            break
    return np.float64(own[place])


@compiled("float64(float32[:,::1], float32[:,::1], float32, int32[:,::1], int64, int64[::1], int64, float64)")
def gap_of(
    greys: NDArray[np.float32],
    rises: NDArray[np.float32],
    least: np.float32,
    labels: NDArray[np.int32],
    number: int,
    box: NDArray[np.int64],
    reach: int,
    level: float,
) -> float:
    """`image.figure`'s `gap` of one figure in `box`: top, bottom, left, right."""
    height, width = greys.shape
    margin = reach + 2
    top, bottom = max(0, box[0] - margin), min(height, box[1] + margin)
    left, right = max(0, box[2] - margin), min(width, box[3] + margin)
    ring = np.zeros((bottom - top, right - left), np.uint8)  # 1 round the figure, 2 on it and next to it
    for row in range(box[0], box[1]):
        for column in range(box[2], box[3]):
            if labels[row, column] != number:
                continue
            for down in range(max(top, row - reach - 1), min(bottom, row + reach + 2)):
                for beside in range(max(left, column - reach - 1), min(right, column + reach + 2)):
                    near = abs(down - row) <= 1 and abs(beside - column) <= 1
                    ring[down - top, beside - left] |= np.uint8(3 if near else 1)
    values = np.empty(ring.size, np.float32)
    count = 0
    for row in range(top, bottom):
        for column in range(left, right):
            if ring[row - top, column - left] == 1 and not rises[row, column] > least:
                values[count] = greys[row, column]
                count += 1
    if count == 0:
        return -np.inf
    return level - quantile(values[:count], 0.9)


@compiled(
    "int64(float32[:,::1], float32[:,::1], float32, float32[:,::1], int32[:,::1], int64, float64[::1], float64[:,::1])",
    fills=1,
)
def measure(
    greys: NDArray[np.float32],
    rises: NDArray[np.float32],
    least: np.float32,
    falls: NDArray[np.float32],
    labels: NDArray[np.int32],
    count: int,
    form: NDArray[np.float64],
    measured: NDArray[np.float64],
) -> int:
    """Measure the figures of a letter's form and contrast; how many there are.

    Args:
        greys: `(h, w)`, 0 to 255.
        rises: `(h, w)`: over the ground.
        least: What a figure's pixels rise by.
        falls: `(h, w)`: to the least within the reach of each pixel.
        labels: `(h, w)`: the number of the part that each pixel is of, from 1 on.
        count: Parts.
        form: Least area and contrast, unit, longest side, most heights per width, outer part of the picture, reach.
        measured: `(most, 10)`; what it has no room for is only counted.
    """
    height, width = greys.shape
    areas, contrasts = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.float64)
    boxes = np.empty((count + 1, 4), np.int64)
    for row in range(height):
        own, line = labels[row], rises[row]
        high = 0
        for column in range(width):
            high += own[column] > 0
        if high == 0:
            continue
        for column in range(width):
            number = own[column]
            if number == 0:
                continue
            box = boxes[number]
            if areas[number] == 0:
                box[0], box[2], box[3] = row, column, column + 1
            areas[number] += 1
            contrasts[number] += np.float64(line[column])
            box[1] = row + 1
            box[2], box[3] = min(box[2], column), max(box[3], column + 1)
    unit, reach = form[2], int(form[6])
    kept = 0
    for number in range(1, count + 1):
        area, contrast, box = areas[number], contrasts[number] / areas[number], boxes[number]
        if area < form[0] or contrast < form[1]:
            continue
        tall, wide = box[1] - box[0], box[3] - box[2]
        across, down = (box[0] + box[1]) / (2 * height), (box[2] + box[3]) / (2 * width)
        outer = min(min(across, 1 - across), min(down, 1 - down))
        if max(tall, wide) / unit > form[3] or tall > form[4] * wide or outer > form[5]:
            continue
        kept += 1
        if kept > len(measured):
            continue
        values, at_edge = np.empty(area, np.float32), np.empty(area, np.float32)
        inside, edge = 0, 0
        for row in range(box[0], box[1]):
            for column in range(box[2], box[3]):
                if labels[row, column] != number:
                    continue
                values[inside] = greys[row, column]
                inside += 1
                if (
                    (row > 0 and labels[row - 1, column] == 0)
                    or (row + 1 < height and labels[row + 1, column] == 0)
                    or (column > 0 and labels[row, column - 1] == 0)
                    or (column + 1 < width and labels[row, column + 1] == 0)
                ):
                    at_edge[edge] = falls[row, column]
                    edge += 1
        level = quantile(values, 0.5)
        one = measured[kept - 1]
        one[NUMBER], one[CONTRAST], one[AREA] = number, contrast, area
        one[TOP], one[BOTTOM], one[LEFT], one[RIGHT] = box[0], box[1], box[2], box[3]
        one[LEVEL], one[EDGE] = level, quantile(at_edge[:edge], 0.2)
        one[GAP] = gap_of(greys, rises, least, labels, number, box, reach, level)
    return kept


@compiled(
    "void(int16[:,::1], float32, int64, int64, float32[::1], float64[::1], int32[:,:,::1], float64[:,:,::1],"
    " int64[::1])",
    fills=3,
)
def figures(
    sums: NDArray[np.int16],
    pixels: np.float32,
    stroke: int,
    reach: int,
    least: NDArray[np.float32],
    form: NDArray[np.float64],
    labels: NDArray[np.int32],
    measured: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """All of this module in one call, since each takes the interpreter's lock: figures of every height of `least`."""
    height, width = sums.shape
    greys, rises = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    falls = np.empty((height, width), np.float32)
    contrast(sums, pixels, stroke, reach, greys, rises, falls)
    for place in range(len(least)):
        count = label(rises, least[place], labels[place])
        counts[place] = measure(greys, rises, least[place], falls, labels[place], count, form, measured[place])
