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

from cxrfeat.image.window import Box, widened, windowed
from cxrfeat.system.compiled import Compiled

Mask = NDArray[np.bool_]
_Places = NDArray[np.intp]
"""Pixels, counted row after row."""

SIDE = 300
"""Lengths here are of an image with a side of this many pixels, the root of its area."""

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
STEPS = 5
"""How long letters of an image with a side of 300 take without compiled loops, as many times what one view takes."""

KERNEL = Compiled("cxrfeat.image.letter_kernel")

_USUAL = 200
"""Figures that there is room for at first."""

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
    def stroke(self) -> int:
        """Width of the window that no stroke fills, in pixels; odd."""
        return 2 * round(_STROKE * self.unit / 2) + 1

    @property
    def reach(self) -> int:
        """From one side of an edge to the other, in pixels."""
        return max(1, round(2 * self.unit))

    def at(self, places: _Places) -> NDArray[Any]:
        """Grey values."""
        return self.grey(self.sums.ravel()[places])

    def rises(self) -> NDArray[Any]:
        """How far each pixel is over the ground, from which whatever is narrower than a stroke was taken away."""
        ground = windowed(np.maximum, windowed(np.minimum, self.sums, self.stroke), self.stroke)
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

    def mark(self, found: Mask) -> None:
        """Make its pixels true."""
        found.ravel()[self.places] = True


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


@dataclass(slots=True, kw_only=True, eq=False)
class _Measured:
    """A figure that compiled loops have measured: what `_Figure` says in the same words."""

    labels: NDArray[np.int32]
    number: int
    least: int
    unit: float
    box: Box
    contrast: float
    pixels: float
    level: float
    edge: float
    gap: float

    @property
    def longest(self) -> float:
        lengths: list[int] = [side.stop - side.start for side in self.box]
        return max(lengths) / self.unit

    @property
    def area(self) -> float:
        return self.pixels / self.unit**2

    @property
    def clipped(self) -> bool:
        sides = zip(self.box, self.labels.shape, strict=True)
        return any(side.start == 0 or side.stop == whole for side, whole in sides)

    def mark(self, found: Mask) -> None:
        found[self.box] |= self.labels[self.box] == self.number


def _is_letter(figure: _Figure | _Measured, picture: Picture) -> bool:
    """Whether it is a letter by itself: a clear one, one with a dark outline on bright ground, or a metal one.

    The high parts of figures must be letters beyond doubt: in a hard picture there are such parts of bone.
    """
    if figure.clipped and (figure.contrast < 60 or figure.area < 40):
        return False
    if figure.least == _RISES[1]:
        return figure.contrast >= 80 and figure.edge >= 65 and figure.gap >= 36
    clear = figure.contrast >= 42 and figure.edge >= 20 and figure.gap >= 20
    outlined = figure.contrast >= 45 and figure.edge >= 45 and figure.gap >= -15
    if clear or outlined:
        return True
    metal = figure.contrast >= 30 and figure.longest <= 30 and figure.edge >= 16 and figure.gap >= 12
    return metal and figure.level / picture.brightest >= 0.97


def _may_be_letter(figure: _Figure | _Measured) -> bool:
    """Whether it is a letter beside another."""
    if figure.least == _RISES[1]:
        return figure.contrast >= 75 and figure.edge >= 50 and figure.gap >= 15
    plain = figure.longest <= 30 and figure.edge >= _LEAST_EDGE and figure.gap >= 5
    return plain or (figure.contrast >= 45 and figure.edge >= 30 and figure.gap > -math.inf)


def _figures(picture: Picture) -> Iterator[list[_Figure] | list[_Measured]]:
    """The figures of each of `_RISES`."""
    if (
        picture.sums.dtype.kind == "u"
        and 255 * picture.pixels < 2**15
        and (kernel := KERNEL.functions(STEPS * picture.sums.size / SIDE**2))
    ):
        yield from _measured(kernel, picture)
        return
    rises = picture.rises()
    for least in _RISES:
        yield list(_Field(picture=picture, rises=rises, least=least).figures())


def _measured(kernel: Any, picture: Picture) -> Iterator[list[_Measured]]:  # noqa: ANN401  # a module
    shape, unit = picture.sums.shape, picture.unit
    form = np.array([_LEAST_AREA * unit**2, _LEAST_CONTRAST, unit, _LONGEST, _TALLEST, _BORDER, picture.reach])
    labels = np.empty((len(_RISES), *shape), np.int32)
    sums, least = picture.sums.astype(np.int16), np.array(_RISES, np.float32)
    counts = np.full(len(_RISES), _USUAL, np.int64)
    measured = np.empty((len(_RISES), 0, 10))
    while counts.max() > measured.shape[1]:
        measured = np.empty((len(_RISES), int(counts.max()), 10))
        kernel.figures(
            sums, np.float32(picture.pixels), picture.stroke // 2, picture.reach, least, form, labels, measured, counts
        )
    for height, own, rows, count in zip(_RISES, labels, measured, counts.tolist(), strict=True):
        yield [
            _Measured(
                labels=own,
                number=int(number),
                least=height,
                unit=unit,
                box=(slice(int(top), int(bottom)), slice(int(left), int(right))),
                contrast=contrast,
                pixels=area,
                level=level,
                edge=edge,
                gap=gap,
            )
            for number, contrast, area, top, bottom, left, right, level, edge, gap in rows[:count].tolist()
        ]


def letters_of(picture: Picture) -> Mask:
    """`(h, w)`, true on letters."""
    found = np.zeros(picture.sums.shape, np.bool_)
    for figures in _figures(picture):
        taken: list[_Figure | _Measured] = []
        others: list[_Figure | _Measured] = []
        for figure in figures:
            (taken if _is_letter(figure, picture) else others).append(figure)
        for letter in taken:  # grows while it is walked: a word is taken letter by letter
            near = [one for one in others if _distance(one.box, letter.box) <= _NEAR * picture.unit]
            beside = [one for one in near if _may_be_letter(one)]
            taken += beside
            others = [figure for figure in others if figure not in beside]
            letter.mark(found)
    return found


def _quantile(values: NDArray[Any], share: float) -> float:
    """The value that a share of `values` does not exceed: one of them, so much faster than NumPy's."""
    place = round(share * (values.size - 1))
    return float(np.partition(values, place)[place])


def _distance(one: Box, other: Box) -> int:
    """Pixels between two boxes, along the axis where they are further apart; 0 or less where they overlap."""
    gaps: list[int] = [max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True)]
    return max(gaps)
