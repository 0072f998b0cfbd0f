"""How near predicted numbers are to the true ones, and whose are nearer, with intervals over groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import expanded, numbered, percentile_interval, weight_blocks
from cxrfeat.types import Groups

ERRORS = ("mae", "rmse", "r2")
"""What is reported of predicted numbers."""

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

    Source: Field & Welsh 2007 for drawing whole groups; Hesterberg 2015, section 3.2, for percentiles that hold with
    few.

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
    for place, name in enumerate(ERRORS):
        value = float(observed[place])
        found[name] = None if np.isnan(value) else value
        found[f"{name}_ci"] = _interval(drawn[:, place], level, count)
    tenths = []
    for one in range(_TENTHS):
        here = tenth == one
        if here.any():
            ends = _interval(drawn[:, 3 + one], level, len(np.unique(group[here])))
            of_tenth = {"images": int(here.sum()), "predicted": float(predicted[here].mean())}
            tenths.append({**of_tenth, "true": float(y[here].mean()), "true_ci": ends})
    return found | {"tenths": tenths, "images": len(y), "groups": count}


def number_line(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: Groups,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """How true numbers follow predicted ones: whether predictions made on other patients can be taken as they are.

    Args:
        y: `(n,)` the true numbers.
        predicted: `(n,)`.
        groups: `(n,)`; images of one group are drawn together.
        resamples: How often to draw.
        level: Of the intervals.
        seed: Of the draws.

    Returns:
        `slope` of the true numbers on the predicted ones by least squares: 1 where predictions are right, below 1 where
        they spread too far; and `bias`, the mean predicted number less the mean true one, in the unit of the number.
        Each with `_ci`; the slope is `None` where all predictions are one number, an interval where fewer than 8 groups
        bear it.

    Source: as `score_numbers`; Steyerberg 2019, "Clinical Prediction Models", section 15.3, for the two figures.

    Example:
        >>> found = number_line(np.arange(20.0), 2 * np.arange(20.0), np.arange(20), resamples=50)
        >>> found["slope"], found["bias"]
        (0.5, 9.5)
    """
    group, count = numbered(groups)
    y_mean, said_mean = float(y.mean()), float(predicted.mean())
    true, said = y - y_mean, predicted - said_mean
    columns = [np.ones(len(y)), said, said**2, true, true * said]
    sums = np.column_stack([np.bincount(group, weights=column, minlength=count) for column in columns])

    def of(told: NDArray[np.float64]) -> NDArray[np.float64]:
        images, first, second, other, product = told.T
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = second - first**2 / images
            slope = np.where(spread > 1e-12 * np.abs(second), (product - first * other / images) / spread, np.nan)
            return np.column_stack([slope, (first - other) / images + said_mean - y_mean])

    observed = of(np.ones((1, count)) @ sums)[0]
    drawn = np.concatenate([of(weights @ sums) for weights in weight_blocks(count, len(y), resamples, seed)])
    slope = None if np.isnan(observed[0]) else float(observed[0])
    return {
        "slope": slope,
        "slope_ci": None if slope is None else _interval(drawn[:, 0], level, count),
        "bias": float(observed[1]),
        "bias_ci": _interval(drawn[:, 1], level, count),
    }


def paired_number_differences(
    y: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    groups: Groups,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """By how much the errors of predictions A are larger than those of predictions B, of the same drawn groups.

    Args:
        y: `(n,)` the true numbers.
        a: `(n,)` what A says of them.
        b: `(n,)` what B says of the same images.
        groups: `(n,)`; images of one group are drawn together.
        resamples: How often to draw.
        level: Of the intervals.
        seed: Of the draws; the order of the images does not matter beyond rounding.

    Returns:
        For each of `mae`, `rmse` and `r2`: `difference`, A's less B's (below zero A is nearer; by `r2`, above); `ci`;
        `p`, two-sided, the one at which the interval begins to leave zero out, at least about `1 / resamples`; `tied`,
        whether the interval holds zero. With fewer than 8 groups nothing can be said: `ci` and `p` are `None`, and the
        two are tied; so are they where `r2` does not exist. Correct `p` with `holm` where several pairs are compared.

    Source: as `score_numbers`; Davison & Hinkley 1997, section 4.2, for counting the observed sample among the draws.

    Example:
        >>> y = np.arange(20.0)
        >>> found = paired_number_differences(y, y + 1, y - np.arange(20) % 4, np.arange(20))
        >>> found["mae"]["difference"], found["mae"]["tied"], found["rmse"]["tied"]
        (-0.5, True, False)
    """
    group, count = numbered(groups)
    centred = y - y.mean()
    columns = [np.ones(len(y)), *(of(one - y) for one in (a, b) for of in (np.abs, np.square)), centred, centred**2]
    sums = np.column_stack([np.bincount(group, weights=column, minlength=count) for column in columns])
    observed = _differences(np.ones((1, count)) @ sums)[0]
    drawn = np.concatenate([_differences(weights @ sums) for weights in weight_blocks(count, len(y), resamples, seed)])
    found = {}
    for place, name in enumerate(ERRORS):
        ends = _interval(drawn[:, place], level, count)
        difference = None if np.isnan(observed[place]) else float(observed[place])
        known = ends is not None and difference is not None
        found[name] = {
            "difference": difference,
            "ci": ends if known else None,
            "p": _p(drawn[:, place], count) if known else None,
            "tied": not known or (ends is not None and ends[0] <= 0 <= ends[1]),
        }
    return found


def _interval(drawn: NDArray[np.float64], level: float, groups: int) -> list[float] | None:
    return percentile_interval(drawn, expanded(level, groups)) if groups >= LEAST_GROUPS else None


def _p(drawn: NDArray[np.float64], groups: int) -> float:
    """The p at which `_interval` begins to leave zero out: `expanded`, turned round."""
    from scipy.special import ndtri, stdtr

    defined = drawn[~np.isnan(drawn)]
    beyond = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    tail = min(0.5, (beyond + 1) / (len(defined) + 1))
    return float(2 * stdtr(groups - 1, ndtri(tail) * ((groups - 1) / groups) ** 0.5))


def _differences(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(resamples, 3)` of the sums over images, NaN where a value does not exist."""
    images, absolute_a, squared_a, absolute_b, squared_b, first, second = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = second - first**2 / images
        r2 = np.where(spread > 0, (squared_b - squared_a) / spread, np.nan)
        rmse = np.sqrt(squared_a / images) - np.sqrt(squared_b / images)
        return np.column_stack([(absolute_a - absolute_b) / images, rmse, r2])


def _rates(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(resamples, 3 + tenths)` of the sums over images, NaN where a value does not exist."""
    images, absolute, squared, first, second = sums[:, :5].T
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = second - first**2 / images
        r2 = np.where(spread > 0, 1 - squared / spread, np.nan)
        means = sums[:, 6::2] / np.where(sums[:, 5::2] > 0, sums[:, 5::2], np.nan)
        return np.column_stack([absolute / images, np.sqrt(squared / images), r2, means])
