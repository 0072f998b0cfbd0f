"""The only place that knows how sure a score is: intervals by bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import ECE_BINS, calibration_error, confidence_bins
from cxrfeat.metric.resample import Weights, basic_interval, numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import brier_of_images, checked, log_loss_of_images
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
_RANKING = ("auroc", "auprc")
_MEANS = ("log_loss_ci", "brier_ci")


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

    The ends are percentiles of the resampled values, but for the calibration error: it is a sum of sizes, which chance
    can only raise, so that resampled values lie above the observed one and percentiles of them would too (simulated
    with 720 images and a true error of 0, 0.05, 0.14: 95 % intervals of percentiles hold it 0, 72, 90 times in 100).
    Its interval is the basic one, which turns the resampled distances round, cut at 0 (62, 89, 93 times): still too
    sure of itself where calibration is nearly perfect.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        resamples: How often to draw; 2000 make the ends steady to about a tenth of the interval's width.
        level: Share of the resamples inside an interval.
        seed: Decides the draws; the order of the images does not.

    Returns:
        `accuracy_ci`, `balanced_accuracy_ci`, `macro_f1_ci`, `auroc_ci`, `auprc_ci`, `log_loss_ci`, `brier_ci` and
        `ece_ci`, each `[low, high]` or `None`; `auroc_per_class_ci`, `auprc_per_class_ci`, `sensitivity_ci`,
        `specificity_ci` and `precision_ci`, each `{class: [low, high] | None}`.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Field & Welsh 2007 for drawing whole groups; Efron & Tibshirani 1993, section 13.3, for percentiles;
    Davison & Hinkley 1997, section 5.2.1, for the basic interval.

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
    values = _resampled(y, probabilities, group, count, resamples, seed) if count > 1 else {}

    def interval(name: str, index: int | None = None) -> list[float] | None:
        if name not in values:
            return None
        return percentile_interval(values[name] if index is None else values[name][:, index], level)

    overall = {name: interval(name) for name in (*_OVERALL, *(f"{name}_ci" for name in _RANKING), *_MEANS)}
    errors = values.get("ece_ci")
    overall["ece_ci"] = (
        None if errors is None else basic_interval(errors, calibration_error(y, probabilities), level, (0.0, 1.0))
    )
    per_class = {
        name: {label: interval(name, index) for index, label in enumerate(classes)}
        for name in (*(f"{name}_per_class_ci" for name in _RANKING), *_PER_CLASS)
    }
    return {**overall, **per_class}


def _resampled(
    y: Labels, probabilities: Probabilities, group: Groups, groups: int, resamples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Every statistic of every resample, `(resamples,)` or `(resamples, classes)`, NaN where it does not exist."""
    classes = probabilities.shape[1]
    cells = _confusion_per_group(y, probabilities.argmax(1), group, groups, classes)
    sums = _sums_per_group(y, probabilities, group, groups)
    ranked = [Ranked(y == index, probabilities[:, index], group) for index in range(classes)]
    drawn: dict[str, list[NDArray[np.float64]]] = {}

    def keep(name: str, value: NDArray[np.float64]) -> None:
        drawn.setdefault(name, []).append(value)

    for weights in weight_blocks(groups, len(y), resamples, seed):
        matrices = (weights @ cells).reshape(-1, classes, classes)
        for name, statistic in (_OVERALL | _PER_CLASS).items():
            keep(name, statistic(matrices))
        means = (weights @ sums) / matrices.sum((1, 2))[:, None]
        for index, name in enumerate(_MEANS):
            keep(name, means[:, index])
        keep("ece_ci", np.abs(means[:, len(_MEANS) :]).sum(1))
        told = np.stack([one.auroc_and_auprc(weights) for one in ranked], axis=-1)  # (2, resamples, classes)
        for name, value in zip(_RANKING, told, strict=True):
            keep(f"{name}_per_class_ci", value)
            keep(f"{name}_ci", value.mean(-1))
    return {name: np.concatenate(blocks) for name, blocks in drawn.items()}


class Ranked:
    """The images of one class against the rest, sorted by probability once for all resamples.

    Sums of whole weights are exact in float64, so the order of the images cannot change a bit of the result.

    Example:
        >>> ranked = Ranked(np.array([True, True, False]), np.array([0.9, 0.3, 0.3]), np.arange(3))
        >>> [float(rate[0]) for rate in ranked.auroc_and_auprc(np.ones((1, 3)))]
        [0.75, 0.8333333333333333]
    """

    def __init__(self, of_class: NDArray[np.bool_], probability: NDArray[np.float64], group: Groups) -> None:
        """Sort the images.

        Args:
            of_class: `(n,)`, whether an image is of the class.
            probability: `(n,)` of the class, or anything that ranks as it does.
            group: `(n,)` group of each image, a column of the weights.
        """
        order = np.argsort(probability, kind="stable")
        self._positive = of_class[order].astype(np.float64)
        self._group = group[order]
        ordered = probability[order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # one entry per run of equal values

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """`(resamples,)` chance that a drawn image of the class outranks one of the rest, ties counted half.

        Source: Hanley & McNeil 1982.
        """
        return _rate(*self.wins(weights))

    def wins(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` how often an image of the class outranks one of the rest, and the number of such pairs."""
        return _wins(*self._drawn(weights))

    def auroc_and_auprc(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` AUROC, and the average precision: precision at each probability, weighted by recall gained.

        Source: Hanley & McNeil 1982; Zhu 2004 and scikit-learn's `average_precision_score`, ties taken together.
        """
        positive, both = self._drawn(weights)
        from_here = positive.sum(1)[:, None] - np.cumsum(positive, axis=1) + positive
        called = both.sum(1)[:, None] - np.cumsum(both, axis=1) + both
        precision = np.divide(from_here, called, out=np.zeros_like(called), where=called > 0)
        auprc = _rate(np.einsum("rt,rt->r", positive, precision), positive.sum(1))
        return _rate(*_wins(positive, both)), auprc

    def _drawn(self, weights: Weights) -> tuple[Weights, Weights]:
        """`(resamples, values)` drawn images of the class, and drawn images, for each distinct value from the least."""
        both = weights[:, self._group]
        positive = both * self._positive
        if len(self._starts) < both.shape[1]:
            positive = np.add.reduceat(positive, self._starts, axis=1)
            both = np.add.reduceat(both, self._starts, axis=1)
        return positive, both


def _wins(positive: Weights, both: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    negative = both - positive
    below = np.cumsum(negative, axis=1) - 0.5 * negative
    return np.einsum("rt,rt->r", positive, below), positive.sum(1) * negative.sum(1)


def _rate(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))


def _confusion_per_group(y: Labels, predicted: Labels, group: Groups, groups: int, classes: int) -> confusion.Counts:
    cells = classes * classes
    flat = np.bincount(group * cells + y * classes + predicted, minlength=groups * cells)
    return flat.reshape(groups, cells).astype(np.float64)


def _sums_per_group(y: Labels, probabilities: Probabilities, group: Groups, groups: int) -> NDArray[np.float64]:
    """`(groups, 2 + bins)`: log loss, Brier score, and in each bin of confidence how far right exceeds sure."""
    confidence = probabilities.max(1)
    gap = (probabilities.argmax(1) == y) - confidence
    cell = group * ECE_BINS + confidence_bins(confidence)
    return np.column_stack(
        [
            _summed(group, log_loss_of_images(y, probabilities), groups),
            _summed(group, brier_of_images(y, probabilities), groups),
            _summed(cell, gap, groups * ECE_BINS).reshape(groups, ECE_BINS),
        ]
    )


def _summed(cell: NDArray[np.int64], value: NDArray[np.float64], cells: int) -> NDArray[np.float64]:
    order = np.argsort(value)  # adding in order of size, the order of the images cannot change a bit
    return np.bincount(cell[order], weights=value[order], minlength=cells).astype(np.float64, copy=False)
