"""The only place that says whether one run is better than another on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import (
    MANY_GROUPS,
    MANY_WRONG,
    Bearing,
    correlation,
    difference_interval,
    is_many,
    p_value,
    share_interval,
    variance,
)
from cxrfeat.types import Groups, Labels, Probabilities


def paired_difference(
    y: Labels,
    p_a: Probabilities,
    p_b: Probabilities,
    groups: Groups,
    seed: int = 0,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Any]:
    """How much more accurate run A is than run B, with both judged on the same drawn groups.

    Args:
        y: `(n,)` true class indices.
        p_a: `(n, classes)` probabilities of run A.
        p_b: Those of run B, for the same images in the same order.
        groups: `(n,)` group indices; images of one group are drawn together.
        seed: Decides the draws; the order of the images does not.
        resamples: How often to draw.
        level: Share of the resamples inside the interval.

    Returns:
        `difference`, accuracy of A less that of B; `ci`, its `[low, high]`, never without width; `p`, two-sided, at
        least `1 / (resamples + 1)`; `tied`, whether the interval holds zero. With fewer than 8 groups nothing can be
        said: `ci` and `p` are `None`, and the runs are tied. Correct `p` with `holm` where several pairs are compared.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Where few groups are tested, or few have an image that only one of the two gets right, the interval is that of the
    difference of the shares of images that only A, and only B, gets right, from the exact interval of each; and `p` is
    the share of ways to swap A and B in some of the groups that give as large a difference.

    Source: Field & Welsh 2007 for drawing whole groups; Davison & Hinkley 1997, section 4.2, for counting the observed
    sample among the resamples. With few: Zou & Donner 2008 and Korn & Graubard 1998; Pitman 1937 for swapping.

    Example:
        >>> right, wrong = np.array([[1.0, 0.0]] * 8), np.array([[0.0, 1.0]] * 8)
        >>> found = paired_difference(np.zeros(8, int), right, wrong, np.arange(8))
        >>> found["difference"], [round(end, 2) for end in found["ci"]], found["tied"]
        (1.0, [0.48, 1.0], False)
    """
    y, p_a, p_b, group, count = _paired(y, p_a, p_b, groups)
    a, b = p_a.argmax(1) == y, p_b.argmax(1) == y
    alone = np.stack([np.bincount(group, a & ~b), np.bincount(group, b & ~a)])  # images that only one gets right
    sizes = np.bincount(group).astype(np.float64)
    observed = float((a.astype(np.float64) - b).mean())
    if count < LEAST_GROUPS:
        return _unknown(observed)
    blocks = weight_blocks(count, count, resamples, seed)
    only_a, only_b = np.concatenate([(weights @ alone.T) / (weights @ sizes)[:, None] for weights in blocks]).T
    many = count >= MANY_GROUPS and np.count_nonzero(alone.any(0)) >= MANY_WRONG
    if many and (found := _judged(observed, only_a - only_b, level)):
        return found
    bearing = Bearing.of(sizes)
    shares = alone.sum(1) / sizes.sum()
    of_a, of_b = (
        share_interval(float(share), float(drawn.var()), bearing, level)
        for share, drawn in zip(shares, (only_a, only_b), strict=True)
    )
    together = correlation(only_a, only_b, bearing)
    low, high = difference_interval(float(shares[0]), of_a, float(shares[1]), of_b, together)
    p = _swapped(alone[0] - alone[1], resamples, seed)
    return {"difference": observed, "ci": [low, high], "p": p, "tied": low <= 0 <= high}


def paired_auroc_difference(
    y: Labels,
    p_a: Probabilities,
    p_b: Probabilities,
    groups: Groups,
    seed: int = 0,
    *,
    resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Any]:
    """By how much the mean AUROC over classes, each against the rest, is larger for run A than for run B.

    Args:
        y: `(n,)` true class indices.
        p_a: `(n, classes)` probabilities of run A.
        p_b: Those of run B, for the same images in the same order.
        groups: `(n,)` group indices; images of one group are drawn together.
        seed: Decides the draws; the order of the images does not.
        resamples: How often to draw; resamples without a class are left out.
        level: Share of the resamples inside the interval.

    Returns:
        As `paired_difference`, with 8 groups of every class; `difference` too is `None` where a class has no images or
        is the only one. With few groups, or few wins missed, the interval is that of the difference of the two AUROCs
        from the exact interval of each (`metric.small`), and `p` the largest at which it leaves zero out.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: as for `paired_difference`. DeLong's test (`cxrfeat.metric.delong`) is for one class at a time.

    Example:
        >>> y, right = np.arange(20) % 2, np.tile([[0.9, 0.1], [0.1, 0.9]], (10, 1))
        >>> found = paired_auroc_difference(y, right, right[:, ::-1], np.arange(20))
        >>> found["difference"], found["tied"]
        (1.0, False)
    """
    y, p_a, p_b, group, count = _paired(y, p_a, p_b, groups)
    of_class = [y == index for index in range(p_a.shape[1])]
    pairs = [(Ranked(of, p_a[:, index], group), Ranked(of, p_b[:, index], group)) for index, of in enumerate(of_class)]

    def means(weights: Weights) -> NDArray[np.float64]:
        """`(2, resamples)`, of A and of B."""
        return np.asarray(np.mean([[run.auroc(weights) for run in pair] for pair in pairs], axis=0))

    ((a,), (b,)) = means(np.ones((1, count)))
    if np.isnan(a):
        return _unknown(None)
    observed = float(a - b)
    bearing = Bearing.weakest(
        [Bearing.against(*(_bearing(group[rows], count) for rows in (of, ~of))) for of in of_class]
    )
    if bearing.groups < LEAST_GROUPS:
        return _unknown(observed)
    drawn = np.concatenate([means(weights) for weights in weight_blocks(count, len(y), resamples, seed)], axis=1)
    return difference_of(float(a), float(b), drawn[0], drawn[1], bearing, level)


def difference_of(
    a: float, b: float, drawn_a: NDArray[np.float64], drawn_b: NDArray[np.float64], bearing: Bearing, level: float
) -> dict[str, Any]:
    """What is said of the difference of two scores between 0 and 1, of runs A and B, as `paired_auroc_difference` does.

    Args:
        a: The score of A.
        b: That of B.
        drawn_a: `(resamples,)` that of A on drawn groups; NaN where it does not exist.
        drawn_b: That of B on the same.
        bearing: What both rest on; at least 8 groups.
        level: Of the interval.
    """
    observed = a - b
    spreads = variance(drawn_a), variance(drawn_b)
    if spreads[0] is None or spreads[1] is None:
        return _unknown(observed)
    of_runs = list(zip((a, b), (spreads[0], spreads[1]), strict=True))
    many = all(is_many(score, spread, bearing, level) for score, spread in of_runs)
    if many and (found := _judged(observed, drawn_a - drawn_b, level)):
        return found
    together = correlation(drawn_a, drawn_b, bearing)

    def interval(level: float) -> list[float]:
        of_a, of_b = (share_interval(score, spread, bearing, level) for score, spread in of_runs)
        return difference_interval(a, of_a, b, of_b, together)

    low, high = interval(level)
    return {"difference": observed, "ci": [low, high], "p": p_value(interval), "tied": low <= 0 <= high}


def mcnemar(y: Labels, p_a: Probabilities, p_b: Probabilities) -> dict[str, Any]:
    """McNemar's exact test of whether A and B are right equally often, from the images that only one gets right.

    It takes images as independent: where a patient has several, `p` is smaller than it should be, and
    `paired_difference` is the one to believe.

    Args:
        y: `(n,)` true class indices.
        p_a: `(n, classes)` probabilities of run A.
        p_b: Those of run B, for the same images in the same order.

    Returns:
        `only_a` and `only_b`, images that only A, or only B, gets right; `p`, two-sided, 1 where there is none.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: McNemar 1947; the exact conditional test of Fagerland, Lydersen & Laake 2013, section 2.

    Example:
        >>> right, wrong = np.array([[1.0, 0.0]] * 6), np.array([[0.0, 1.0]] * 6)
        >>> mcnemar(np.zeros(6, int), right, wrong)
        {'only_a': 6, 'only_b': 0, 'p': 0.03125}
    """
    from scipy.special import bdtr

    y, p_a, p_b, _, _ = _paired(y, p_a, p_b, np.zeros(len(y), np.int64))
    a, b = p_a.argmax(1) == y, p_b.argmax(1) == y
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
    return {"only_a": only_a, "only_b": only_b, "p": p}


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for having looked that many times, in the given order.

    Source: Holm 1979; the same as R's `p.adjust(method="holm")`.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values lie between 0 and 1; got {list(p_values)}.")
    order = np.argsort(p, kind="stable")
    raised = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    corrected = np.empty_like(p)
    corrected[order] = raised
    return [float(value) for value in corrected]


def _paired(
    y: Labels, p_a: Probabilities, p_b: Probabilities, groups: Groups
) -> tuple[Labels, Probabilities, Probabilities, Groups, int]:
    classes = np.shape(p_a)[-1]
    y, p_a = checked(y, p_a, classes)
    y, p_b = checked(y, p_b, classes)
    if np.shape(groups) != y.shape:
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    return y, p_a, p_b, *numbered(groups)


def _bearing(group: Groups, count: int) -> Bearing:
    return Bearing.of(np.bincount(group, minlength=count))


def _unknown(observed: float | None) -> dict[str, Any]:
    return {"difference": observed, "ci": None, "p": None, "tied": True}


def _judged(observed: float, drawn: NDArray[np.float64], level: float) -> dict[str, Any] | None:
    """What many resampled differences say of the observed one; `None` where they hardly differ."""
    interval = percentile_interval(drawn, level)
    if interval is None or interval[0] == interval[1]:
        return None
    defined = drawn[~np.isnan(drawn)]
    beyond = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    p = min(1.0, 2 * (beyond + 1) / (len(defined) + 1))
    return {"difference": observed, "ci": interval, "p": p, "tied": interval[0] <= 0 <= interval[1]}


def _swapped(gains: NDArray[np.float64], resamples: int, seed: int) -> float:
    """How often the groups' gains sum up to as much where A and B are swapped in some groups by chance, two-sided."""
    gains = gains[gains != 0]
    if not len(gains):
        return 1.0
    signs = np.random.default_rng([seed, 1]).integers(0, 2, (resamples, len(gains))) * 2 - 1
    as_much = int(np.count_nonzero(np.abs(signs @ gains) >= abs(gains.sum())))
    return (as_much + 1) / (resamples + 1)
