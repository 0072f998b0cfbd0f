"""The only place that knows what little data allow to be said: intervals that hold where drawing groups again does not.

Draws show nothing that the groups did not show: with all right, every draw is all right, and percentiles of them have
no width; with few groups, draws vary less than new patients would. So an interval is

- `None` where fewer than `LEAST_GROUPS` groups bear the score (of each class, where it takes several);
- percentiles of the draws where `MANY_GROUPS` bear it and `MANY_WRONG` images' worth of the rarer outcome is there;
- else the exact binomial one of as many independent images as would vary as much as the draws do, fewer by Student's
  quantile for what few groups tell of how they vary.

Sources: Clopper & Pearson 1934 for the exact interval; Korn & Graubard 1998, "Confidence intervals for proportions with
small expected number of positive counts estimated from survey data", for the number of images and the quantile; the
same is used here for every score between 0 and 1. Where nothing varies, or hardly anything is wrong, the images count
as many as their groups are worth (`Bearing.units`), as if all images of a group were alike.

Simulated with 3 classes of 8 to 20 groups of 1 to 7 images, of which all, half or none of the noise is the group's, and
a sensitivity of 0.48 to 0.97, the intervals of 95 % hold the truth at least 93 times in 100; mostly more often, as
exact ones do (`tests/metric/test_small.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import percentile_interval

MANY_GROUPS, MANY_WRONG = 100, 20
"""Groups, and images' worth of the rarer outcome, from which on percentiles of the draws are as good: with 60 groups
they held the truth 91 to 94 times in 100."""

_RARE = 5.0
"""Images' worth of the rarer outcome below which how much the draws vary is itself chance."""

_NOTHING = 1e-24
"""Variances up to this are the rounding errors of a value that never changed."""

Drawn = NDArray[np.float64]
"""`(resamples,)` values of a score, NaN where it does not exist."""

Interval = list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """What a score rests on."""

    groups: int
    """Groups; where it takes images of several classes, those of the class that comes in the fewest."""
    units: float
    """Independent images that they are worth at least."""
    images: float
    """Independent images that they are worth at most."""
    bounded: bool = False
    """Whether the score cannot vary more than `units` images would, as a share of images cannot."""

    @staticmethod
    def of(sizes: NDArray[np.float64] | NDArray[np.int64]) -> Bearing:
        """Of a share of images, this many in each group.

        Source: Kish 1965, section 8.2, for what clusters of unequal sizes are worth.

        Example:
            >>> Bearing.of(np.array([2.0, 2.0, 0.0, 4.0]))
            Bearing(groups=3, units=2.6666666666666665, images=8.0, bounded=True)
        """
        held = np.asarray(sizes, np.float64)
        total, squares = float(held.sum()), float(held @ held)
        units = total**2 / squares if squares else 0.0
        return Bearing(groups=int(np.count_nonzero(held)), units=units, images=total, bounded=True)

    @staticmethod
    def against(ours: Bearing, theirs: Bearing) -> Bearing:
        """Of the chance that an image of ours outranks one of theirs.

        Source: Hanley & McNeil 1982, equation 2 and their exponential model: with m images of the one kind and n of
        the other, an AUROC near 1 varies as a share of 2 m n / (n + 1) images does, or with m and n exchanged.
        """
        least, most = sorted((ours.units, theirs.units))
        return Bearing(
            groups=min(ours.groups, theirs.groups),
            units=2 * least * most / (most + 1),
            images=ours.images + theirs.images,
        )

    @staticmethod
    def found_among(ours: Bearing, theirs: Bearing) -> Bearing:
        """Of the average precision with which ours are found among theirs.

        Source: Boyd, Eng & Page 2013, section 3.1, who take it for a share of the images of the class.
        """
        return Bearing(groups=min(ours.groups, theirs.groups), units=min(ours.units, theirs.units), images=ours.images)

    @staticmethod
    def mean(of_classes: Sequence[Bearing], every: Bearing) -> Bearing:
        """Of a mean over classes that each rest on images of their own, `every` being all of them.

        All right, one class right with chance p in each of k units and so on: by the inequality of the means that is
        likeliest, for a given mean, where all classes are alike, so that the least class counts for each.
        """
        least = min(one.units for one in of_classes), min(one.images for one in of_classes)
        return Bearing(
            groups=min(one.groups for one in of_classes),
            units=min(len(of_classes) * least[0], every.units),
            images=min(len(of_classes) * least[1], every.images),
        )

    @staticmethod
    def weakest(bearings: Sequence[Bearing]) -> Bearing:
        """Of a mean of scores that rest on the same images: it may vary as much as the one that varies most."""
        return Bearing(
            groups=min(one.groups for one in bearings),
            units=min(one.units for one in bearings),
            images=min(one.images for one in bearings),
        )


def score_interval(drawn: Drawn, observed: float, bearing: Bearing, level: float) -> Interval:
    """The interval of a score between 0 and 1.

    Args:
        drawn: `(resamples,)` its values.
        observed: The value of the images as they are; NaN where there is none.
        bearing: What it rests on.
        level: How often it shall hold the truth, between 0 and 1.

    Returns:
        `[low, high]`, `low <= observed <= high` and never equal; or `None`, also where the score does not exist in more
        than half of the resamples.

    Example:
        >>> eight = Bearing.of(np.ones(8))
        >>> [round(end, 3) for end in score_interval(np.ones(100), 1.0, eight, 0.95)]  # 8 of 8: Clopper-Pearson
        [0.631, 1.0]
        >>> score_interval(np.ones(100), 1.0, Bearing.of(np.ones(7)), 0.95) is None
        True
    """
    spread = variance(drawn)
    if math.isnan(observed) or bearing.groups < LEAST_GROUPS or spread is None:
        return None
    if is_many(observed, spread, bearing, level):
        return percentile_interval(drawn, level)
    return share_interval(observed, spread, bearing, level)


def variance(drawn: Drawn) -> float | None:
    """Of the draws in which the score exists; `None` where it does in less than half."""
    known = drawn[~np.isnan(drawn)]
    return float(known.var()) if len(known) and 2 * len(known) >= len(drawn) else None


def is_many(observed: float, spread: float, bearing: Bearing, level: float) -> bool:
    """Whether so much bears a score between 0 and 1 that large-sample intervals hold."""
    rarer = min(observed, 1 - observed)
    enough = bearing.groups >= MANY_GROUPS and spread > _NOTHING
    return enough and _worth(observed, spread, bearing, level) * rarer >= MANY_WRONG


def share_interval(observed: float, spread: float, bearing: Bearing, level: float) -> list[float]:
    """The exact interval of a score between 0 and 1 whose variance is `spread`.

    Example:
        >>> [round(end, 3) for end in share_interval(0.75, 0.1875 / 20, Bearing.of(np.ones(20)), 0.95)]
        [0.509, 0.913]
    """
    from scipy.special import betaincinv

    observed = min(1.0, max(0.0, observed))  # a mean of ones may be rounded to more
    count = _worth(observed, spread, bearing, level)
    hits, tail = observed * count, (1 - level) / 2
    low = float(betaincinv(hits, count - hits + 1, tail)) if observed > 0 else 0.0
    high = float(betaincinv(hits + 1, count - hits, 1 - tail)) if observed < 1 else 1.0
    return [min(low, observed), max(high, observed)]


def _worth(observed: float, spread: float, bearing: Bearing, level: float) -> float:
    """Independent images whose share would vary as the score does."""
    if spread <= _NOTHING:
        return bearing.units
    # At the edge, where draws may still vary with a threshold, half an image's worth of the other outcome is added.
    share = observed if 0 < observed < 1 else (observed * bearing.units + 0.5) / (bearing.units + 1)
    count = share * (1 - share) / (spread * _widened(bearing.units, level))
    if bearing.bounded:
        count = max(count, bearing.units)
    count = min(count, bearing.images)
    return min(count, bearing.units) if count * min(observed, 1 - observed) < _RARE else count


def _widened(units: float, level: float) -> float:
    """How much the variance of draws of this many units must grow: n - 1 for n, Student's for the normal quantile.

    Source: Korn & Graubard 1998, section 2; Hesterberg 2015, section 3.2, for the draws.
    """
    from scipy.special import ndtri, stdtrit

    free, tail = max(units - 1, 1.0), (1 + level) / 2
    return float((free + 1) / free * (stdtrit(free, tail) / ndtri(tail)) ** 2)


def loss_interval(drawn: Drawn, observed: float, wrong: Bearing, groups: int, level: float) -> Interval:
    """The interval of a mean loss, 0 or more without an end, most of which is that of images taken for another class.

    Args:
        drawn: `(resamples,)` its values.
        observed: That of the images as they are.
        wrong: The images taken for another class: what a loss is like without them says nothing of what it would be
            with them, so that fewer than `LEAST_GROUPS` groups with one give no interval.
        groups: All of them.
        level: How often it shall hold the truth.

    Returns:
        `[low, high]`, or `None`. With few, the exact interval of a count of as many events as vary as the draws do, at
        most the groups that are wrong, each of the same size.

    Source: Garwood 1936 for the count; Fay & Feuer 1997, section 2, for sums of unequal events.
    """
    from scipy.special import gammaincinv

    spread = variance(drawn)
    if wrong.groups < LEAST_GROUPS or spread is None or observed <= 0:
        return None
    events = float(wrong.groups)
    if spread > _NOTHING:
        events = min(events, observed**2 / (spread * _widened(float(groups), level)))
    if groups >= MANY_GROUPS and events >= MANY_WRONG:
        return percentile_interval(drawn, level)
    tail = (1 - level) / 2
    ends = float(gammaincinv(events, tail)), float(gammaincinv(events + 1, 1 - tail))
    return [observed * end / events for end in ends]


def sum_of_sizes_interval(
    drawn: NDArray[np.float64], observed: NDArray[np.float64], bearing: Bearing, level: float
) -> Interval:
    """The interval of a sum of sizes, between 0 and 1, such as the calibration error.

    Chance can only raise a sum of sizes, so percentiles of draws lie above it. The low end is that sum less what the
    parts, each by its size, seldom differ by in draws (the triangle's inequality), so that 0 is held where 0 is true.
    At the high end the sum with signs held fixed, which chance does not raise, bounds the other from below. Simulated
    with 720 images and a true error of 0, 0.07 and 0.19, intervals of 95 % hold it 96, 95 and 98 times in 100.

    Args:
        drawn: `(resamples, parts)` with their signs.
        observed: `(parts,)`.
        bearing: The images.
        level: How often it shall hold the truth.

    Returns:
        `[low, high]`, or `None`.
    """
    if bearing.groups < LEAST_GROUPS or not len(drawn):
        return None
    total = min(1.0, float(np.abs(observed).sum()))
    differs = float(np.percentile(np.abs(drawn - observed).sum(1), 50 * (1 + level)))
    signed = float((drawn @ np.where(observed < 0, -1.0, 1.0)).var())
    low, high = share_interval(total, signed, bearing, level)
    return [max(0.0, min(low, total - differs * math.sqrt(_widened(bearing.units, level)))), high]


def difference_interval(
    a: float, of_a: Sequence[float], b: float, of_b: Sequence[float], together: float
) -> list[float]:
    """The interval of a - b from those of a and b.

    Args:
        a: The one.
        of_a: Its `[low, high]`.
        b: The other.
        of_b: Its `[low, high]`.
        together: Their correlation.

    Source: Zou & Donner 2008 and Zou 2007, equation 15, for two that are correlated (the MOVER).

    Example:
        >>> [round(end, 3) for end in difference_interval(0.0, [0.0, 0.369], 0.0, [0.0, 0.369], 0.0)]
        [-0.369, 0.369]
    """
    down, up = a - of_a[0], of_a[1] - a
    other_down, other_up = b - of_b[0], of_b[1] - b
    low = down**2 + other_up**2 - 2 * together * down * other_up
    high = up**2 + other_down**2 - 2 * together * up * other_down
    return [a - b - math.sqrt(max(0.0, low)), a - b + math.sqrt(max(0.0, high))]


def ratio_interval(a: float, of_a: Sequence[float], b: float, of_b: Sequence[float], together: float) -> Interval:
    """The interval of a / b, for b above 0, from those of a and b: the ratios r at which that of a - r b holds 0.

    Args:
        a: The one.
        of_a: Its `[low, high]`.
        b: The other.
        of_b: Its `[low, high]`.
        together: Their correlation.

    Returns:
        `None` where b may be 0: then the ratio has no end.

    Source: Donner & Zou 2012, section 2.2, found by halving instead of in closed form; Fieller 1954.
    """
    if of_b[0] <= 0:
        return None

    def held(ratio: float) -> bool:
        of_scaled = sorted((ratio * of_b[0], ratio * of_b[1]))
        low, high = difference_interval(a, of_a, ratio * b, of_scaled, together if ratio >= 0 else -together)
        return low <= 0 <= high

    return [_last(held, a / b, -1), _last(held, a / b, 1)]


def _last(held: Callable[[float], bool], start: float, way: int) -> float:
    """The last value that way from `start` that is held, to a millionth."""
    step = 1e-3
    while held(start + way * step) and step < 1e3:
        step *= 2
    inside, outside = 0.0, step
    while outside - inside > 1e-6:
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if held(start + way * middle) else (inside, middle)
    return start + way * inside


def p_value(interval: Callable[[float], Sequence[float]]) -> float:
    """The largest p, two-sided, at which the interval of the level 1 - p leaves 0 out, to a thousandth of itself.

    Example:
        >>> from scipy.stats import norm
        >>> round(p_value(lambda level: [2 - norm.ppf((1 + level) / 2), 9]), 3)  # two standard errors from 0
        0.046
    """
    low, high = -14.0, 0.0  # of the logarithm of p, to base 10
    while high - low > 5e-4:
        middle = (low + high) / 2
        ends = interval(1 - 10**middle)
        low, high = (middle, high) if ends[0] <= 0 <= ends[1] else (low, middle)
    return float(10**high)


def correlation(one: Drawn, other: Drawn, bearing: Bearing) -> float:
    """Of two scores over the draws; 0 where one does not vary, and never so near 1 that a difference had no width."""
    known = ~(np.isnan(one) | np.isnan(other))
    one, other = one[known], other[known]
    if len(one) < 2 or min(one.var(), other.var()) <= _NOTHING:
        return 0.0
    most = 1 - 1 / max(bearing.units, 2.0)
    return float(np.clip(np.corrcoef(one, other)[0, 1], -most, most))
