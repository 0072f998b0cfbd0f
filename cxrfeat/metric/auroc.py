"""The only place that says how well one value tells two kinds of images apart, with an interval over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.types import Groups


def auroc_over_groups(
    positive: NDArray[np.bool_],
    value: NDArray[np.float64],
    groups: Groups,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """The chance that an image of the one kind has the larger value, and its interval.

    Args:
        positive: `(n,)`, whether an image is of the one kind.
        value: `(n,)`.
        groups: `(n,)` group indices; images of one group are drawn together.
        resamples: How often to draw.
        level: How often the interval shall hold the truth.
        seed: Decides the draws; the order of the images does not.

    Returns:
        `auroc` and `auroc_ci`, `[low, high]`; `None` where a kind has no images, the interval also where fewer than 8
        groups bear it, of either kind.

    Source: Hanley & McNeil 1982; intervals as in `metric.small`.

    Example:
        >>> found = auroc_over_groups(np.arange(16) > 7, np.arange(16.0), np.arange(16))
        >>> found["auroc"], [round(end, 3) for end in found["auroc_ci"]]
        (1.0, [0.772, 1.0])
    """
    if not positive.any() or positive.all():
        return {"auroc": None, "auroc_ci": None}
    group, count = numbered(groups)
    ranked = Ranked(positive, value, group)
    observed = float(ranked.auroc(np.ones((1, count)))[0])
    ours, theirs = (Bearing.of(np.bincount(group[side], minlength=count)) for side in (positive, ~positive))
    bearing = Bearing.against(ours, theirs)
    blocks = weight_blocks(count, len(value), resamples, seed) if bearing.groups >= LEAST_GROUPS else ()
    drawn = np.concatenate([np.empty(0), *(ranked.auroc(weights) for weights in blocks)])
    return {"auroc": observed, "auroc_ci": score_interval(drawn, observed, bearing, level)}
