"""The only place that says whether one run is better than another on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import checked
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
        `difference`, accuracy of A less that of B; `ci`, its `[low, high]`; `p`, two-sided, at least
        `2 / (resamples + 1)`; `tied`, whether the interval holds zero. With one group nothing can be said: `ci` and `p`
        are `None`, and the runs are tied. Correct `p` with `holm` where several pairs are compared.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Field & Welsh 2007 for drawing whole groups; Davison & Hinkley 1997, section 4.2, for counting the observed
    sample among the resamples.

    Example:
        >>> right, wrong = np.array([[1.0, 0.0]] * 4), np.array([[0.0, 1.0]] * 4)
        >>> found = paired_difference(np.zeros(4, int), right, wrong, np.arange(4))
        >>> found["difference"], found["ci"], found["tied"]
        (1.0, [1.0, 1.0], False)
    """
    y, p_a, p_b, group, count = _paired(y, p_a, p_b, groups)
    gain = (p_a.argmax(1) == y).astype(np.float64) - (p_b.argmax(1) == y)
    gains, sizes = np.bincount(group, weights=gain), np.bincount(group).astype(np.float64)
    blocks = weight_blocks(count, count, resamples, seed) if count > 1 else ()
    return _judged(float(gain.mean()), [(weights @ gains) / (weights @ sizes) for weights in blocks], level)


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
        As `paired_difference`; `difference` too is `None` where a class has no images or is the only one.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: as for `paired_difference`. DeLong's test (`cxrfeat.metric.delong`) is for one class at a time.

    Example:
        >>> y, right = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.2, 0.8]])
        >>> found = paired_auroc_difference(y, right, right[:, ::-1], np.arange(4))
        >>> found["difference"], found["tied"]
        (1.0, False)
    """
    y, p_a, p_b, group, count = _paired(y, p_a, p_b, groups)
    of_class = [y == index for index in range(p_a.shape[1])]
    pairs = [(Ranked(of, p_a[:, index], group), Ranked(of, p_b[:, index], group)) for index, of in enumerate(of_class)]

    def gain(weights: Weights) -> NDArray[np.float64]:
        return np.asarray(np.mean([a.auroc(weights) - b.auroc(weights) for a, b in pairs], axis=0))

    observed = float(gain(np.ones((1, count)))[0])
    if np.isnan(observed):
        return {"difference": None, "ci": None, "p": None, "tied": True}
    blocks = weight_blocks(count, len(y), resamples, seed) if count > 1 else ()
    return _judged(observed, [gain(weights) for weights in blocks], level)


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


def _judged(observed: float, blocks: Sequence[NDArray[np.float64]], level: float) -> dict[str, Any]:
    """What the resampled differences say of the observed one."""
    found: dict[str, Any] = {"difference": observed, "ci": None, "p": None, "tied": True}
    drawn = np.concatenate(blocks) if blocks else np.zeros(0)
    interval = percentile_interval(drawn, level)
    if interval is None:
        return found
    defined = drawn[~np.isnan(drawn)]
    beyond = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    p = min(1.0, 2 * (beyond + 1) / (len(defined) + 1))
    return {**found, "ci": interval, "p": p, "tied": interval[0] <= 0 <= interval[1]}
