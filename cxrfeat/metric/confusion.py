"""The only place that knows which rates follow from a confusion matrix, and when one of them does not exist.

Every function takes one matrix `(classes, classes)` or any stack of them `(..., classes, classes)`, rows true, columns
predicted, so that point values and two thousand resamples come from the same lines. A rate that does not exist (its
denominator is zero, or a mean over classes lacks a class) is NaN here; callers turn it into `None` or leave it out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Labels

Counts = NDArray[np.float64]
"""`(..., classes, classes)` image counts, rows true, columns predicted."""

Rates = NDArray[np.float64]
"""`(...)` or `(..., classes)` values in [0, 1], NaN where undefined."""


def counts(y: Labels, predicted: Labels, classes: int) -> Counts:
    """How many images of each class were taken for each class.

    Example:
        >>> counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return np.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes).astype(float)


def accuracy(matrix: Counts) -> Rates:
    """Share of images on the diagonal."""
    return _divide(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum((-2, -1)))


def sensitivity(matrix: Counts) -> Rates:
    """Share of each true class that was found, `(..., classes)`; undefined for a class without images."""
    return _divide(_hits(matrix), matrix.sum(-1))


def specificity(matrix: Counts) -> Rates:
    """Share of the images of other classes that were not taken for this one, `(..., classes)`."""
    wrongly = matrix.sum(-2) - _hits(matrix)
    others = matrix.sum((-2, -1))[..., None] - matrix.sum(-1)
    return _divide(others - wrongly, others)


def precision(matrix: Counts) -> Rates:
    """Share of the images taken for each class that are of it, `(..., classes)`; undefined for one never predicted."""
    return _divide(_hits(matrix), matrix.sum(-2))


def balanced_accuracy(matrix: Counts) -> Rates:
    """Mean sensitivity over all classes; undefined if one has no images."""
    return np.asarray(sensitivity(matrix).mean(-1))


def macro_f1(matrix: Counts) -> Rates:
    """Mean over all classes of `2 TP / (2 TP + FP + FN)`; undefined if a class has no images."""
    present = matrix.sum(-1)
    f1 = _divide(2 * _hits(matrix), present + matrix.sum(-2))
    return np.asarray(np.where(present > 0, f1, np.nan).mean(-1))


def _hits(matrix: Counts) -> Counts:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _divide(above: Counts, below: Counts) -> Rates:
    rates = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=rates, where=np.asarray(below) > 0)
    return rates
