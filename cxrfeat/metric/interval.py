"""The only place that knows how sure a score is: percentile intervals by bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric import confusion
from cxrfeat.metric.resample import Weights, numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.types import Groups, Labels, Probabilities

_OVERALL: dict[str, Callable[[confusion.Counts], confusion.Rates]] = {
    "accuracy_ci": confusion.accuracy,
    "balanced_accuracy_ci": confusion.balanced_accuracy,
    "macro_f1_ci": confusion.macro_f1,
}
_PER_CLASS: dict[str, Callable[[confusion.Counts], confusion.Rates]] = {
    "sensitivity_ci": confusion.sensitivity,
    "specificity_ci": confusion.specificity,
    "precision_ci": confusion.precision,
}


def bootstrap(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Intervals of the scores, from drawing whole groups again.

    A resample in which a statistic does not exist (a class was not drawn) is left out of that statistic; where fewer
    than half remain, or all images are one group, the interval is `None`.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        resamples: How often to draw; 2000 make the ends steady to about a tenth of the interval's width.
        level: Share of the resamples inside an interval.
        seed: Decides the draws; the order of the images does not.

    Returns:
        `accuracy_ci`, `balanced_accuracy_ci`, `macro_f1_ci` and `auroc_ci`, each `[low, high]` or `None`;
        `auroc_per_class_ci`, `sensitivity_ci`, `specificity_ci` and `precision_ci`, each `{class: [low, high] | None}`.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Field & Welsh 2007 for drawing whole groups; Efron & Tibshirani 1993, section 13.3, for percentiles.

    Example:
        >>> y, sure = np.array([0, 0, 1, 1]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> bootstrap(y, sure, np.arange(4), ["COVID", "NORMAL"])["accuracy_ci"]
        [1.0, 1.0]
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if np.shape(groups) != y.shape:
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"A level between 0 and 1 and at least one resample; got {level} and {resamples}.")
    group, count = numbered(groups)
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (*_OVERALL, *_PER_CLASS, "auroc_per_class_ci")}
    if count > 1:
        per_group = _confusion_per_group(y, probabilities.argmax(1), group, count, len(classes))
        ranked = [_Ranked(y == index, probabilities[:, index], group) for index in range(len(classes))]
        for weights in weight_blocks(count, len(y), resamples, seed):
            matrices = (weights @ per_group).reshape(-1, len(classes), len(classes))
            for name, statistic in (_OVERALL | _PER_CLASS).items():
                drawn[name].append(statistic(matrices))
            drawn["auroc_per_class_ci"].append(np.stack([one.auroc(weights) for one in ranked], axis=-1))
    values = {name: np.concatenate(blocks) for name, blocks in drawn.items() if blocks}

    def interval(name: str, index: int | None = None) -> list[float] | None:
        if name not in values:
            return None
        return percentile_interval(values[name] if index is None else values[name][:, index], level)

    if "auroc_per_class_ci" in values:
        values["auroc_ci"] = values["auroc_per_class_ci"].mean(-1)
    overall = {name: interval(name) for name in (*_OVERALL, "auroc_ci")}
    per_class = {
        name: {label: interval(name, index) for index, label in enumerate(classes)}
        for name in ("auroc_per_class_ci", *_PER_CLASS)
    }
    return {**overall, **per_class}


class _Ranked:
    """The images of one class against the rest, sorted by probability once for all resamples.

    Sums of whole weights are exact in float64, so the order of the images cannot change a bit of the result.
    """

    def __init__(self, of_class: NDArray[np.bool_], probability: NDArray[np.float64], group: Groups) -> None:
        order = np.argsort(probability, kind="stable")
        self._positive = of_class[order].astype(np.float64)
        self._group = group[order]
        ordered = probability[order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # one entry per run of equal values

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """`(resamples,)` chance that a drawn image of the class outranks one of the rest, ties counted half."""
        image = weights[:, self._group]
        positive = np.add.reduceat(image * self._positive, self._starts, axis=1)
        negative = np.add.reduceat(image, self._starts, axis=1) - positive
        below = np.cumsum(negative, axis=1) - 0.5 * negative
        pairs = positive.sum(1) * negative.sum(1)
        wins = np.einsum("rt,rt->r", positive, below)
        rates = np.full(len(weights), np.nan)
        np.divide(wins, pairs, out=rates, where=pairs > 0)
        return rates


def _confusion_per_group(y: Labels, predicted: Labels, group: Groups, groups: int, classes: int) -> confusion.Counts:
    cells = classes * classes
    flat = np.bincount(group * cells + y * classes + predicted, minlength=groups * cells)
    return flat.reshape(groups, cells).astype(np.float64)
