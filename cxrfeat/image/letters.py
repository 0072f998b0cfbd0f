"""The only place that finds burned-in text: side markers, view names, dates and arrows near the border of an X-ray."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.figure import SIDE, Mask, Picture, letters_of
from cxrfeat.image.window import widened, windowed
from cxrfeat.types import Grey

_MARGIN = 6
"""Pixels round a letter from which it is filled in, of an image with a side of 300."""


def find_letters(image: Grey) -> Mask:
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
    found, factor = _found(image)
    if not found.any():
        return np.zeros(image.shape, np.bool_)
    large = found.repeat(factor, axis=0).repeat(factor, axis=1)
    rest = [(0, whole - part) for whole, part in zip(image.shape, large.shape, strict=True)]
    return np.pad(large, rest, mode="edge")


def letter_area(image: Grey) -> float:
    """The fraction of the area that `find_letters` finds, in less time."""
    found, factor = _found(image)
    below, beside = (whole - factor * part for whole, part in zip(image.shape, found.shape, strict=True))
    pixels = factor**2 * np.count_nonzero(found)
    pixels += factor * (below * np.count_nonzero(found[-1]) + beside * np.count_nonzero(found[:, -1]))
    return int(pixels + below * beside * found[-1, -1]) / image.size


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
    margin = max(3, round(_MARGIN * (image.shape[0] * image.shape[1]) ** 0.5 / SIDE))
    filled = image.copy()
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        around = widened(box, margin)
        letter = labels[around] == number
        values = _fill(image[around], mask[around])[letter]
        filled[around][letter] = np.rint(values) if image.dtype == np.uint8 else values
    return filled


def _fill(image: Grey, mask: Mask) -> NDArray[np.float32]:
    """`image` with what is masked made of the rest: means over windows of growing size, so that near pixels count most.

    Some pixel is not masked, so the windows reach one.
    """
    from scipy import ndimage

    known: NDArray[np.float32] = (~mask).astype(np.float32)
    values = image * known
    total, weight = np.zeros_like(known), np.zeros_like(known)
    window = 3
    while weight[mask].min() < 1e-6:
        total += ndimage.uniform_filter(values, window, mode="constant")
        weight += ndimage.uniform_filter(known, window, mode="constant")
        window = 2 * window + 1
    filled: NDArray[np.float32] = (total / np.maximum(weight, 1e-6)).astype(np.float32, copy=False)
    return filled


def _found(image: Grey) -> tuple[Mask, int]:
    """Where letters are, about a pixel round them too, in blocks of pixels; and the side of a block."""
    picture, factor = _reduced(image)
    found = letters_of(picture)
    return (windowed(np.logical_or, found, 3) if found.any() else found), factor


def _reduced(image: Grey) -> tuple[Picture, int]:
    """The image by block means, its side between 270 and 600 where it was larger, and the side of the blocks."""
    side: float = (image.shape[0] * image.shape[1]) ** 0.5
    factor = max(1, round(side / 400))
    height, width = (length // factor for length in image.shape)
    unit = (height * width) ** 0.5 / SIDE
    if factor == 1:
        return Picture(sums=np.ascontiguousarray(image), pixels=1, unit=unit), 1
    total: Any = np.float32
    if image.dtype == np.uint8:
        total = np.uint16 if 255 * factor**2 < 2**16 else np.uint32
    rows = np.zeros((height, width * factor), total)
    for row in range(factor):
        rows += image[row : height * factor : factor, : width * factor]
    blocks = np.zeros((height, width), total)
    for column in range(factor):
        blocks += rows[:, column::factor]
    return Picture(sums=blocks, pixels=factor**2, unit=unit), factor
