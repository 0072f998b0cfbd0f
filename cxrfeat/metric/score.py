"""The only place that turns probabilities into the scores of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import calibration_error
from cxrfeat.metric.ranking import Ranked
from cxrfeat.types import Labels, Probabilities

_LEAST = float(np.finfo(np.float64).eps)
"""The least probability that the log loss takes a true class to have, so that it stays finite; as in scikit-learn."""


def scores(y: Labels, probabilities: Probabilities, classes: Sequence[str]) -> dict[str, Any]:
    """Every score of one set of predictions, in plain Python numbers that `json.dumps` takes.

    The predicted class is the one with the largest probability, the first of them on ties. A value that does not
    exist for these images is `None`: everything about a class that `y` lacks (and every mean over classes, which then
    lacks a member), the specificity of an only class, the precision of a class never predicted.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        classes: Their names, in the order of the columns.

    Returns:
        `accuracy`, `balanced_accuracy`, `macro_f1`, and `auroc` and `auprc` (means over classes, one class against the
        rest), in [0, 1]; `auroc_per_class`, `auprc_per_class`, `sensitivity`, `specificity`, `precision`, each
        `{class: value}`; `confusion`, counts with rows true and columns predicted; `brier`, squared error summed over
        classes and averaged over images, in [0, 2]; `log_loss`, in nats; `ece`, in [0, 1].

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Brier 1950 for the sum form; Guo et al. 2017, section 2, for the ECE (15 bins of equal width over the
    largest probability, each closed on the right).

    Example:
        >>> found = scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["COVID", "NORMAL"])
        >>> found["accuracy"], found["sensitivity"], found["auroc"]
        (0.5, {'COVID': 1.0, 'NORMAL': 0.0}, 1.0)
    """
    y, probabilities = checked(y, probabilities, len(classes))
    predicted = probabilities.argmax(1)
    matrix = confusion.counts(y, predicted, len(classes))
    once, each = np.ones((1, len(y))), np.arange(len(y))
    ranked = [Ranked(y == index, probabilities[:, index], each) for index in range(len(classes))]
    auroc, auprc = np.hstack([one.auroc_and_auprc(once) for one in ranked])
    return {
        "accuracy": _plain(confusion.accuracy(matrix)),
        "balanced_accuracy": _plain(confusion.balanced_accuracy(matrix)),
        "macro_f1": _plain(confusion.macro_f1(matrix)),
        "auroc": _plain(np.mean(auroc)),
        "auroc_per_class": _per_class(classes, auroc),
        "auprc": _plain(np.mean(auprc)),
        "auprc_per_class": _per_class(classes, auprc),
        "sensitivity": _per_class(classes, confusion.sensitivity(matrix)),
        "specificity": _per_class(classes, confusion.specificity(matrix)),
        "precision": _per_class(classes, confusion.precision(matrix)),
        "confusion": matrix.astype(int).tolist(),
        "brier": _plain(brier_of_images(y, probabilities).mean()),
        "log_loss": _plain(log_loss_of_images(y, probabilities).mean()),
        "ece": calibration_error(y, probabilities),
    }


def checked(y: Labels, probabilities: Probabilities, classes: int) -> tuple[Labels, Probabilities]:
    """The same as int64 and float64, after making sure that they belong together.

    Raises:
        ValueError: If there is no image, a shape is wrong, a label is no class, or a probability is not finite.
    """
    y, probabilities = np.asarray(y, np.int64), np.asarray(probabilities, np.float64)
    if y.ndim != 1 or not len(y):
        raise ValueError(f"Scores need (n,) labels with at least one image; got shape {y.shape}.")
    if probabilities.shape != (len(y), classes):
        raise ValueError(f"Probabilities of {len(y)} images and {classes} classes; got shape {probabilities.shape}.")
    if y.min() < 0 or y.max() >= classes:
        raise ValueError(f"Labels are indices from 0 to {classes - 1}; got {y.min()} to {y.max()}.")
    if not np.isfinite(probabilities).all():
        raise ValueError("Probabilities hold NaN or infinity.")
    return y, probabilities


def brier_of_images(y: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """`(n,)` squared errors summed over classes, in [0, 2]; their mean is the Brier score.

    Source: Brier 1950, equation 2.
    """
    return np.asarray(np.square(probabilities - np.eye(probabilities.shape[1])[y]).sum(1))


def log_loss_of_images(y: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """`(n,)` minus the logarithm of the true class's probability, in nats; their mean is the log loss."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(y)), y], _LEAST)))


def _per_class(classes: Sequence[str], values: Iterable[float]) -> dict[str, float | None]:
    return {name: _plain(value) for name, value in zip(classes, values, strict=True)}


def _plain(value: Any) -> float | None:  # noqa: ANN401  # any NumPy or Python number
    return None if math.isnan(value) else float(value)
