"""The only place that tells letters from bone: bright figures, measured, and which of them are letters.

A letter is a small bright figure of thin strokes with an edge that is steep all the way round, on ground that is darker
on every side. Ribs, collar bones and tubes are thin and bright too, but they are long, or fade out somewhere along
their edge; where the picture ends in black, one side of what lies there is as bright as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Box = tuple[slice, slice]
_Places = NDArray[np.intp]
"""Pixels, counted row after row."""

SIDE = 300
"""Lengths here are of an image with a side of so many pixels, the root of its area."""

_BORDER = 0.25
"""Letters have their centre in this outer part of the height or width."""

# Contrasts are in grey levels of 255. All were chosen by looking at 90 images of cxr299. In 60 others, letters are
# found on 46 of the 51 that have some and on 1 of the 9 that have none; of the figures found, 7 in 8 are letters or
# metal markers, and the others clips and leads.
_STROKE = 11  # a stroke is narrower
_LONGEST = 70  # a word is shorter
_LEAST_AREA = 8
_TALLEST = 3.5  # heights over widths: strips at the edge of the picture are taller
_NEAR = 8  # from letter to letter
_LEAST_CONTRAST = 28.0
_LEAST_EDGE = 14.0
_RISES = (22, 60)  # over the ground, at every pixel of a figure; the higher parts letters from bone they lie on


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """An image as letters are looked for in it: its blocks, whose sums are compared as long as that will do.

    Windows of integers cost an eighth of those of floats.
    """

    sums: NDArray[Any]
    """`(h, w)`: unsigned integers; or grey values, where they were no integers."""
    pixels: int
    """In a block."""
    unit: float
    """Its side over that of an image with a side of 300."""

    def grey(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Grey values, 0 to 255, of sums over blocks."""
        return sums if self.pixels == 1 else sums.astype(np.float32) / np.float32(self.pixels)

    @property
    def reach(self) -> int:
        """From one side of an edge to the other, in pixels."""
        return max(1, round(2 * self.unit))

    def at(self, places: _Places) -> NDArray[Any]:
        """Grey values."""
        return self.grey(self.sums.ravel()[places])

    def rises(self) -> NDArray[Any]:
        """How far each pixel is over the ground, from which whatever is narrower than a stroke was taken away."""
        stroke = 2 * round(_STROKE * self.unit / 2) + 1
        ground = windowed(np.maximum, windowed(np.minimum, self.sums, stroke), stroke)
        rises: NDArray[Any] = self.grey(self.sums) - self.grey(ground)
        return rises

    @cached_property
    def lowest(self) -> NDArray[Any]:
        """`(h * w,)`: the least sum within the reach of each pixel."""
        return windowed(np.minimum, self.sums, 2 * self.reach + 1).ravel()

    @cached_property
    def brightest(self) -> float:
        """The grey value that all but 1 in 200 pixels do not exceed."""
        return max(1.0, float(np.percentile(self.grey(self.sums[::3, ::3]).astype(np.float32), 99.5)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Figure:
    """A bright figure: a connected part that is narrower than a wide stroke, or made of such.

    Few are nearly letters, so what takes time is worked out when it is asked for.
    """

    field: _Field
    places: _Places
    box: Box
    contrast: float
    """How far it is above the ground, on average."""

    @property
    def least(self) -> float:
        """The contrast that each of its pixels has."""
        return self.field.least

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its box."""
        rows, columns = self.box
        return rows.stop - rows.start, columns.stop - columns.start

    @cached_property
    def longest(self) -> float:
        """The longer side of its box, of an image with a side of 300."""
        return max(self.size) / self.field.picture.unit

    @property
    def area(self) -> float:
        """In pixels, of an image with a side of 300."""
        return len(self.places) / self.field.picture.unit**2

    @property
    def clipped(self) -> bool:
        """Whether it touches the edge of the image, so that nobody knows what is beyond."""
        return any(
            side.start == 0 or side.stop == whole for side, whole in zip(self.box, self.field.mask.shape, strict=True)
        )

    @property
    def near_border(self) -> bool:
        """Whether its centre is in the outer part of the height or width."""
        sides = zip(self.box, self.field.mask.shape, strict=True)
        centres: list[float] = [(side.start + side.stop) / (2 * whole) for side, whole in sides]
        return min(min(centre, 1 - centre) for centre in centres) <= _BORDER

    @property
    def has_a_letters_form(self) -> bool:
        height, width = self.size
        return self.longest <= _LONGEST and height <= _TALLEST * width and self.near_border

    @cached_property
    def edge(self) -> float:
        """How far the grey value falls within two pixels, at the least steep fifth of the edge."""
        picture = self.field.picture
        edge = self.places[self.field.edge[self.places]]
        return _quantile(picture.at(edge) - picture.grey(picture.lowest[edge]), 0.2)

    @cached_property
    def level(self) -> float:
        """Its median grey value."""
        return _quantile(self.field.picture.at(self.places), 0.5)

    @cached_property
    def gap(self) -> float:
        """How far it is above the brightest tenth of what is round it; minus infinity where there is nothing."""
        picture, mask = self.field.picture, self.field.mask
        margin = picture.reach + 2
        around = widened(self.box, margin)
        inside = np.zeros(mask[around].shape, np.bool_)
        rows, columns = np.divmod(self.places, mask.shape[1])
        inside[rows - around[0].start, columns - around[1].start] = True
        ring = windowed(np.logical_or, inside, 2 * picture.reach + 3)
        ring &= ~(windowed(np.logical_or, inside, 3) | mask[around])
        if not ring.any():
            return -math.inf
        return self.level - _quantile(picture.grey(picture.sums[around][ring]), 0.9)

    @property
    def is_letter(self) -> bool:
        """Whether it is a letter by itself: a clear one, one with a dark outline on bright ground, or a metal one.

        The high parts of figures must be letters beyond doubt: in a hard picture there are such parts of bone.
        """
        if self.clipped and (self.contrast < 60 or self.area < 40):
            return False
        if self.least == _RISES[1]:
            return self.contrast >= 80 and self.edge >= 65 and self.gap >= 36
        clear = self.contrast >= 42 and self.edge >= 20 and self.gap >= 20
        outlined = self.contrast >= 45 and self.edge >= 45 and self.gap >= -15
        if clear or outlined:
            return True
        metal = self.contrast >= 30 and self.longest <= 30 and self.edge >= 16 and self.gap >= 12
        return metal and self.level / self.field.picture.brightest >= 0.97

    @property
    def may_be_letter(self) -> bool:
        """Whether it is a letter beside another."""
        if self.least == _RISES[1]:
            return self.contrast >= 75 and self.edge >= 50 and self.gap >= 15
        plain = self.longest <= 30 and self.edge >= _LEAST_EDGE and self.gap >= 5
        return plain or (self.contrast >= 45 and self.edge >= 30 and self.gap > -math.inf)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Field:
    """What of a picture is so far over the ground."""

    picture: Picture
    rises: NDArray[Any]
    least: int

    @cached_property
    def mask(self) -> Mask:
        """`(h, w)`."""
        mask: Mask = self.rises > self.least
        return mask

    @cached_property
    def edge(self) -> Mask:
        """`(h * w,)`: the pixels that a side of is none; beyond the picture nobody knows."""
        height, width = self.mask.shape
        framed = np.ones((height + 2, width + 2), np.bool_)
        framed[1:-1, 1:-1] = self.mask
        sides = framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]
        none: Mask = ~(sides[0] & sides[1] & sides[2] & sides[3]).ravel()
        return none

    def figures(self) -> Iterator[_Figure]:
        """The figures of a letter's size near the border, in which a letter's contrast is possible."""
        from scipy import ndimage

        places = np.flatnonzero(self.mask)
        least = _LEAST_AREA * self.picture.unit**2
        if len(places) < least:
            return
        width = self.mask.shape[1]
        first, last = places[0] // width, places[-1] // width  # few rows, where it is far over the ground
        labels, _ = ndimage.label(self.mask[first : last + 1], np.ones((3, 3)))
        numbers = labels.ravel()[places - first * width]
        areas = np.bincount(numbers)
        contrasts = np.bincount(numbers, weights=self.rises.ravel()[places]) / np.maximum(areas, 1)
        large = (areas >= least) & (contrasts >= _LEAST_CONTRAST)
        kept = large[numbers]
        places, numbers = places[kept], numbers[kept]
        if not len(places):
            return
        places = places[np.argsort(numbers, kind="stable")]
        stops = np.cumsum(areas[large])
        starts = stops - areas[large]
        rows, columns = np.divmod(places, width)
        sides = (
            rows[starts],
            rows[stops - 1] + 1,
            np.minimum.reduceat(columns, starts),
            np.maximum.reduceat(columns, starts) + 1,
        )
        for start, stop, contrast, top, bottom, left, right in zip(
            starts.tolist(), stops.tolist(), contrasts[large].tolist(), *(side.tolist() for side in sides), strict=True
        ):
            figure = _Figure(
                field=self, places=places[start:stop], box=(slice(top, bottom), slice(left, right)), contrast=contrast
            )
            if figure.has_a_letters_form:
                yield figure


def letters_of(picture: Picture) -> Mask:
    """`(h, w)`, true on letters."""
    found = np.zeros(picture.sums.shape, np.bool_)
    rises = picture.rises()
    for least in _RISES:
        taken: list[_Figure] = []
        others: list[_Figure] = []
        for figure in _Field(picture=picture, rises=rises, least=least).figures():
            (taken if figure.is_letter else others).append(figure)
        for letter in taken:  # grows while it is walked: a word is taken letter by letter
            near = [one for one in others if _distance(one.box, letter.box) <= _NEAR * picture.unit]
            beside = [one for one in near if one.may_be_letter]
            taken += beside
            others = [figure for figure in others if figure not in beside]
            found.ravel()[letter.places] = True
    return found


def windowed(extreme: np.ufunc, image: NDArray[Any], window: int) -> NDArray[Any]:
    """The least (`np.minimum`) or greatest (`np.maximum`, `np.logical_or`) of the square round each pixel.

    By doubling: two windows side by side make one of twice the width. Rows lie one after the other in a frame that no
    extreme is taken from, so that each step is one call for the whole image.

    Args:
        extreme: Which.
        image: `(h, w)`, not below 0.
        window: An odd number of pixels.
    """
    height, width = image.shape
    margin = window // 2
    none = 0 if extreme is not np.minimum else np.inf if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    framed = np.full((height + 2 * margin, width + 2 * margin), none, image.dtype)
    framed[margin : margin + height, margin : margin + width] = image
    flat = framed.ravel()
    for stride in (1, framed.shape[1]):
        reached = 1
        while reached < window:
            step = min(reached, window - reached)
            flat = extreme(flat[: -step * stride], flat[step * stride :])
            reached += step
    return np.ndarray(image.shape, image.dtype, np.ascontiguousarray(flat), strides=framed.strides)


def _quantile(values: NDArray[Any], share: float) -> float:
    """The value that a share of `values` does not exceed: one of them, so much faster than NumPy's."""
    place = round(share * (values.size - 1))
    return float(np.partition(values, place)[place])


def widened(box: Box, margin: int) -> Box:
    """So many pixels more on each side, as far as there are any."""
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns


def _distance(one: Box, other: Box) -> int:
    """Pixels between two boxes, along the axis where they are further apart; 0 or less where they overlap."""
    gaps: list[int] = [max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True)]
    return max(gaps)
