"""What remains of a score once the hospital is no help: classes told apart among images of one source.

Where a class comes from another source than the rest, telling the sources apart is enough for a perfect score
(PAPER.md, "What the field learned since"). So every pair of classes is judged within the sources they share, and a pair
that shares none is said to be not identifiable instead of given a number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import Bearing, score_interval
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

    Source: the stratified AUROC of Janes & Pepe 2009, "Adjusting for covariate effects on classification accuracy using
    the covariate-adjusted ROC curve"; Field & Welsh 2007 for drawing whole groups; with few groups `metric.small`.

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
    held, known = np.isin(sources, list(mixed)), int((sources >= 0).sum())
    group, count = numbered(groups[held]) if held.any() else (np.zeros(0, np.int64), 0)
    blocks = list(weight_blocks(count, int(held.sum()), resamples, seed)) if count >= LEAST_GROUPS else []
    y, p, sources = y[held], probabilities[held], sources[held]
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
        rows = np.isin(sources, shared) & np.isin(y, (a, b))
        strata = [_ranked(y, p, group, rows & (sources == code), a, b) for code in shared]
        auroc = _stratified(strata, np.ones((1, count))) if strata else np.full(1, np.nan)
        bearing = _bearing(y, group, count, [rows & (sources == code) for code in shared], a, b)
        enough = bearing.groups >= LEAST_GROUPS
        told = np.concatenate([np.zeros(0), *(_stratified(strata, weights) for weights in blocks if enough)])
        pairs.append(
            {
                "classes": [classes[a], classes[b]],
                "identifiable": bool(shared),
                "known": a in sourced and b in sourced,
                "images": int(rows.sum()),
                "auroc": None if np.isnan(auroc[0]) else float(auroc[0]),
                "auroc_ci": score_interval(told, float(auroc[0]), bearing, level),
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


def _ranked(y: Labels, p: Probabilities, group: Groups, rows: NDArray[np.bool_], a: int, b: int) -> Ranked:
    odds = np.log(np.maximum(p[rows, a], 1e-300)) - np.log(np.maximum(p[rows, b], 1e-300))
    return Ranked(y[rows] == a, odds, group[rows])


def _bearing(y: Labels, group: Groups, groups: int, strata: Sequence[NDArray[np.bool_]], a: int, b: int) -> Bearing:
    """What a stratified AUROC rests on: each source as much as the share of the pairs that it has."""
    kinds = [[Bearing.of(np.bincount(group[rows & (y == one)], minlength=groups)) for one in (a, b)] for rows in strata]
    pairs = [ours.images * theirs.images for ours, theirs in kinds]
    of_strata = [Bearing.against(*kind).units for kind in kinds]
    spread = sum((of / sum(pairs)) ** 2 / units for of, units in zip(pairs, of_strata, strict=True))
    held = [
        np.any([rows & (y == one) for rows in strata], axis=0) if strata else np.zeros(len(y), bool) for one in (a, b)
    ]
    return Bearing(
        groups=min(len(np.unique(group[rows])) for rows in held),
        units=1 / spread if spread else 0.0,
        images=float(sum(rows.sum() for rows in held)),
    )


def _stratified(strata: Sequence[Ranked], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wins over pairs, both summed over the sources, `(resamples,)`."""
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for stratum in strata:
        won, there = stratum.wins(weights)
        wins += won
        pairs += there
    rates = np.full(len(weights), np.nan)
    np.divide(wins, pairs, out=rates, where=pairs > 0)
    return rates
