"""How near predicted numbers are to the true ones, with intervals over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, percentile_interval, weight_blocks
from cxrfeat.types import Groups

_TENTHS = 10


def score_numbers(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: Groups,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Mean absolute error, root mean squared error and R2, and how predictions are calibrated.

    Args:
        y: `(n,)` the true numbers.
        predicted: `(n,)`.
        groups: `(n,)`; images of one group are drawn together.
        resamples: How often to draw.
        level: Of the intervals.
        seed: Of the draws; the order of the images does not matter beyond rounding.

    Returns:
        `mae`, `rmse` and `r2`, each with `_ci`; `images` and `groups`; and `tenths`, the images from the least
        predicted number to the largest, each tenth with `images`, the mean `predicted` and the mean `true` number and
        its `true_ci`. An interval is `None` where fewer than 8 groups bear it, `r2` where the true numbers are all one.

    Source: Field & Welsh 2007 for drawing whole groups; Efron & Tibshirani 1993, section 13.3, for percentiles.

    Example:
        >>> found = score_numbers(np.arange(20.0), np.arange(20.0) + 1, np.arange(20), resamples=50)
        >>> found["mae"], found["rmse"], round(found["r2"], 3)
        (1.0, 1.0, 0.97)
    """
    group, count = numbered(groups)
    error = predicted - y
    order = np.argsort(predicted, kind="stable")
    tenth = np.empty(len(y), np.int64)
    tenth[order] = np.arange(len(y)) * _TENTHS // max(1, len(y))
    columns = [np.ones(len(y)), np.abs(error), error**2, y - y.mean(), (y - y.mean()) ** 2]
    columns += [value for one in range(_TENTHS) for value in ((tenth == one) * 1.0, (tenth == one) * y)]
    sums = np.column_stack([np.bincount(group, weights=column, minlength=count) for column in columns])
    observed = _rates(np.ones((1, count)) @ sums)[0]
    blocks = [_rates(weights @ sums) for weights in weight_blocks(count, len(y), resamples, seed)]
    drawn = np.concatenate(blocks)
    found: dict[str, Any] = {}
    for place, name in enumerate(("mae", "rmse", "r2")):
        value = float(observed[place])
        found[name] = None if np.isnan(value) else value
        found[f"{name}_ci"] = percentile_interval(drawn[:, place], level) if count >= LEAST_GROUPS else None
    tenths = []
    for one in range(_TENTHS):
        here = tenth == one
        if here.any():
            enough = len(np.unique(group[here])) >= LEAST_GROUPS
            ends = percentile_interval(drawn[:, 3 + one], level) if enough else None
            of_tenth = {"images": int(here.sum()), "predicted": float(predicted[here].mean())}
            tenths.append({**of_tenth, "true": float(y[here].mean()), "true_ci": ends})
    return found | {"tenths": tenths, "images": len(y), "groups": count}


def _rates(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(resamples, 3 + tenths)` of the sums over images, NaN where a value does not exist."""
    images, absolute, squared, first, second = sums[:, :5].T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = second - first**2 / images
        r2 = np.where(spread > 0, 1 - squared / spread, np.nan)
        means = sums[:, 6::2] / np.where(sums[:, 5::2] > 0, sums[:, 5::2], np.nan)
        return np.column_stack([absolute / images, np.sqrt(squared / images), r2, means])
