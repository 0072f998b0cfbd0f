"""From the cells of a map to the pixels of the image: the only place that lays heat over a picture.

A view may be cut (`border_crop`), magnified and mirrored; heat is laid where its cells lie in the image itself. What
the view did not show has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.explaining.field import Field, Fields, regular
from cxrfeat.spec import ViewSpec
from cxrfeat.view.draw import PLAIN, ViewParams

FRAME = (64, 64)
"""Rows and columns to which heat of different images is brought, to be averaged and compared."""

_Axis = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where the cells of a view's map lie in its image."""

    fields: Fields
    view: ViewSpec
    params: ViewParams = PLAIN

    def lay(self, map_: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float32]:
        """A map laid over a picture of the image, of any size.

        Each cell's value stands at its middle, and between them it goes smoothly.

        Args:
            map_: `(h, w)` heat, or evidence.
            shape: Height and width of the picture.

        Returns:
            `(height, width)`, within the range of the map, 0 where the view did not reach.
        """
        rows, columns = (self._weights(axis, length, map_.shape[axis]) for axis, length in enumerate(shape))
        laid: NDArray[np.float32] = rows @ map_.astype(np.float32) @ columns.T
        return laid

    def seen(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """`(height, width)`, true where the view shows the image."""
        return self.lay(np.ones((1, 1), np.float32), shape) > 0

    def peak(self, heat: NDArray[np.floating], shape: tuple[int, ...]) -> tuple[float, float]:
        """Middle of the hottest cell, `(x, y)` in pixels of a picture of this shape, inside the view."""
        row, column = np.unravel_index(int(heat.argmax()), heat.shape)
        y = self._to_image(0, self.fields[0].centre(int(row)), shape[0])
        x = self._to_image(1, self.fields[1].centre(int(column)), shape[1])
        return x, y

    def box(self, row: int, column: int, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
        """The cell's share of a picture of this shape: its first column and row, and those behind the last."""
        return self._box(
            [(f.centre(at) - f.step / 2, f.centre(at) + f.step / 2) for f, at in self._cell(row, column)], shape
        )

    def reach(self, row: int, column: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """The pixels of such a picture that the cell depends on, as far as the view shows them, likewise."""
        spans = [field.span(at, self.view.size) for field, at in self._cell(row, column)]
        x0, y0, x1, y1 = self._box(spans, shape)
        return math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)

    def _cell(self, row: int, column: int) -> list[tuple[Field, int]]:
        return [(self.fields[0], row), (self.fields[1], column)]

    def _box(self, spans: Sequence[tuple[float, float]], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
        (top, bottom), (left, right) = (
            sorted(self._to_image(axis, place, shape[axis]) for place in span) for axis, span in enumerate(spans)
        )
        return left, top, right, bottom

    def cell(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Width and height of one cell, in pixels of a picture of this shape."""
        (y0, y1), (x0, x1) = (self._shown(length) for length in shape)
        rows, columns = self.fields
        return columns.step / self.view.size * (x1 - x0), rows.step / self.view.size * (y1 - y0)

    def _shown(self, length: int) -> _Axis:
        """First and last edge of what the view shows of an axis, in pixels of the picture."""
        margin = round(length * self.view.border_crop)
        half = (length - 2 * margin) / 2 / self.params.zoom
        return length / 2 - half, length / 2 + half

    def _to_image(self, axis: int, place: float, length: int) -> float:
        low, high = self._shown(length)
        share = min(max(place / self.view.size, 0.0), 1.0)
        return low + (1 - share if axis == 1 and self.params.flip else share) * (high - low)

    def _weights(self, axis: int, length: int, cells: int) -> NDArray[np.float32]:
        """`(length, cells)`: how much each cell counts at each pixel of an axis."""
        low, high = self._shown(length)
        share = (np.arange(length) + 0.5 - low) / (high - low)
        inside = (share >= 0) & (share <= 1)
        if axis == 1 and self.params.flip:
            share = 1 - share
        field = self.fields[axis]
        at = np.clip((share * self.view.size - field.first) / field.step, 0, cells - 1)
        before = np.minimum(at.astype(np.intp), max(cells - 2, 0))
        part = (at - before).astype(np.float32)
        part *= part * (3 - 2 * part)  # level at the cells: straight lines would cross there in stars
        weights = np.zeros((length, cells), np.float32)
        rows = np.arange(length)
        weights[rows, before] = 1 - part
        weights[rows, np.minimum(before + 1, cells - 1)] += part
        return weights * inside[:, np.newaxis].astype(np.float32)


def from_frame(frame: NDArray[np.floating], view: ViewSpec) -> NDArray[np.float32]:
    """What lies over the image, `(64, 64)`, as it lies over the plain view of it, `(size, size)`."""
    margin = round(len(frame) * view.border_crop)
    inner = frame[margin : len(frame) - margin, margin : len(frame) - margin]
    field = regular(len(inner), view.size)
    return Placing(fields=(field, field), view=ViewSpec(size=view.size)).lay(inner, (view.size, view.size))


def even(places: int, size: int) -> Fields:
    """Fields of places that part the view evenly, as occlusion has them."""
    field = Field(step=size / places, first=size / places / 2, size=2 * size / places)
    return field, field
