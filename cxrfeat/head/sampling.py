"""The only place that decides which training rows an epoch sees, and in which order: values, no features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Image index and view index of each training row, ready for `X[image, view]`."""


def epoch_rows(images: int, views: int, views_per_epoch: int | None, seed: int, epoch: int) -> Rows:
    """The shuffled rows of one epoch; they depend on these five numbers only.

    Args:
        images: Training images.
        views: Stored views of each.
        views_per_epoch: Views of each image to draw, none twice; `None` is all of them.
        seed: The head's seed.
        epoch: Counted from 0.

    Example:
        >>> image, view = epoch_rows(2, 8, 1, seed=0, epoch=0)
        >>> sorted(image.tolist()), view.shape
        ([0, 1], (2,))
    """
    rng = np.random.default_rng([seed, epoch])
    drawn = np.broadcast_to(np.arange(views), (images, views))
    if views_per_epoch is not None:
        drawn = rng.permuted(drawn, axis=1)[:, :views_per_epoch]
    order = rng.permutation(drawn.size)
    return order // drawn.shape[1], drawn.reshape(-1)[order].astype(np.int64)
