"""The loops that look up a picture's neighbours, compiled; see `image.nearby` and `system.compiled`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import compiled


@compiled(
    "void(int32[::1], int32[::1], float32[:,:,:,::1], int64, int64, int64, int32[:,::1], int64[::1])",
    fills=2,
)
def look_up(
    starts: NDArray[np.int32],
    order: NDArray[np.int32],
    scores: NDArray[np.float32],
    first: int,
    reach: int,
    crowd: int,
    listed: NDArray[np.int32],
    count: NDArray[np.int64],
) -> None:
    """As `nearby.look_up_slowly`."""
    room, directions, ranks = listed.shape[1], scores.shape[3], 6
    place = np.empty((4, ranks), np.int64)
    loss = np.empty((4, ranks), np.int64)
    keys, lows, highs, lasts = np.empty((4, ranks**4), np.int32)
    for row in range(len(scores)):
        for swap in range(2):
            for quarter in range(4):
                held = 0
                for at in range(directions):
                    value = np.int64(scores[row, swap, quarter, at])
                    rank = held
                    while rank > 0 and loss[quarter, rank - 1] < value:
                        rank -= 1
                    if rank < ranks:
                        held = min(held + 1, ranks)
                        for later in range(held - 1, rank, -1):
                            loss[quarter, later] = loss[quarter, later - 1]
                            place[quarter, later] = place[quarter, later - 1]
                        loss[quarter, rank], place[quarter, rank] = value, at
                best = loss[quarter, 0]
                for rank in range(ranks):
                    loss[quarter, rank] = (best - loss[quarter, rank]) ** 2
            probed = 0
            for a in range(ranks):
                if loss[0, a] > reach:
                    break
                for b in range(ranks):
                    if loss[0, a] + loss[1, b] > reach:
                        break
                    for c in range(ranks):
                        before = loss[0, a] + loss[1, b] + loss[2, c]
                        if before > reach:
                            break
                        for d in range(ranks):
                            if before + loss[3, d] > reach:
                                break
                            key = place[0, a]
                            key = key * directions + place[1, b]
                            key = key * directions + place[2, c]
                            keys[probed] = key * directions + place[3, d]
                            probed += 1
            # Apart, so that a core waits for many places of the tables at once.
            for at in range(probed):
                lows[at], highs[at] = starts[keys[at]], starts[keys[at] + 1]
            for at in range(probed):
                lasts[at] = order[max(highs[at], 1) - 1]
            for at in range(probed):
                low, high = lows[at], highs[at]
                if high > low and lasts[at] >= first + row:
                    while high > low and order[high - 1] >= first + row:
                        high -= 1
                low = max(low, high - crowd)
                if count[row] + high - low > room:
                    break
                while high > low:
                    high -= 1
                    listed[row, count[row]] = order[high]
                    count[row] += 1


@compiled(
    "void(int8[:,::1], int8[:,:,::1], int64, int32[:,::1], int64[::1], uint8[::1], int32[:,:,::1], int64[::1])",
    fills=3,
)
def weigh(
    codes: NDArray[np.int8],
    asked: NDArray[np.int8],
    least: int,
    listed: NDArray[np.int32],
    count: NDArray[np.int64],
    times: NDArray[np.uint8],
    found: NDArray[np.int32],
    kept: NDArray[np.int64],
) -> None:
    """As `nearby.weigh_slowly`; `times` are zeros of all pictures, before and afterwards."""
    part = np.empty(4, np.int64)
    for row in range(len(asked)):
        for at in range(count[row]):
            one = listed[row, at]
            times[one] = min(times[one] + 1, 3)
            if times[one] != 2:
                continue
            for swap in range(2):
                for quarter in range(4):
                    total = np.int32(0)
                    for byte in range(32):
                        number = 32 * quarter + byte
                        total += np.int32(codes[one, number]) * np.int32(asked[row, swap, number])
                    part[quarter] = total
                if abs(part[0]) + abs(part[1]) + abs(part[2]) + abs(part[3]) < least:
                    continue
                across, down = part[1 + swap], part[2 - swap]
                for turned in range(4):
                    product = part[0] + (-across if turned & 1 else across)
                    product += -down if turned & 2 else down
                    product += -part[3] if turned in (1, 2) else part[3]
                    if abs(product) >= least and kept[row] < found.shape[1]:
                        found[row, kept[row], 0] = one
                        found[row, kept[row], 1] = turned + 4 * swap
                        found[row, kept[row], 2] = product
                        kept[row] += 1
        for at in range(count[row]):
            times[listed[row, at]] = 0
