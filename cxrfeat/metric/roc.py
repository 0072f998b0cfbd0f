"""The only place that makes curves of probabilities, each with the band that drawing groups again gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.calibrate import ECE_BINS, confidence_bins, reliability
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.types import Groups, Labels, Probabilities

GRID = 51
"""False positive rates, from 0 to 1, at which the band of an ROC curve is given."""


def roc_band(
    positive: NDArray[np.bool_],
    probability: NDArray[np.float64],
    groups: Groups,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any] | None:
    """The ROC curve of one class against the rest, and at each false positive rate an interval of the sensitivity.

    The band is pointwise: it holds the curve at one rate this often, not everywhere at once.

    Args:
        positive: `(n,)`, whether an image is of the class.
        probability: `(n,)` of the class, or anything that ranks as it does.
        groups: `(n,)` group indices; images of one group are drawn together.
        resamples: How often to draw.
        level: Share of the resamples inside the band.
        seed: Decides the draws.

    Returns:
        `false_positive` and `sensitivity`, the corners of the curve from (0, 0) to (1, 1), ties joined by a slope;
        `grid`, `GRID` false positive rates; `low` and `high`, the band there, each `None` where there is none: at a
        rate of 1, where the sensitivity is 1 by definition, and with fewer than 8 groups of the class or of the rest.
        `None` in all where there are no images of the class, or none of the rest.

    Raises:
        ValueError: If the arguments do not fit together.

    Source: Fawcett 2006 for the curve; vertical averaging and the pointwise bootstrap of Macskassy & Provost 2004;
    Field & Welsh 2007 for drawing whole groups; with few groups, and where all or none are found, the exact interval of
    a share of the class's images that varies as much (`metric.small`).

    Example:
        >>> found = roc_band(np.array([True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.1]), np.arange(4))
        >>> found["false_positive"], found["sensitivity"]
        ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    positive, probability = np.asarray(positive, bool), np.asarray(probability, np.float64)
    if not positive.shape == probability.shape == np.shape(groups) or positive.ndim != 1:
        raise ValueError(f"One truth, probability and group per image; got {positive.shape}, {probability.shape}.")
    if not positive.any() or positive.all():
        return None
    group, count = numbered(groups)
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # the last image of each run of equal values

    def curves(weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples, values + 1)` false positive rates and sensitivities."""
        both = weights[:, group[order]]
        hits = np.cumsum(both * positive[order], axis=1)[:, ends]
        alarms = np.cumsum(both * ~positive[order], axis=1)[:, ends]
        return _share(alarms), _share(hits)

    (false_positive,), (sensitivity,) = curves(np.ones((1, count)))
    corner = _corners(false_positive, sensitivity)
    grid = np.linspace(0, 1, GRID)
    drawn = [np.empty((0, GRID))]
    ours, theirs = (Bearing.of(np.bincount(group[side], minlength=count)) for side in (positive, ~positive))
    bearing = Bearing.found_among(ours, theirs)
    for weights in weight_blocks(count, len(positive), resamples, seed) if bearing.groups >= LEAST_GROUPS else ():
        # Of equal false positive rates `interp` takes the last, which is the top of a vertical step, as it should be.
        pairs = zip(*curves(weights), strict=True)
        drawn.append(np.array([np.interp(grid, rate, found) for rate, found in pairs]))
    at_grid = np.interp(grid, false_positive, sensitivity)
    ends_of = [
        None if rate == 1 else score_interval(column, float(value), bearing, level)
        for column, value, rate in zip(np.concatenate(drawn).T, at_grid, grid, strict=True)
    ]
    return {
        "false_positive": false_positive[corner].tolist(),
        "sensitivity": sensitivity[corner].tolist(),
        "grid": grid.tolist(),
        "low": [None if one is None else one[0] for one in ends_of],
        "high": [None if one is None else one[1] for one in ends_of],
    }


def calibration_band(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    *,
    bins: int = ECE_BINS,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """The reliability diagram as numbers, with an interval of each bin's accuracy.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices; images of one group are drawn together.
        bins: Of equal width over the largest probability.
        resamples: How often to draw.
        level: Share of the resamples inside an interval.
        seed: Decides the draws.

    Returns:
        What `reliability` gives, and `accuracy_ci`: for each bin `[low, high]`, never without width, or `None` with
        fewer than 8 groups.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Guo et al. 2017, section 2; Field & Welsh 2007; Clopper & Pearson 1934 and Korn & Graubard 1998 for few
    groups, and where all are right, wrong, or half of each (`metric.small`).

    Example:
        >>> found = calibration_band(np.zeros(8, int), np.tile([0.9, 0.1], (8, 1)), np.arange(8), bins=2)
        >>> found["accuracy"], [None if one is None else [round(end, 3) for end in one] for one in found["accuracy_ci"]]
        ([None, 1.0], [None, [0.631, 1.0]])
    """
    told = reliability(y, probabilities, bins)
    if np.shape(groups) != np.shape(y):
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    group, count = numbered(groups)
    place = confidence_bins(np.asarray(probabilities).max(1), bins)
    right = np.asarray(probabilities).argmax(1) == np.asarray(y)
    tallies = np.zeros((count, 2 * bins))
    np.add.at(tallies, (group, place), right)
    np.add.at(tallies, (group, bins + place), 1.0)
    blocks = weight_blocks(count, len(right), resamples, seed) if count >= LEAST_GROUPS else ()
    sums = np.concatenate([np.empty((0, 2 * bins)), *(weights @ tallies for weights in blocks)])
    rates = np.divide(sums[:, :bins], sums[:, bins:], out=np.full((len(sums), bins), np.nan), where=sums[:, bins:] > 0)
    found = [
        None if accuracy is None else score_interval(drawn, accuracy, Bearing.of(sizes), level)
        for accuracy, drawn, sizes in zip(told["accuracy"], rates.T, tallies[:, bins:].T, strict=True)
    ]
    return {**told, "accuracy_ci": found}


def _share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cumulative sums as shares of the last, NaN where that is zero, with a zero before them."""
    whole = sums[:, -1:]
    shares = np.divide(sums, whole, out=np.full_like(sums, np.nan), where=whole > 0)
    return np.concatenate([np.zeros_like(whole), shares], axis=1)


def _corners(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of the points where a curve turns, its ends among them."""
    across = np.diff(x)[:-1] * np.diff(y)[1:] - np.diff(x)[1:] * np.diff(y)[:-1]
    return np.flatnonzero(np.r_[True, np.abs(across) > 1e-12, True])
