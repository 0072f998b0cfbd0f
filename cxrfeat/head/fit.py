"""The only place that fits a head: checks what goes in, then lets the right library train."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import SpecError, SplitError
from cxrfeat.head import keras_head, sklearn_head
from cxrfeat.head.fitted import FittedHead, check_finite
from cxrfeat.head.keras_head import Progress
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Features, Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted head, and how it came to be."""

    head: FittedHead
    history: list[dict[str, Any]]
    """One row per epoch of a Keras head: `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`."""
    seconds: float
    """Training and calibration; loading the libraries apart."""
    notes: list[str]
    """What the user should know, in sentences."""


def fit_head(
    spec: HeadSpec,
    X_train: Features,
    y_train: Labels,
    X_val: Features,
    y_val: Labels,
    classes: Sequence[str],
    progress: Progress | None = None,
) -> Fit:
    """Train one head on cached features.

    Args:
        spec: Which head, and how to train it.
        X_train: `(images, views, dim)` float32; every view is a training row.
        y_train: `(images,)` class indices.
        X_val: `(n, dim)` float32, the plain view of each validation image. May be empty: then there are no validation
            columns, and SVM probabilities are not calibrated.
        y_val: `(n,)` class indices.
        classes: Class names, at least two.
        progress: Called by the Keras heads after each epoch with epochs done and epochs in all.

    Returns:
        The head and its history.

    Raises:
        InputError: If features hold NaN or infinity, or training diverges.
        SplitError: If a class has no training image.
        SpecError: If more views per epoch are asked for than there are.
        ValueError: If shapes or labels do not fit together.

    Example:
        >>> y = np.arange(40) % 2
        >>> X = np.random.default_rng(0).normal(y[:, None], 0.1, (40, 3)).astype(np.float32)
        >>> fit = fit_head(HeadSpec(kind="logreg"), X[:30, None], y[:30], X[30:], y[30:], ["COVID", "NORMAL"])
        >>> bool((fit.head.predict(X[30:]) == y[30:]).all())
        True
    """
    X_train, y_train, X_val, y_val = _checked(X_train, y_train, X_val, y_val, classes)
    if spec.views_per_epoch is not None and spec.views_per_epoch > X_train.shape[1]:
        raise SpecError(
            f"{spec.views_per_epoch} views per image and epoch were asked for; the features hold {X_train.shape[1]}. "
            f"Pass --views-per-epoch {X_train.shape[1]}, or extract with --views {spec.views_per_epoch}."
        )
    history: list[dict[str, Any]] = []
    notes: list[str] = []
    if spec.kind in keras_head.HIDDEN:
        keras_head.load()
        start = time.perf_counter()
        scaler = scaling(X_train) if spec.standardize else {}
        head, history = keras_head.train(spec, X_train, y_train, X_val, y_val, tuple(classes), scaler, progress)
    else:
        sklearn_head.load()
        start = time.perf_counter()
        scaler = scaling(X_train)
        head, notes = sklearn_head.train(spec, X_train, y_train, X_val, y_val, tuple(classes), scaler)
    return Fit(head=head, history=history, seconds=time.perf_counter() - start, notes=notes)


def scaling(X: Features) -> dict[str, NDArray[np.float64]]:
    """Mean and standard deviation of each feature over images and views; 1 in place of a deviation of zero.

    Args:
        X: `(images, views, dim)` float32.

    Example:
        >>> scaling(np.array([[[1, 5]], [[3, 5]]], np.float32))["scale"].tolist()
        [1.0, 1.0]
    """
    rows = X.reshape(-1, X.shape[-1])
    mean = rows.mean(0, dtype=np.float64)
    scale = rows.std(0, dtype=np.float64)
    # A constant feature may leave a trace of rounding instead of zero, and dividing by it would make noise of it.
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    return {"mean": mean, "scale": scale}


def _checked(
    X_train: Features, y_train: Labels, X_val: Features, y_val: Labels, classes: Sequence[str]
) -> tuple[Features, Labels, Features, Labels]:
    X_train, X_val = np.asarray(X_train, np.float32), np.asarray(X_val, np.float32)
    y_train, y_val = np.asarray(y_train, np.int64), np.asarray(y_val, np.int64)
    if X_train.ndim != 3 or not X_train.size or y_train.shape != X_train.shape[:1]:
        raise ValueError(f"Training rows are (images, views, dim); got {X_train.shape} with labels {y_train.shape}.")
    if X_val.shape != (len(y_val), X_train.shape[2]) or y_val.ndim != 1:
        raise ValueError(f"Validation rows are (n, {X_train.shape[2]}); got {X_val.shape} with labels {y_val.shape}.")
    for y in (y_train, y_val):
        if len(y) and (y.min() < 0 or y.max() >= len(classes)):
            raise ValueError(f"Labels are indices from 0 to {len(classes) - 1}; got {y.min()} to {y.max()}.")
    if len(classes) < 2:
        raise SplitError(f"A head tells classes apart, and there is only {', '.join(classes) or 'none'}.")
    counts = np.bincount(y_train, minlength=len(classes))
    if not counts.all():
        lacking = ", ".join(name for name, count in zip(classes, counts, strict=True) if not count)
        raise SplitError(
            f"No training image is of class {lacking}. Choose another --seed for the split, add images, or leave the "
            f"class out with --classes."
        )
    check_finite(X_train, "training features")
    check_finite(X_val, "validation features")
    return X_train, y_train, X_val, y_val
