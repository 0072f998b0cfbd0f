"""What excites a unit of a layer most: the places over many images, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.explaining.graph import Maps


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One cell of one image's map."""

    image: int
    """Row of the image."""
    row: int
    column: int
    activation: float


def best_cells(maps: Maps, units: Sequence[int], first: int = 0) -> dict[int, list[Place]]:
    """The most excited cell of each image, for each unit: one place per image, so that images do not crowd each other.

    Args:
        maps: Of some images.
        units: Channels.
        first: Row of the first of these images.

    Raises:
        UsageError: If a unit is not one of the layer's.
    """
    images, _, width, channels = maps.shape
    for unit in units:
        if not 0 <= unit < channels:
            raise UsageError(f"`units={unit}`: the layer has units 0 to {channels - 1}.")
    found = {}
    for unit in units:
        flat: NDArray[np.float32] = maps[..., unit].reshape(images, -1)
        cells = flat.argmax(axis=1)
        found[unit] = [
            Place(image=first + index, row=int(cell) // width, column=int(cell) % width, activation=float(value))
            for index, (cell, value) in enumerate(zip(cells, flat[np.arange(images), cells], strict=True))
        ]
    return found


def top(places: Sequence[Place], count: int) -> list[Place]:
    """The most excited places, best first; of equal ones the first image's."""
    return sorted(places, key=lambda one: (-one.activation, one.image))[:count]
