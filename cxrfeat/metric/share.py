"""The only place that gives a share of images its interval over groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.types import Groups


def share_over_groups(
    hit: NDArray[np.bool_], groups: Groups, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float | None, list[float] | None]:
    """How many of some images are so, and its interval.

    Args:
        hit: `(n,)`, whether an image is.
        groups: `(n,)` group indices; images of one group are drawn together.
        resamples: How often to draw.
        level: How often the interval shall hold the truth.
        seed: Decides the draws.

    Returns:
        The share, `None` of no images; and `[low, high]`, `None` where fewer than 8 groups bear it.

    Source: intervals as in `metric.small`.

    Example:
        >>> share, interval = share_over_groups(np.arange(20) < 2, np.arange(20))
        >>> share, [round(end, 3) for end in interval]
        (0.1, [0.012, 0.317])
    """
    if not len(hit):
        return None, None
    group, count = numbered(groups)
    sizes = np.bincount(group, minlength=count).astype(np.float64)
    hits = np.bincount(group, hit.astype(np.float64), minlength=count)
    observed = float(hits.sum() / sizes.sum())
    blocks = weight_blocks(count, len(hit), resamples, seed) if count >= LEAST_GROUPS else ()
    drawn = np.concatenate([np.empty(0), *((weights @ hits) / (weights @ sizes) for weights in blocks)])
    return observed, score_interval(drawn, observed, Bearing.of(sizes), level)
