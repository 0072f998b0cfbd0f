"""What remains of a score once the hospital is no help: classes told apart among images of one source.

Where a class comes from another source than the rest, telling the sources apart is enough for a perfect score (Maguolo
& Nanni 2021, doi:10.1016/j.inffus.2021.04.008; DeGrave et al. 2021, doi:10.1038/s42256-021-00338-7). So every pair of
classes is judged within the sources they share, and a pair that shares none is called not identifiable instead of given
a number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import Bearing, score_interval
from cxrfeat.metric.stratified import Stratified
from cxrfeat.types import Groups, Labels, Probabilities


def within_source(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    sources: NDArray[np.int64],
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """How well classes are told apart among images of one source.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices; images of one group are drawn together.
        sources: `(n,)` a number for each source, -1 where it is unknown.
        classes: Class names, in the order of the columns.
        resamples: How often to draw.
        level: Share of the resamples inside an interval.
        seed: Decides the draws.

    Returns:
        `accuracy` and `accuracy_ci` over the images of sources with more than one class, each predicted among the
        classes of its source; `chance`, what always naming a source's commonest class would reach; `images` and
        `sources`, how many those are; `known`, the images whose source is known, and `unknown`, the others; and
        `pairs`, for each pair of classes `classes`, `identifiable` (whether they share a source), `known` (whether any
        source is known of both), `images`, `auroc` and `auroc_ci`: the chance that of two images of one source, one of
        each class, the right one has the larger odds. What cannot be said is `None`; so is an interval where fewer than
        8 groups bear it, of each of the two classes for a pair. None has no width.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: `metric.stratified` for the AUROC; Field & Welsh 2007 for drawing whole groups; with few groups
    `metric.small`.

    Example:
        >>> y, p = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
        >>> found = within_source(y, p, np.arange(4), np.array([0, 0, 1, 1]), ["COVID", "NORMAL"])
        >>> found["accuracy"], found["pairs"][0]["auroc"]
        (0.5, 0.5)
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if np.shape(groups) != y.shape or np.shape(sources) != y.shape:
        raise ValueError(f"Groups and sources of {len(y)} images; got {np.shape(groups)} and {np.shape(sources)}.")
    present = {int(code): np.unique(y[sources == code]) for code in np.unique(sources) if code >= 0}
    mixed = {code: there for code, there in present.items() if len(there) > 1}
    sourced = np.unique(y[sources >= 0]).tolist()
    mixes, known = np.isin(sources, list(mixed)), int((sources >= 0).sum())
    group, count = numbered(groups[mixes]) if mixes.any() else (np.zeros(0, np.int64), 0)
    blocks = list(weight_blocks(count, int(mixes.sum()), resamples, seed)) if count >= LEAST_GROUPS else []
    y, p, sources = y[mixes], probabilities[mixes], sources[mixes]
    allowed = np.zeros_like(p, dtype=bool)
    chance = 0
    for code, there in mixed.items():
        allowed[np.ix_(sources == code, there)] = True
        chance += int(np.bincount(y[sources == code]).max())
    hit = (np.where(allowed, p, -1.0).argmax(1) == y).astype(np.float64) if len(y) else np.zeros(0)
    hits, sizes = np.bincount(group, weights=hit), np.bincount(group).astype(np.float64)
    drawn = np.concatenate([np.zeros(0), *((weights @ hits) / (weights @ sizes) for weights in blocks)])
    accuracy = float(hit.mean()) if len(y) else math.nan
    pairs = []
    for a, b in itertools.combinations(range(len(classes)), 2):
        shared = [code for code, there in mixed.items() if a in there and b in there]
        held = np.isin(sources, shared) & np.isin(y, (a, b))
        odds = np.log(np.maximum(p[:, a], 1e-300)) - np.log(np.maximum(p[:, b], 1e-300))
        ranked = Stratified.of(y == a, odds, group, count, np.where(held, sources, -1))
        auroc = ranked.auroc(np.ones((1, count)))
        enough = ranked.bearing.groups >= LEAST_GROUPS
        told = np.concatenate([np.zeros(0), *(ranked.auroc(weights) for weights in blocks if enough)])
        pairs.append(
            {
                "classes": [classes[a], classes[b]],
                "identifiable": bool(shared),
                "known": a in sourced and b in sourced,
                "images": int(held.sum()),
                "auroc": None if np.isnan(auroc[0]) else float(auroc[0]),
                "auroc_ci": score_interval(told, float(auroc[0]), ranked.bearing, level),
            }
        )
    return {
        "accuracy": accuracy if len(y) else None,
        "accuracy_ci": score_interval(drawn, accuracy, Bearing.of(sizes), level),
        "chance": chance / len(y) if len(y) else None,
        "images": len(y),
        "sources": len(mixed),
        "known": known,
        "unknown": len(probabilities) - known,
        "pairs": pairs,
    }
