"""From one grey image and drawn parameters to the pixels a network sees: the only place that resamples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from cxrfeat.spec import ViewSpec
from cxrfeat.types import Grey, Views
from cxrfeat.view.draw import ViewParams


def apply_views(spec: ViewSpec, image: Grey, params: Sequence[ViewParams]) -> Views:
    """Make the views of one image.

    Each is one Pillow `resize(box=..., BILINEAR)`, which filters when it shrinks, with no second interpolation; then
    the mirror; then the gain, rounded and clipped. An image of more than 8 bits stays float until that one rounding.

    Args:
        spec: Gives the size, and the border to cut or blacken.
        image: `(h, w)` uint8, or float32 in [0, 255].
        params: One for each view.

    Returns:
        `(len(params), spec.size, spec.size)` uint8.
    """
    image = _darken(_crop(image, spec.border_crop), spec.border_darken)
    height, width = image.shape
    source = Image.fromarray(image)
    views = np.empty((len(params), spec.size, spec.size), dtype=np.uint8)
    for view, one in zip(views, params, strict=True):
        half_width, half_height = width / 2 / one.zoom, height / 2 / one.zoom
        box = (width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height)
        pixels = np.asarray(source.resize((spec.size, spec.size), Image.Resampling.BILINEAR, box=box))
        if one.flip:
            pixels = pixels[:, ::-1]
        view[...] = _gain(pixels, one.gain)
    return views


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


def _margins(image: Grey, fraction: float) -> tuple[int, int]:
    return round(image.shape[0] * fraction), round(image.shape[1] * fraction)


def _gain(pixels: Grey, gain: float) -> Views:
    if pixels.dtype == np.uint8:
        if gain == 1.0:
            return pixels  # type: ignore[return-value]  # mypy does not narrow a union by dtype
        table: Views = np.clip(np.rint(np.arange(256) * gain), 0, 255).astype(np.uint8)
        return table[pixels]
    return np.clip(np.rint(pixels * np.float64(gain)), 0, 255).astype(np.uint8)
