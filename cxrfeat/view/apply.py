"""From one grey image and drawn parameters to the pixels a network sees.

What changes the image itself comes first, in one order: letters, mask, crop, darkening, border only. A letter is found
best in the whole image, and a mask is as large as the whole. Then the view is drawn, and last it is shuffled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.letters import remove_letters
from cxrfeat.image.mask import Lungs, fitted, template
from cxrfeat.image.resample import Original, resized
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Grey, Views
from cxrfeat.view import deep
from cxrfeat.view.device import undrawn
from cxrfeat.view.draw import ViewParams
from cxrfeat.view.host import KERNEL, draw_tables

_USUAL = 299 * 299
"""Pixels of an image whose views take one step each; those of one of a megapixel take six."""

_DEEP = 4
"""How many times as long it takes to draw a view of an image of more than 8 bits."""

OVERSAMPLED = 1.5
"""How many times finer than a view a `working_copy` is at least."""


def apply_views(
    spec: ViewSpec,
    image: Grey,
    params: Sequence[ViewParams],
    *,
    without_letters: Grey | None = None,
    lungs: Lungs | None = None,
    order: NDArray[np.intp] | None = None,
) -> Views:
    """Make the views of one image: `changed`, then `drawn`.

    Args:
        spec: Gives the size, and what is cut, blackened or shuffled.
        image: `(h, w)` uint8, or float32 in [0, 255]; it is left as it is.
        params: One for each view.
        without_letters: From `remove_letters`, where it is there already, since several specs can share it.
        lungs: The image's mask, of any size. Without one, `outside` takes the template.
        order: From `draw_order`, where the spec shuffles.

    Returns:
        `(len(params), spec.size, spec.size)` uint8.

    Raises:
        ValueError: If the spec keeps the lungs and there is no mask, or shuffles and there is no order.
    """
    views = drawn(spec, changed(spec, image, without_letters=without_letters, lungs=lungs), params)
    return _shuffled(views, spec.shuffle, order) if spec.shuffle else views


def changed(spec: ViewSpec, image: Grey, *, without_letters: Grey | None = None, lungs: Lungs | None = None) -> Grey:
    """The image that all its views are drawn from: letters, mask and borders done. As in `apply_views`."""
    if spec.letters:
        image = remove_letters(image) if without_letters is None else without_letters
    image = _masked(image, spec, lungs)
    image = _darken(_crop(image, spec.border_crop), spec.border_darken)
    return _border_only(image, spec.border_only)


def drawn(spec: ViewSpec, image: Grey, params: Sequence[ViewParams]) -> Views:
    """Views of a `changed` image.

    Each is one bilinear resampling of a part of the image (`image.resample`), which filters when it shrinks; then the
    mirror; then the gain, rounded and clipped. An image of more than 8 bits stays float until that one rounding.
    """
    steps = len(params) * (1 + image.size / _USUAL) / 2
    if image.dtype != np.uint8:
        kernel = deep.KERNEL.functions(_DEEP * steps) if deep.ADDS_AS_PILLOW else None
        return drawn_one_by_one(spec, image, params) if kernel is None else deep.draw_deep(image, params, spec.size)
    if KERNEL.functions(steps) is not None and (tables := undrawn(spec, image, params)) is not None:
        return draw_tables(tables)
    return drawn_one_by_one(spec, image, params)


def drawn_one_by_one(spec: ViewSpec, image: Grey, params: Sequence[ViewParams]) -> Views:
    """As `drawn`, each view by Pillow: which has nothing to load, and does the same on every machine."""
    height, width = image.shape
    original = Original(image)
    views = np.empty((len(params), spec.size, spec.size), dtype=np.uint8)
    for view, one in zip(views, params, strict=True):
        half_width, half_height = width / 2 / one.zoom, height / 2 / one.zoom
        box = (width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height)
        pixels = original.resized(spec.size, spec.size, "bilinear", box)
        if one.flip:
            pixels = pixels[:, ::-1]
        view[...] = _gain(pixels, one.gain)
    return views


def working_copy(spec: ViewSpec, image: Grey) -> Views:
    """A `changed` image as small as its views allow, to be kept for drawing from again and again.

    Its shorter side is still `OVERSAMPLED` times that of the largest magnification, so that the second interpolation
    hardly shows; a smaller image keeps its pixels, and its views are those of `drawn` on the image itself, bit for bit.

    Returns:
        `(h, w)` uint8.
    """
    least = math.ceil(OVERSAMPLED * spec.zoom[1] * spec.size)
    height, width = image.shape
    factor = least / min(height, width)
    if factor < 1:
        image = resized(image, round(height * factor), round(width * factor), "bilinear")
    own: Grey = np.require(image, requirements="C")  # no part of a larger one, which would be kept with it
    return _gain(own, 1.0)


def _masked(image: Grey, spec: ViewSpec, lungs: Lungs | None) -> Grey:
    if spec.mask == "none":
        return image
    if lungs is None and spec.mask == "lungs":
        raise ValueError("a view of the lungs alone needs the mask of the image")
    inside = template(image.shape) if lungs is None else fitted(lungs, image.shape)
    masked: Grey = image * (inside if spec.mask == "lungs" else ~inside)
    return masked


def _crop(image: Grey, fraction: float) -> Grey:
    """Cut whole pixels away: Pillow's filter would look past the edge of a `box`."""
    rows, columns = _margins(image, fraction)
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def _darken(image: Grey, fraction: float) -> Grey:
    rows, columns = _margins(image, fraction)
    if not rows and not columns:
        return image
    dark = np.zeros_like(image)
    inside = np.s_[rows : image.shape[0] - rows, columns : image.shape[1] - columns]
    dark[inside] = image[inside]
    return dark


def _border_only(image: Grey, fraction: float) -> Grey:
    if not fraction:
        return image
    rows, columns = _margins(image, fraction)
    border = image.copy()
    border[rows : image.shape[0] - rows, columns : image.shape[1] - columns] = 0
    return border


def _margins(image: Grey, fraction: float) -> tuple[int, int]:
    return round(image.shape[0] * fraction), round(image.shape[1] * fraction)


def _gain(pixels: Grey, gain: float) -> Views:
    if pixels.dtype == np.uint8:
        if gain == 1.0:
            return pixels  # type: ignore[return-value]  # mypy does not narrow a union by dtype
        table: Views = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
        return table[pixels]
    return np.clip(np.rint(pixels * np.float64(gain)), 0, 255).astype(np.uint8)


def _shuffled(views: Views, blocks: int, order: NDArray[np.intp] | None) -> Views:
    """Views whose blocks stand in another order.

    Where the size is no multiple of the number of blocks, some are a pixel longer than others: in a place of another
    length, the last row or column of a block is left out or repeated.
    """
    if order is None or len(order) != blocks**2:
        raise ValueError(f"{blocks} x {blocks} blocks need an order of as many numbers")
    size = views.shape[1]
    edges = np.arange(blocks + 1) * size // blocks
    lengths = np.diff(edges)
    place = np.repeat(np.arange(blocks), lengths)
    offset = np.arange(size) - edges[place]
    shown = order.reshape(blocks, blocks)[np.ix_(place, place)]
    rows, columns = np.divmod(shown, blocks)
    from_rows = edges[rows] + np.minimum(offset[:, None], lengths[rows] - 1)
    from_columns = edges[columns] + np.minimum(offset[None, :], lengths[columns] - 1)
    shuffled: Views = views.reshape(len(views), -1)[:, from_rows * size + from_columns]
    return shuffled
