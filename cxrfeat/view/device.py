"""Views as tables that a device draws them by, with the very bits of `view.apply`: Pillow's arithmetic of resampling.

An image then crosses to the device once, and not each of its views. What Pillow does with 8-bit grey pixels: the ends
of the region are single-precision numbers; a triangle filter, widened where the image shrinks, gives each pixel of the
view its weights in double precision; these are rounded to whole numbers of 22 bits, and so is, after either pass, the
sum of the weighted pixels to one of 8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import ViewSpec
from cxrfeat.types import TAP_BITS, Grey, Taps, Undrawn
from cxrfeat.view.draw import ViewParams

MOST = 8
"""How many times the bytes of its views an image may have: larger ones are drawn on the host, to bound the memory of a
batch."""


def can_cross(spec: ViewSpec, image: Grey) -> bool:
    """Whether an image's views can be left to a device: not those whose blocks are shuffled afterwards.

    Nor those of an image so large that they are quicker to send than it.
    """
    return not spec.shuffle and image.size <= MOST * spec.count * spec.size**2


def undrawn(spec: ViewSpec, image: Grey, params: Sequence[ViewParams]) -> Undrawn | None:
    """What `view.apply.drawn` makes of an image, as tables of whole numbers.

    Args:
        spec: Gives the size.
        image: A `changed` image.
        params: One for each view.

    Returns:
        The image and its tables; `None` if it has more than 8 bits.
    """
    if image.dtype != np.uint8:
        return None
    height, width = image.shape
    zoom = np.array([one.zoom for one in params])
    return Undrawn(
        image=image,  # type: ignore[arg-type]  # mypy does not narrow a union by dtype
        columns=taps(width, zoom, spec.size),
        rows=None if height == width else taps(height, zoom, spec.size),
        flips=np.array([one.flip for one in params]),
        gains=np.clip(np.rint(np.arange(256) * np.array([[one.gain] for one in params])), 0, 255).astype(np.uint8),
    )


def taps(length: int, zoom: NDArray[np.float64], size: int) -> Taps:
    """How Pillow resamples the middle of this many pixels, magnified, to `size`; one table for each zoom.

    As in its `normalize_coeffs_8bpc`, since the last bit of a weight can decide a pixel.
    """
    first, _, exact = weights(length, zoom, size)
    return Taps(first=first, weights=np.floor(exact * 2**TAP_BITS + 0.5).astype(np.int32))


def weights(
    length: int, zoom: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """What `taps` rounds; operation by operation as in Pillow's `precompute_coeffs`.

    Returns:
        For each of `(n, size)` pixels: the first that it is made of, how many these are, and, `(n, size, taps)`, how
        much of each.
    """
    half = length / 2 / zoom
    low, high = (length / 2 - half).astype(np.float32)[:, None], (length / 2 + half).astype(np.float32)[:, None]
    scale = (high - low).astype(np.float64) / size
    wide = np.maximum(scale, 1.0)
    centre = low.astype(np.float64) + (np.arange(size) + 0.5) * scale
    first = np.maximum((centre - wide + 0.5).astype(np.int32), 0)
    count = np.minimum((centre + wide + 0.5).astype(np.int32), length) - first
    shares = np.zeros((*first.shape, int(count.max())))
    total = np.zeros(first.shape)
    for tap in range(shares.shape[-1]):
        share = np.maximum(1.0 - np.abs((first + tap - centre + 0.5) * (1.0 / wide)), 0.0)
        shares[..., tap] = np.where(tap < count, share, 0.0)
        total += shares[..., tap]  # one after the other, as there
    return first, count, shares / total[..., None]
