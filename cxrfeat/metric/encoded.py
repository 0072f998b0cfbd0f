"""How well something else than the class can be read from scores, among images of one class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.metric.stratified import Stratified
from cxrfeat.types import Groups


def encoded_scores(
    kind: NDArray[np.int64],
    scores: NDArray[np.float64],
    groups: Groups,
    strata: NDArray[np.int64],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """The AUROC of each kind against the rest among images of one stratum, in the mean over the kinds.

    Judged are the kinds of which, and of the rest, at least `LEAST_GROUPS` groups stand in strata with both.

    Args:
        kind: `(n,)` of each image.
        scores: `(n, k)`, a column for each of kinds 0 to `k - 1`, high for images of it; one column is of kind 1, and
            the rest is kind 0.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        strata: `(n,)` the stratum of each image, such as its class; -1 is none. Scores of different ones are never
            compared.
        resamples: How often to draw.
        level: How often the interval shall hold the truth.
        seed: Decides the draws.

    Returns:
        `auroc` (`None` where no stratum has two kinds); `auroc_ci`; `judged`, the kinds judged, of which there are none
        where too few groups bear any: then there is no interval, and the AUROC is of all kinds; and `images` and
        `groups`, in all strata.

    Source: `metric.stratified`; Field & Welsh 2007 for drawing whole groups; with few groups `metric.small`.

    Example:
        >>> kind, strata = np.arange(40) % 2, np.arange(40) // 20
        >>> found = encoded_scores(kind, (kind + 10.0 * strata)[:, None], np.arange(40), strata)
        >>> found["auroc"], found["judged"]
        (1.0, [1])
    """
    held = strata >= 0
    kind, scores, strata = kind[held], scores[held], strata[held]
    group, count = numbered(groups[held]) if held.any() else (np.zeros(0, np.int64), 0)
    kinds = [1] if scores.shape[1] == 1 else list(range(scores.shape[1]))
    ranked = {
        one: Stratified.of(kind == one, scores[:, place], group, count, strata) for place, one in enumerate(kinds)
    }
    judged = [one for one in kinds if ranked[one].bearing.groups >= LEAST_GROUPS]
    shown = [ranked[one] for one in judged or kinds if ranked[one].ranked]
    auroc = float(np.mean([one.auroc(np.ones((1, count)))[0] for one in shown])) if shown else None
    interval = None
    if judged and auroc is not None:
        blocks = weight_blocks(count, len(kind), resamples, seed)
        drawn = np.concatenate([np.mean([one.auroc(weights) for one in shown], axis=0) for weights in blocks])
        interval = score_interval(drawn, auroc, Bearing.weakest([one.bearing for one in shown]), level)
    return {"auroc": auroc, "auroc_ci": interval, "judged": judged, "images": len(kind), "groups": count}
