"""The only place that says whether one run is better than another on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cxrfeat.metric.resample import numbered, percentile_interval, weight_blocks
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
    classes = np.shape(p_a)[-1]
    y, p_a = checked(y, p_a, classes)
    y, p_b = checked(y, p_b, classes)
    if np.shape(groups) != y.shape:
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    gain = (p_a.argmax(1) == y).astype(np.float64) - (p_b.argmax(1) == y)
    observed = float(gain.mean())
    group, count = numbered(groups)
    if count < 2:
        return {"difference": observed, "ci": None, "p": None, "tied": True}
    gains, sizes = np.bincount(group, weights=gain), np.bincount(group).astype(np.float64)
    differences = np.concatenate(
        [(weights @ gains) / (weights @ sizes) for weights in weight_blocks(count, count, resamples, seed)]
    )
    beyond = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    interval = percentile_interval(differences, level)
    assert interval is not None  # every resample holds images, so every difference exists
    return {
        "difference": observed,
        "ci": interval,
        "p": min(1.0, 2 * (beyond + 1) / (resamples + 1)),
        "tied": interval[0] <= 0 <= interval[1],
    }


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
