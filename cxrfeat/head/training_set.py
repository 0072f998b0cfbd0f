"""The rows that a head is trained on and validated on, checked once, with what heads derive from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import SpecError, SplitError
from cxrfeat.head.decision import standardized
from cxrfeat.head.fitted import check_finite
from cxrfeat.spec import ClassWeights
from cxrfeat.types import Features, Labels

_BLOCK = 2**20
"""Most numbers that are float64 at a time while float32 ones are made of them; 8 MB."""


class TrainingSet:
    """Rows to train on and rows to validate on, checked once; heads fitted on the same one share what they derive."""

    def __init__(
        self,
        X: Features,
        y: Labels,
        X_val: Features,
        y_val: Labels,
        classes: Sequence[str],
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        """Check that everything fits together.

        Args:
            X: `(images, views, dim)` float32; every view is a training row.
            y: `(images,)` class indices.
            X_val: `(n, dim)` float32, the plain view of each validation image. May be empty: then there are no
                validation columns, nothing stops early, and probabilities are not calibrated.
            y_val: `(n,)` class indices.
            classes: Class names, at least two.
            weights: `(images,)` factor of each image's loss, above 0; `None` is 1 for all. Neighbours do not use it.

        Raises:
            InputError: If features hold NaN or infinity.
            SplitError: If a class has no training image.
            ValueError: If shapes or labels do not fit together.
        """
        self.X, self.X_val = np.asarray(X, np.float32), np.asarray(X_val, np.float32)
        self.y, self.y_val = np.asarray(y, np.int64), np.asarray(y_val, np.int64)
        self.classes = tuple(classes)
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        self._fewer: dict[int, TrainingSet] = {}
        _check(self)

    def first_views(self, count: int | None) -> TrainingSet:
        """The same with the first this many views of each training image; `None` is all of them.

        Raises:
            SpecError: If there are fewer.
        """
        views = self.X.shape[1]
        if count is None or count == views:
            return self
        if count > views:
            raise SpecError(
                f"{count} views of each image were asked for; the features hold {views}. Pass `views={views}`, or "
                f"extract with `views={count}`."
            )
        if count not in self._fewer:
            self._fewer[count] = TrainingSet(
                self.X[:, :count], self.y, self.X_val, self.y_val, self.classes, self.weights
            )
        return self._fewer[count]

    @cached_property
    def scaler(self) -> dict[str, NDArray[np.float64]]:
        """`mean` and `scale` of the training rows."""
        return scaling(self.X, self.row_weights)

    @cached_property
    def rows(self) -> NDArray[np.float64]:
        """`(images * views, dim)` standardised training rows, the views of an image together."""
        return standardized(self.X.reshape(-1, self.X.shape[2]), self.scaler)

    def standardized(self, X: Features) -> Features:
        """`(n, dim)` features less the mean over the deviation of the training rows, in float32, rounded once."""
        return standardized_rows(X, self.scaler)

    @cached_property
    def row_labels(self) -> Labels:
        """`(images * views,)` class indices of `rows`."""
        return np.repeat(self.y, self.X.shape[1])

    @cached_property
    def row_weights(self) -> NDArray[np.float64] | None:
        """`(images * views,)` factor of the loss of each of `rows`, if any is not 1."""
        return None if self.weights is None else np.repeat(self.weights, self.X.shape[1])


def importance(
    y: Labels, classes: int, class_weights: ClassWeights, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Factor of each row's loss, `(rows,)`: its weight, by default 1, balanced between classes where that is asked for.

    Source: scikit-learn, `compute_class_weight`: all weight over `classes` times the weight of the class.

    Example:
        >>> importance(np.array([0, 0, 0, 1]), 2, "balanced").round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    weights = np.ones(len(y)) if weights is None else weights
    if class_weights == "none":
        return weights
    return np.asarray(weights * (weights.sum() / (classes * np.bincount(y, weights, minlength=classes)))[y])


def scaling(X: Features, weights: NDArray[np.float64] | None = None) -> dict[str, NDArray[np.float64]]:
    """Mean and standard deviation of each feature over images and views; 1 in place of a deviation of zero.

    Args:
        X: `(images, views, dim)` float32.
        weights: `(images * views,)` of the rows; `None` is 1 for all.

    Example:
        >>> scaling(np.array([[[1, 5]], [[3, 5]]], np.float32))["scale"].tolist()
        [1.0, 1.0]
    """
    rows = X.reshape(-1, X.shape[-1])
    if weights is None:
        mean = rows.mean(0, dtype=np.float64)
        scale = rows.std(0, dtype=np.float64)
    else:
        mean = np.average(rows, axis=0, weights=weights)
        scale = np.sqrt(np.average(np.square(rows - mean), axis=0, weights=weights))
    # A constant feature may leave a trace of rounding instead of zero, and dividing by it would make noise of it.
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    return {"mean": mean, "scale": scale}


def standardized_rows(X: Features, scaler: Mapping[str, NDArray[np.float64]]) -> Features:
    """`(n, dim)` features less the mean over the deviation, as `scaling` gives them, in float32, rounded once.

    Example:
        >>> X = np.array([[1, 5], [3, 5]], np.float32)
        >>> standardized_rows(X, scaling(X[:, None])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """
    found = np.empty(X.shape, np.float32)
    step = max(1, _BLOCK // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        found[start : start + step] = standardized(X[start : start + step], scaler)
    return found


def _check(training: TrainingSet) -> None:
    X, y, X_val, y_val, classes = training.X, training.y, training.X_val, training.y_val, training.classes
    if X.ndim != 3 or not X.size or y.shape != X.shape[:1]:
        raise ValueError(f"Training rows are (images, views, dim); got {X.shape} with labels {y.shape}.")
    if X_val.shape != (len(y_val), X.shape[2]) or y_val.ndim != 1:
        raise ValueError(f"Validation rows are (n, {X.shape[2]}); got {X_val.shape} with labels {y_val.shape}.")
    weights = training.weights
    if weights is not None and not (weights.shape == y.shape and (weights > 0).all() and np.isfinite(weights).all()):
        raise ValueError(f"Weights are numbers above 0, one for each image, {y.shape}; got {weights.shape}.")
    for labels in (y, y_val):
        if len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
            raise ValueError(f"Labels are indices from 0 to {len(classes) - 1}; got {labels.min()} to {labels.max()}.")
    if len(classes) < 2:
        raise SplitError(f"A head tells classes apart, and there is only {', '.join(classes) or 'none'}.")
    counts = np.bincount(y, minlength=len(classes))
    if not counts.all():
        lacking = ", ".join(name for name, count in zip(classes, counts, strict=True) if not count)
        raise SplitError(
            f"No training image is of class {lacking}. Choose another `seed` for the split, add images, or leave the "
            f"class out by `classes`."
        )
    check_finite(X, "training features")
    check_finite(X_val, "validation features")
