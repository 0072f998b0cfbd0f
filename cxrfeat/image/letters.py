"""The only place that finds burned-in text: side markers, view names, dates and arrows near the border of an X-ray.

A letter is a small bright figure of thin strokes with an edge that is steep all the way round, on ground that is darker
on every side. Ribs, collar bones and tubes are thin and bright too, but they are long, or fade out somewhere along
their edge; where the picture ends in black, one side of what lies there is as bright as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Grey

_Plane = NDArray[np.float32]
_Mask = NDArray[np.bool_]
_Box = tuple[slice, slice]

_BORDER = 0.25
"""Letters have their centre in this outer part of the height or width."""

# Lengths are of an image with a side of 300 pixels (the root of its area); contrasts are in grey levels of 255. They
# were chosen by looking at 90 images of cxr299. In 60 others, letters are found on 46 of the 51 that have some and on 1
# of the 9 that have none; of the figures found, 7 in 8 are letters or metal markers, and the others clips and leads.
_SIDE = 300
_STROKE = 11  # a stroke is narrower
_LONGEST = 70  # a word is shorter
_LEAST_AREA = 8
_TALLEST = 3.5  # heights over widths: strips at the edge of the picture are taller
_NEAR = 8  # from letter to letter
_MARGIN = 6  # round a letter, from which it is filled in
_LEAST_CONTRAST = 28.0
_LEAST_EDGE = 14.0
_RISES = (22.0, 60.0)  # over the ground, at every pixel of a figure; the higher parts letters from bone they lie on


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """A bright figure: a connected part that is narrower than a wide stroke, or made of such."""

    number: int
    box: _Box
    contrast: float
    """How far it is above the ground, on average."""
    edge: float
    """How far the grey value falls within two pixels, at the least steep fifth of the edge."""
    gap: float
    """How far it is above the brightest tenth of what is round it."""
    brightness: float
    """Relative to the brightest of the image."""
    longest: float
    """The longer side of its box, of an image with a side of 300."""
    area: float
    """In pixels, of an image with a side of 300."""
    clipped: bool
    """Whether it touches the edge of the image, so that nobody knows what is beyond."""
    least: float
    """The contrast that each of its pixels has."""

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
        metal = self.contrast >= 30 and self.edge >= 16 and self.gap >= 12 and self.brightness >= 0.97
        return clear or outlined or (metal and self.longest <= 30)

    @property
    def may_be_letter(self) -> bool:
        """Whether it is a letter beside another."""
        if self.least == _RISES[1]:
            return self.contrast >= 75 and self.edge >= 50 and self.gap >= 15
        plain = self.contrast >= _LEAST_CONTRAST and self.edge >= _LEAST_EDGE and self.gap >= 5
        return (plain and self.longest <= 30) or (self.contrast >= 45 and self.edge >= 30)


def find_letters(image: Grey) -> _Mask:
    """Where text and markers are burned in.

    Only bright letters are found, and only near the border.

    Args:
        image: `(h, w)` uint8, or float32 in [0, 255].

    Returns:
        `(h, w)`, true on letters and about a pixel round them. Equal grey values give the same mask whatever their
        type.

    Example:
        >>> image = np.full((256, 256), 30, np.uint8)
        >>> image[20:40, 220:223] = image[37:40, 220:232] = 250  # an L
        >>> mask = find_letters(image)
        >>> bool(mask[20:40, 220:223].all()), bool(mask[:, :200].any())
        (True, False)
    """
    small, factor = _reduced(image)
    found = _letters(small)
    mask = np.zeros(image.shape, np.bool_)
    if found.any():
        from scipy import ndimage

        found = ndimage.binary_dilation(found, np.ones((3, 3)))
        large = found.repeat(factor, axis=0).repeat(factor, axis=1)
        rest = [(0, whole - part) for whole, part in zip(image.shape, large.shape, strict=True)]
        mask[...] = np.pad(large, rest, mode="edge")
    return mask


def remove_letters(image: Grey) -> Grey:
    """The image with burned-in letters filled in from what is round them.

    Args:
        image: `(h, w)` uint8, or float32 in [0, 255].

    Returns:
        The same shape and type; `image` itself where it has no letters. The plate or outline of a letter stays.
    """
    from scipy import ndimage

    mask = find_letters(image)
    if not mask.any():
        return image
    margin = max(3, round(_MARGIN * (image.shape[0] * image.shape[1]) ** 0.5 / _SIDE))
    filled = image.copy()
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        around = _widened(box, margin)
        letter = labels[around] == number
        values = _fill(image[around], mask[around])[letter]
        filled[around][letter] = np.rint(values) if image.dtype == np.uint8 else values
    return filled


def _fill(image: Grey, mask: _Mask) -> _Plane:
    """`image` with what is masked made of the rest: means over windows of growing size, so that near pixels count most.

    Some pixel is not masked, so the windows reach one.
    """
    from scipy import ndimage

    known: _Plane = (~mask).astype(np.float32)
    values = image * known
    total, weight = np.zeros_like(known), np.zeros_like(known)
    window = 3
    while weight[mask].min() < 1e-6:
        total += ndimage.uniform_filter(values, window, mode="constant")
        weight += ndimage.uniform_filter(known, window, mode="constant")
        window = 2 * window + 1
    filled: _Plane = (total / np.maximum(weight, 1e-6)).astype(np.float32, copy=False)
    return filled


def _reduced(image: Grey) -> tuple[_Plane, int]:
    """The image by block means, its side between 270 and 600 where it was larger, and the side of the blocks."""
    factor = max(1, round((image.shape[0] * image.shape[1]) ** 0.5 / 400))
    if factor == 1:
        return image.astype(np.float32), 1
    height, width = (length // factor * factor for length in image.shape)
    total = np.uint32 if image.dtype == np.uint8 else np.float32
    rows = np.zeros((height // factor, width), total)
    for row in range(factor):
        rows += image[row:height:factor, :width]
    blocks = np.zeros((height // factor, width // factor), total)
    for column in range(factor):
        blocks += rows[:, column::factor]
    return blocks.astype(np.float32) / np.float32(factor * factor), factor


def _letters(image: _Plane) -> _Mask:
    """`(h, w)`, true on letters."""
    from scipy import ndimage

    unit = (image.shape[0] * image.shape[1]) ** 0.5 / _SIDE
    stroke = 2 * round(_STROKE * unit / 2) + 1
    rise = image - _windowed(np.maximum, _windowed(np.minimum, image, stroke), stroke)
    reach = max(1, round(2 * unit))
    fall = image - _windowed(np.minimum, image, 2 * reach + 1)
    found = np.zeros(image.shape, np.bool_)
    for least in _RISES:
        labels, _ = ndimage.label(rise > least, np.ones((3, 3)))
        figures = _figures(image, rise, fall, labels, least, unit)
        taken = [figure for figure in figures if figure.is_letter]
        others = [figure for figure in figures if not figure.is_letter and figure.may_be_letter]
        for letter in taken:  # grows while it is walked: a word is taken letter by letter
            beside = [figure for figure in others if _distance(figure.box, letter.box) <= _NEAR * unit]
            taken += beside
            others = [figure for figure in others if figure not in beside]
        found |= np.isin(labels, [figure.number for figure in taken])
    return found


def _windowed(extreme: np.ufunc, image: _Plane, window: int) -> _Plane:
    """The least (`np.minimum`) or greatest of the square round each pixel, `window` pixels wide, an odd number.

    By doubling: two windows side by side make one of twice the width. Ten times as fast as SciPy's filter.
    """
    for _ in range(2):
        image = np.pad(image.T, ((window // 2, window // 2), (0, 0)), mode="edge")
        width = 1
        while width < window:
            step = min(width, window - width)
            image = extreme(image[:-step], image[step:])
            width += step
    return image


def _figures(
    image: _Plane, rise: _Plane, fall: _Plane, labels: NDArray[np.int32], least: float, unit: float
) -> list[_Figure]:
    """The figures of a letter's size near the border, in which a letter's contrast is possible."""
    from scipy import ndimage

    top = max(1.0, float(np.percentile(image[::3, ::3], 99.5)))
    reach = max(1, round(2 * unit))
    areas = np.bincount(labels.ravel())
    areas[0] = 0  # the ground
    contrasts = np.bincount(labels.ravel(), weights=rise.ravel()) / np.maximum(areas, 1)
    boxes = ndimage.find_objects(labels)
    found = []
    for number in np.flatnonzero((areas >= _LEAST_AREA * unit**2) & (contrasts >= _LEAST_CONTRAST)).tolist():
        box = boxes[number - 1]
        height, width = (side.stop - side.start for side in box)
        longest = max(height, width) / unit
        if longest > _LONGEST or height > _TALLEST * width or _from_border(box, image.shape) > _BORDER:
            continue
        around = _widened(box, reach + 2)
        inside = labels[around] == number
        edge = inside & ~ndimage.binary_erosion(inside, border_value=1)
        steep = _quantile(fall[around][edge], 0.2)
        if steep < _LEAST_EDGE:
            continue
        ring = ndimage.binary_dilation(inside, np.ones((2 * reach + 3, 2 * reach + 3)))
        ring &= ~ndimage.binary_dilation(inside, np.ones((3, 3))) & (labels[around] == 0)
        if not ring.any():
            continue
        level = _quantile(image[around][inside], 0.5)
        found.append(
            _Figure(
                number=number,
                box=box,
                contrast=float(contrasts[number]),
                edge=steep,
                gap=level - _quantile(image[around][ring], 0.9),
                brightness=level / top,
                longest=longest,
                area=float(areas[number] / unit**2),
                least=least,
                clipped=any(
                    side.start == 0 or side.stop == whole for side, whole in zip(box, image.shape, strict=True)
                ),
            )
        )
    return found


def _from_border(box: _Box, shape: tuple[int, ...]) -> float:
    """How far the centre is from the nearest border, as a fraction of the height or width."""
    centres = [float(side.start + side.stop) / (2 * whole) for side, whole in zip(box, shape, strict=True)]
    return min(min(centre, 1 - centre) for centre in centres)


def _quantile(values: _Plane, share: float) -> float:
    """The value that a share of `values` does not exceed: one of them, so much faster than NumPy's."""
    place = round(share * (values.size - 1))
    return float(np.partition(values, place)[place])


def _widened(box: Sequence[slice], margin: int) -> _Box:
    rows, columns = (slice(max(0, side.start - margin), side.stop + margin) for side in box)
    return rows, columns


def _distance(one: _Box, other: _Box) -> int:
    """Pixels between two boxes, along the axis where they are further apart; 0 or less where they overlap."""
    gaps: list[int] = [max(a.start - b.stop, b.start - a.stop) for a, b in zip(one, other, strict=True)]
    return max(gaps)
