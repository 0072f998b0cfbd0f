"""How much of a model's score can be had without the lungs: the only place that knows the shortcut ratio.

A control is a classifier that is given no disease to see: how the file is stored, a picture of eight by eight pixels,
an image whose lungs are black. Its AUROC above chance, over the model's, is the share of the score open to doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import Bearing, correlation, is_many, ratio_interval, score_interval, share_interval, variance
from cxrfeat.types import Groups, Labels, Probabilities

LEAST = 0.1
"""A model whose AUROC is nearer to chance than this has no score of which a control could have a share."""


def control_scores(
    y: Labels,
    control: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    model: Probabilities | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy and AUROC of a control, and its shortcut ratio to a model tested on the same images.

    Judged are the classes with at least `LEAST_GROUPS` groups, control and model alike among them alone, so that one
    small class hides nothing of the others. Where fewer than two have as many, the scores are of all classes that are
    there, and prove nothing.

    Args:
        y: `(n,)` true class indices.
        control: `(n, classes)` probabilities of the control, rows summing to 1.
        groups: `(n,)` group indices; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        model: `(n, classes)` probabilities of the model; `None` leaves the ratio out.
        resamples: How often to draw.
        level: Share of the resamples inside an interval.
        seed: Decides the draws.

    Returns:
        `accuracy` and `auroc` (mean over the classes judged, one against the rest), each with its `_ci`; `judged`,
        their names, at least two, or none where there are too few groups of them; `too_few`, the groups of each other
        class; and `ratio` with
        `ratio_ci`: (AUROC of the control - 0.5) / (AUROC of the model - 0.5), both drawn together. 0 is a model that
        owes nothing to what the control sees, 1 one that does no better. `None` where it does not exist: there is one
        class, or the model is at chance. No interval has no width; there is none with fewer than 8 groups (of each
        class, for AUROC and ratio), nor of the ratio where the model may be at chance.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Maguolo & Nanni 2021 and DeGrave, Janizek & Lee 2021 for scores without lungs; Field & Welsh 2007 for
    drawing whole groups; with few groups `metric.small`, for the ratio Donner & Zou 2012.

    Example:
        >>> y = np.array([0, 0, 1, 1])
        >>> sure, half = np.eye(2)[y], np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])
        >>> control_scores(y, half, np.arange(4), ["COVID", "NORMAL"], sure)["ratio"]
        0.5
    """
    y, control = checked(y, control, len(classes))
    if np.shape(groups) != y.shape:
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    told = [control] if model is None else [control, checked(y, model, len(classes))[1]]
    there = tested_groups(y, groups, classes)
    of_class = np.array(list(there.values()))
    judged = np.flatnonzero(of_class >= LEAST_GROUPS)
    shown = judged if len(judged) > 1 else np.flatnonzero(of_class)
    held = np.isin(y, shown)
    y, told = np.searchsorted(shown, y[held]), [_among(one[held], shown) for one in told]
    group, count = numbered(groups[held])
    ranked = [[Ranked(y == index, one[:, index], group) for index in range(len(shown))] for one in told]
    hits = np.bincount(group, weights=told[0].argmax(1) == y, minlength=count)
    sizes = np.bincount(group, minlength=count).astype(np.float64)
    once = np.ones((1, count))
    observed = [_mean_auroc(one, once) for one in ranked]
    parts: list[list[NDArray[np.float64]]] = [[np.zeros(0)] for _ in (None, *ranked)]
    for weights in weight_blocks(count, len(y), resamples, seed) if count >= LEAST_GROUPS else ():
        parts[0].append((weights @ hits) / (weights @ sizes))
        for some, one in zip(parts[1:], ranked, strict=True):
            some.append(_mean_auroc(one, weights))
    right, *drawn = (np.concatenate(some) for some in parts)
    sides = [
        [Bearing.of(np.bincount(group[rows], minlength=count)) for rows in (y == index, y != index)]
        for index in range(len(shown))
    ]
    bearing = Bearing.weakest([Bearing.against(*pair) for pair in sides])
    accuracy = float(hits.sum() / sizes.sum())
    scores: dict[str, Any] = {
        "accuracy": accuracy,
        "accuracy_ci": score_interval(right, accuracy, Bearing.of(sizes), level),
        "auroc": _plain(observed[0]),
        "auroc_ci": score_interval(drawn[0], float(observed[0][0]), bearing, level),
        "judged": [classes[index] for index in judged.tolist()] if len(judged) > 1 else [],
        "too_few": {name: number for name, number in there.items() if number < LEAST_GROUPS},
    }
    if model is not None:
        scores["ratio"] = _plain(_ratio(*observed))
        known = scores["ratio"] is not None and bearing.groups >= LEAST_GROUPS
        scores["ratio_ci"] = _ratio_interval(observed, drawn, bearing, level) if known else None
    return scores


def tested_groups(y: Labels, groups: Groups, classes: Sequence[str]) -> dict[str, int]:
    """How many groups of each class there are.

    Args:
        y: `(n,)` class indices.
        groups: `(n,)` group indices.
        classes: Class names.

    Example:
        >>> tested_groups(np.array([0, 0, 1]), np.array([5, 5, 6]), ["COVID", "NORMAL"])
        {'COVID': 1, 'NORMAL': 1}
    """
    return {name: len(np.unique(groups[y == index])) for index, name in enumerate(classes)}


def _among(probabilities: Probabilities, classes: NDArray[np.intp]) -> Probabilities:
    """`(n, k)`: what is said of these classes, one of them being it; all alike where nothing is."""
    some = probabilities[:, classes]
    total = some.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(some, total, out=np.full_like(some, 1 / len(classes)), where=total > 0))


def _mean_auroc(ranked: Sequence[Ranked], weights: Weights) -> NDArray[np.float64]:
    return np.asarray(np.mean([one.auroc(weights) for one in ranked], axis=0))


def _ratio(control: NDArray[np.float64], model: NDArray[np.float64]) -> NDArray[np.float64]:
    above = model - 0.5
    return np.divide(control - 0.5, above, out=np.full_like(above, np.nan), where=above >= LEAST)


def _ratio_interval(
    observed: Sequence[NDArray[np.float64]], drawn: Sequence[NDArray[np.float64]], bearing: Bearing, level: float
) -> list[float] | None:
    (control,), (model,) = observed
    spreads = [variance(values) for values in drawn]
    if spreads[0] is None or spreads[1] is None:
        return None
    of_both = list(zip((float(control), float(model)), (spreads[0], spreads[1]), strict=True))
    if all(is_many(auroc, spread, bearing, level) for auroc, spread in of_both):
        interval = percentile_interval(_ratio(*drawn), level)
        if interval is not None and interval[0] < interval[1]:
            return interval
    above = [[end - 0.5 for end in share_interval(*one, bearing, level)] for one in of_both]
    together = correlation(drawn[0], drawn[1], bearing)
    return ratio_interval(float(control) - 0.5, above[0], float(model) - 0.5, above[1], together)


def _plain(value: NDArray[np.float64]) -> float | None:
    return None if np.isnan(value[0]) else float(value[0])
