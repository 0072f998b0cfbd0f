"""The only place that knows how the AUROC varies without drawing again: DeLong's variance, over groups of images.

An image of the class wins against each image of the rest that has a smaller probability, and half against an equal one.
The AUROC is the share of wins, and its variance follows from how much that share differs from image to image. Images of
one patient are not independent, so here it differs from group to group; with one image per group that is DeLong's.

Source: DeLong, DeLong & Clarke-Pearson 1988, "Comparing the areas under two or more correlated ROC curves"; Sun & Xu
2014, "Fast implementation of DeLong's algorithm", for counting wins by rank instead of pair by pair; Obuchowski 1997,
"Nonparametric analysis of clustered ROC curve data", section 2, for groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered
from cxrfeat.metric.small import Bearing, difference_interval, is_many, p_value, share_interval
from cxrfeat.types import Groups


def auroc_interval(
    positive: NDArray[np.bool_], probability: NDArray[np.float64], groups: Groups | None = None, *, level: float = 0.95
) -> dict[str, Any]:
    """The AUROC of one class against the rest, its variance, and an interval.

    The interval is symmetric on the logit scale, so that it stays between 0 and 1 and holds the truth as often as it
    says near 1, where the plain one reaches beyond (Pepe 2003, section 5.2; Qin & Hotilovac 2008 compare them). With
    few groups, or few wins missed, it is the exact one of a share that varies as much (`metric.small`).

    Args:
        positive: `(n,)`, whether an image is of the class.
        probability: `(n,)` of the class, or anything that ranks as it does.
        groups: `(n,)` group indices, any integers; `None` makes each image one of its own.
        level: Level of the interval.

    Returns:
        `auroc`, in [0, 1], `None` unless there are images of both kinds; `variance`, at least 0, `None` unless each
        kind comes in two groups; `ci`, `[low, high]`, never without width, `None` unless each kind comes in 8 groups.

    Raises:
        ValueError: If the arguments do not fit together, or a probability is not finite.

    Example:
        >>> found = auroc_interval(np.arange(16) > 7, np.arange(16) / 16)  # all of 8 outrank all of 8
        >>> found["auroc"], found["variance"], [round(end, 3) for end in found["ci"]]
        (1.0, 0.0, [0.772, 1.0])
    """
    positive, group, count = _checked(positive, groups, level, probability)
    ranked = _placed(positive, probability, group, count)
    if ranked is None:
        return {"auroc": None, "variance": None, "ci": None}
    variance, bearing = ranked.variance(), ranked.bearing()
    interval = None
    if variance is not None and bearing.groups >= LEAST_GROUPS:
        if is_many(ranked.auroc, variance, bearing, level):
            centre = math.log(ranked.auroc / (1 - ranked.auroc))
            reach = _quantile(level) * math.sqrt(variance) / (ranked.auroc * (1 - ranked.auroc))
            interval = [1 / (1 + math.exp(reach - centre)), 1 / (1 + math.exp(-reach - centre))]
        else:
            interval = share_interval(ranked.auroc, variance, bearing, level)
    return {"auroc": ranked.auroc, "variance": variance, "ci": interval}


def auroc_difference(
    positive: NDArray[np.bool_],
    probability_a: NDArray[np.float64],
    probability_b: NDArray[np.float64],
    groups: Groups | None = None,
    *,
    level: float = 0.95,
) -> dict[str, Any]:
    """By how much the AUROC of A exceeds that of B on the same images, and whether chance would do that.

    Args:
        positive: `(n,)`, whether an image is of the class.
        probability_a: `(n,)` of the class by run A.
        probability_b: `(n,)` of the class by run B.
        groups: `(n,)` group indices, any integers; `None` makes each image one of its own.
        level: Level of the interval.

    Returns:
        `difference`, `None` unless there are images of both kinds; `variance`, `None` unless each kind comes in two
        groups; `ci`, `difference` plus and minus normal quantiles, cut at -1 and 1, and `p`, two-sided, by the normal
        distribution; both `None` unless each kind comes in 8 groups. With few groups, or few wins missed, the interval
        is that of the difference of the two AUROCs from the exact interval of each (Zou & Donner 2008; `metric.small`),
        and `p` the largest at which it leaves zero out.

    Raises:
        ValueError: If the arguments do not fit together, or a probability is not finite.

    Example:
        >>> positive, a = np.arange(20) > 9, np.arange(20) / 20
        >>> found = auroc_difference(positive, a, np.where(np.arange(20) % 3 > 0, a, 1 - a))
        >>> found["difference"], [round(end, 2) for end in found["ci"]], round(found["p"], 3)
        (0.375, [0.05, 0.71], 0.018)
    """
    positive, group, count = _checked(positive, groups, level, probability_a, probability_b)
    a, b = (_placed(positive, probability, group, count) for probability in (probability_a, probability_b))
    if a is None or b is None:
        return {"difference": None, "variance": None, "ci": None, "p": None}
    difference, bearing = a.auroc - b.auroc, a.bearing()
    variance, of_a, of_b = a.less(b).variance(), a.variance(), b.variance()
    found: dict[str, Any] = {"difference": difference, "variance": variance, "ci": None, "p": None}
    if variance is None or of_a is None or of_b is None or bearing.groups < LEAST_GROUPS:
        return found
    if variance > 0 and all(is_many(one.auroc, of, bearing, level) for one, of in ((a, of_a), (b, of_b))):
        error = math.sqrt(variance)
        reach = _quantile(level) * error
        found["ci"] = [max(-1.0, difference - reach), min(1.0, difference + reach)]
        found["p"] = math.erfc(abs(difference) / error / math.sqrt(2))
        return found
    both, most = math.sqrt(of_a * of_b), 1 - 1 / bearing.units
    together = max(-most, min(most, (of_a + of_b - variance) / 2 / both)) if both else 0.0

    def interval(level: float) -> list[float]:
        ends_a, ends_b = (share_interval(one.auroc, of, bearing, level) for one, of in ((a, of_a), (b, of_b)))
        return difference_interval(a.auroc, ends_a, b.auroc, ends_b, together)

    found["ci"], found["p"] = interval(level), p_value(interval)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Placed:
    """How far each group's wins lie from what the AUROC makes one expect, `(groups,)`; and how many images it has."""

    auroc: float
    won: NDArray[np.float64]
    """Over the group's images of the class: the share of the rest that they outrank, less the AUROC, summed."""
    lost: NDArray[np.float64]
    """Over the group's images of the rest: the share of the class that outranks them, less the AUROC, summed."""
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    def less(self, other: _Placed) -> _Placed:
        """The same of the difference of two AUROCs, which is a mean over the same images."""
        return _Placed(
            auroc=self.auroc - other.auroc,
            won=self.won - other.won,
            lost=self.lost - other.lost,
            positives=self.positives,
            negatives=self.negatives,
        )

    def bearing(self) -> Bearing:
        """What the AUROC rests on."""
        return Bearing.against(Bearing.of(self.positives), Bearing.of(self.negatives))

    def variance(self) -> float | None:
        m, n = int(self.positives.sum()), int(self.negatives.sum())
        with_positive, with_negative = int((self.positives > 0).sum()), int((self.negatives > 0).sum())
        if min(with_positive, with_negative) < 2:
            return None
        groups = len(self.positives)
        return (
            with_positive / (with_positive - 1) * _sum_of(self.won * self.won) / m**2
            + with_negative / (with_negative - 1) * _sum_of(self.lost * self.lost) / n**2
            + 2 * groups / (groups - 1) * _sum_of(self.won * self.lost) / (m * n)
        )


def _placed(
    positive: NDArray[np.bool_], probability: NDArray[np.float64], group: Groups, groups: int
) -> _Placed | None:
    ours, theirs = probability[positive], probability[~positive]
    m, n = len(ours), len(theirs)
    if not m or not n:
        return None
    outranked, outranking = _below(ours, theirs), m - _below(theirs, ours)
    auroc = float(outranked.sum() / (m * n))  # halves, so sums of them are exact in any order
    positives = np.bincount(group[positive], minlength=groups)
    negatives = np.bincount(group[~positive], minlength=groups)
    return _Placed(
        auroc=auroc,
        won=np.bincount(group[positive], weights=outranked, minlength=groups) / n - positives * auroc,
        lost=np.bincount(group[~positive], weights=outranking, minlength=groups) / m - negatives * auroc,
        positives=positives,
        negatives=negatives,
    )


def _below(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of `among` lie below each value, equal ones counted half: its midrank in both, less that in its own."""
    ordered = np.sort(among)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _sum_of(terms: NDArray[np.float64]) -> float:
    return math.fsum(terms.tolist())  # rounded once, so that the order of the images cannot change a bit


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _checked(
    positive: NDArray[np.bool_], groups: Groups | None, level: float, *probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], Groups, int]:
    positive = np.asarray(positive)
    if positive.dtype != np.bool_ or positive.ndim != 1:
        raise ValueError(f"Whether each image is of the class is (n,) bool; got {positive.dtype} {positive.shape}.")
    if not 0 < level < 1:
        raise ValueError(f"A level lies between 0 and 1; got {level}.")
    for probability in probabilities:
        if np.shape(probability) != positive.shape or not np.isfinite(probability).all():
            raise ValueError(f"Finite probabilities of {len(positive)} images; got shape {np.shape(probability)}.")
    if groups is None:
        return positive, np.arange(len(positive)), len(positive)
    if np.shape(groups) != positive.shape:
        raise ValueError(f"Groups of {len(positive)} images; got shape {np.shape(groups)}.")
    return positive, *numbered(groups)
