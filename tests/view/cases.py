"""Images and views of all kinds, drawn by a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import ViewSpec
from cxrfeat.view.draw import ViewParams

SIZES = (16, 31, 32, 47)


def case(seed: int, size: int | None = None) -> tuple[ViewSpec, NDArray[np.uint8], list[ViewParams]]:
    """Four views of an image of 16 to 90 pixels: any shape, noise or a flat grey, usual parameters and extreme ones."""
    rng = np.random.default_rng(seed)
    size = int(rng.choice(SIZES)) if size is None else size
    height, width = rng.integers(16, 91, 2).tolist()
    if rng.random() < 0.3:
        width = height
    image = rng.integers(0, 256, (height, width), dtype=np.uint8)
    if rng.random() < 0.1:
        image[...] = rng.choice([0, 1, 128, 254, 255])
    params = [
        ViewParams(
            flip=bool(rng.random() < 0.5),
            zoom=float(rng.choice([1.0, 1 + 0.2 * rng.random(), 1 + 9 * rng.random()])),
            gain=float(rng.choice([1.0, 0.8 + 0.45 * rng.random(), 0.05 + 19 * rng.random()])),
        )
        for _ in range(4)
    ]
    return ViewSpec(size=size, zoom=(1.0, 10.0)), image, params
