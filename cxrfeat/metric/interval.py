"""The only place that knows how sure the scores of a run are: intervals by bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import ECE_BINS, confidence_bins
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, weight_blocks
from cxrfeat.metric.score import brier_of_images, checked, log_loss_of_images
from cxrfeat.metric.small import Bearing, loss_interval, score_interval, sum_of_sizes_interval
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
_RANKING = ("auroc_per_class_ci", "auprc_per_class_ci")
_RANKING_MEANS = ("auroc_ci", "auprc_ci")


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
    """Intervals of the scores, from drawing whole groups again, and by exact rules where that says too little.

    `metric.small` has the rules. A score has no interval, `None`, where fewer than 8 groups bear it:

    - accuracy, Brier score and calibration error: 8 groups in all;
    - a sensitivity: of the class; a specificity: of the rest; a precision: 8 with an image that was taken
      for the class, and 8 of the class;
    - AUROC and average precision of a class: 8 of the class and 8 of the rest;
    - balanced accuracy, macro F1, and the means over classes: 8 of every class;
    - log loss: 8 with an image taken for another class, whose losses are what it is made of.

    Where groups are many and both outcomes frequent, the ends are percentiles of the resampled values. Else shares of
    images have the exact interval of Clopper & Pearson, of as many images as their design effect leaves (Korn &
    Graubard 1998), and so have AUROC (at 1 by the variance of Hanley & McNeil 1982), average precision (at 1 as Boyd,
    Eng & Page 2013), balanced accuracy, F1, and the Brier score as a share of the worst, 2. The log loss has the exact
    interval of a count. The calibration error is a sum of sizes, which chance can only raise; its interval holds an
    error of 0 where there is none (`small.sum_of_sizes_interval`).

    A resample in which a score does not exist (a class was not drawn) is left out of that score; where fewer than half
    remain, the interval is `None` too.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        resamples: How often to draw; 2000 make the ends steady to about a tenth of the interval's width.
        level: How often an interval shall hold the truth.
        seed: Decides the draws; the order of the images does not.

    Returns:
        `accuracy_ci`, `balanced_accuracy_ci`, `macro_f1_ci`, `auroc_ci`, `auprc_ci`, `log_loss_ci`, `brier_ci` and
        `ece_ci`, each `[low, high]` or `None`; `auroc_per_class_ci`, `auprc_per_class_ci`, `sensitivity_ci`,
        `specificity_ci` and `precision_ci`, each `{class: [low, high] | None}`. No interval is without width.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Field & Welsh 2007 for drawing whole groups; Efron & Tibshirani 1993, section 13.3, for percentiles; for
    small samples the sources named above.

    Example:
        >>> y = np.arange(16) % 2
        >>> found = bootstrap(y, np.eye(2)[y], np.arange(16), ["COVID", "NORMAL"])
        >>> [round(end, 3) for end in found["accuracy_ci"]]  # 16 of 16
        [0.794, 1.0]
        >>> bootstrap(y[:14], np.eye(2)[y[:14]], np.arange(14), ["COVID", "NORMAL"])["sensitivity_ci"]  # 7 of 7 each
        {'COVID': None, 'NORMAL': None}
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if np.shape(groups) != y.shape:
        raise ValueError(f"Groups of {len(y)} images; got shape {np.shape(groups)}.")
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"A level between 0 and 1 and at least one resample; got {level} and {resamples}.")
    group, count = numbered(groups)
    tallies = _Tallies(y, probabilities, group, count)
    observed = tallies.scores(np.ones((1, count)))
    blocks = weight_blocks(count, len(y), resamples, seed) if count >= LEAST_GROUPS else ()
    told = [tallies.scores(weights) for weights in blocks]
    drawn = {name: np.concatenate([block[name] for block in told] or [value[:0]]) for name, value in observed.items()}
    bearing = _bearings(y, probabilities.argmax(1), group, count, len(classes))
    found: dict[str, Any] = {}
    for name in (*_OVERALL, *_RANKING_MEANS):
        found[name] = score_interval(drawn[name], float(observed[name][0]), bearing[name][0], level)
    share_of_worst = score_interval(drawn["brier_ci"] / 2, float(observed["brier_ci"][0]) / 2, bearing["all"][0], level)
    found["brier_ci"] = None if share_of_worst is None else [2 * end for end in share_of_worst]
    loss = float(observed["log_loss_ci"][0])
    found["log_loss_ci"] = loss_interval(drawn["log_loss_ci"], loss, bearing["wrong"][0], count, level)
    found["ece_ci"] = sum_of_sizes_interval(drawn["ece_ci"], observed["ece_ci"][0], bearing["all"][0], level)
    for name in (*_PER_CLASS, *_RANKING):
        found[name] = {
            label: score_interval(drawn[name][:, index], float(observed[name][0, index]), bearing[name][index], level)
            for index, label in enumerate(classes)
        }
    return found


class _Tallies:
    """What is counted of every group once, so that a resample costs a product of matrices."""

    def __init__(self, y: Labels, probabilities: Probabilities, group: Groups, groups: int) -> None:
        self.classes = probabilities.shape[1]
        self.cells = _confusion_per_group(y, probabilities.argmax(1), group, groups, self.classes)
        self.sums = _sums_per_group(y, probabilities, group, groups)
        self.ranked = [Ranked(y == index, probabilities[:, index], group) for index in range(self.classes)]

    def scores(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """Every score of every resample, `(resamples,)` or `(resamples, classes)`, NaN where it does not exist.

        Of the calibration error the signed gap of each bin, `(resamples, bins)`.
        """
        matrices = (weights @ self.cells).reshape(-1, self.classes, self.classes)
        means = (weights @ self.sums) / matrices.sum((1, 2))[:, None]
        told = np.stack([one.auroc_and_auprc(weights) for one in self.ranked], axis=-1)  # (2, resamples, classes)
        found = {name: statistic(matrices) for name, statistic in (_OVERALL | _PER_CLASS).items()}
        found |= dict(zip(_RANKING, told, strict=True))
        found |= dict(zip(_RANKING_MEANS, told.mean(-1), strict=True))
        return found | {"log_loss_ci": means[:, 0], "brier_ci": means[:, 1], "ece_ci": means[:, 2:]}


def _bearings(y: Labels, predicted: Labels, group: Groups, groups: int, classes: int) -> dict[str, list[Bearing]]:
    """What each score rests on, by class where it has a value of each."""

    def of(images: NDArray[np.bool_]) -> Bearing:
        return Bearing.of(np.bincount(group[images], minlength=groups))

    every = of(np.ones(len(y), bool))
    ours, theirs = ([of((y == index) == own) for index in range(classes)] for own in (True, False))
    ranks = [Bearing.against(*pair) for pair in zip(ours, theirs, strict=True)]
    finds = [Bearing.found_among(*pair) for pair in zip(ours, theirs, strict=True)]
    mean = Bearing.mean(ours, every)
    return {
        "all": [every],
        "wrong": [of(predicted != y)],
        "accuracy_ci": [every],
        "balanced_accuracy_ci": [mean],
        "macro_f1_ci": [mean],
        "sensitivity_ci": ours,
        "specificity_ci": theirs,
        "precision_ci": [
            replace(called, groups=min(called.groups, ours[index].groups))
            for index in range(classes)
            for called in [of(predicted == index)]
        ],
        "auroc_per_class_ci": ranks,
        "auprc_per_class_ci": finds,
        "auroc_ci": [Bearing.weakest(ranks)],
        "auprc_ci": [Bearing.weakest(finds)],
    }


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
