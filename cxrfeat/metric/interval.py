"""The only place that knows how sure a score is: intervals by bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import ECE_BINS, calibration_error, confidence_bins
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import basic_interval, numbered, percentile_interval, weight_blocks
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
