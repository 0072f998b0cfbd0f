"""All chance in the views: which parameters a view gets, and the order of shuffled blocks.

Drawing touches no pixel, applying touches no chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import ViewSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewParams:
    """What is done to an image to make one view of it."""

    flip: bool = False
    """Mirrored left to right."""
    zoom: float = 1.0
    """Magnification about the centre; above 1 the border falls outside."""
    gain: float = 1.0
    """Factor on the grey values, clipped to 255 afterwards."""


PLAIN = ViewParams()
"""Parameters of view 0."""


def view_rng(seed: int, content_sha256: str, view: int) -> np.random.Generator:
    """A generator for one view, keyed by what the view is: never by batch, worker or order.

    Args:
        seed: Seed of the view spec.
        content_sha256: SHA-256 of the image's bytes, 64 hexadecimal digits.
        view: Place among the image's views, from 0.
    """
    words = np.frombuffer(bytes.fromhex(content_sha256), dtype="<u4")
    key = [seed, view, *words.tolist()]  # a list: seed + view would collide
    # As an array it gives the same numbers in a third of the time; it holds seeds of 32 bits.
    return np.random.default_rng(np.array(key, np.uint32) if max(seed, view) < 2**32 else key)


def draw(spec: ViewSpec, rng: np.random.Generator) -> ViewParams:
    """Draw one view's parameters, each independent and uniform over its interval.

    Always takes three numbers from `rng`, so that switching one kind of change off leaves the others as they were.
    """
    flip, zoom, gain = rng.random(3).tolist()
    return ViewParams(
        flip=spec.flip and flip < 0.5,
        zoom=spec.zoom[0] + zoom * (spec.zoom[1] - spec.zoom[0]),
        gain=spec.brightness[0] + gain * (spec.brightness[1] - spec.brightness[0]),
    )


def draw_views(spec: ViewSpec, content_sha256: str) -> tuple[ViewParams, ...]:
    """The parameters of all `spec.count` views of an image; the first is `PLAIN`.

    Example:
        >>> draw_views(ViewSpec(size=32, count=1), "00" * 32)
        (ViewParams(flip=False, zoom=1.0, gain=1.0),)
    """
    drawn = (draw(spec, view_rng(spec.seed, content_sha256, view)) for view in range(1, spec.count))
    return (PLAIN, *drawn)


def draw_order(spec: ViewSpec, content_sha256: str) -> NDArray[np.intp]:
    """The block that each place of a shuffled image shows; one order for all views of an image.

    Args:
        spec: Gives the number of blocks, and the seed.
        content_sha256: SHA-256 of the image's bytes, 64 hexadecimal digits.

    Returns:
        `(spec.shuffle ** 2,)`, each number from 0 once, row by row; empty where nothing is shuffled.

    Example:
        >>> draw_order(ViewSpec(size=32), "00" * 32)
        array([], dtype=int64)
    """
    # View 0 is plain and draws nothing, so its generator is free.
    return np.argsort(view_rng(spec.seed, content_sha256, 0).random(spec.shuffle**2), kind="stable")


def to_array(params: tuple[ViewParams, ...]) -> NDArray[np.float64]:
    """`(views, 3)` float64: flip (0 or 1), zoom, gain, enough to draw each view again."""
    return np.array([(view.flip, view.zoom, view.gain) for view in params], dtype=np.float64)
