"""Views of an image of more than 8 bits, drawn here: the bits of Pillow's resampling in a quarter of its time."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np

from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey, Views
from cxrfeat.view.device import weights
from cxrfeat.view.draw import ViewParams

KERNEL = Compiled("cxrfeat.view.deep_kernel")

ADDS_AS_PILLOW = platform.machine().lower() in ("x86_64", "amd64")
"""Elsewhere compilers may round a product and a sum as one, so that Pillow's last bit is another."""


def draw_deep(image: Grey, params: Sequence[ViewParams], size: int) -> Views:
    """`(views, size, size)` uint8: what `view.apply.drawn_one_by_one` gives of the same image and parameters.

    Args:
        image: `(h, w)` float32.
        params: One for each view.
        size: Height and width of a view, in pixels.
    """
    height, width = image.shape
    zoom = np.array([one.zoom for one in params])
    views: Views = np.empty((len(params), size, size), np.uint8)
    KERNEL.load().draw(
        np.require(image, np.float32, "A"),
        *weights(width, zoom, size),
        *weights(height, zoom, size),
        np.array([one.flip for one in params]),
        np.array([one.gain for one in params], np.float64),
        views,
    )
    return views
