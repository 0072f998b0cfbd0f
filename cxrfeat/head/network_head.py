"""Training of the one-layer and three-layer networks: what an epoch sees, when to stop, which epoch is kept.

Everything random is ours: NumPy draws the first weights, the order of the rows and the units that are dropped, and no
global seed is touched. What is large is computed in two halves, at once or one after the other, each by one thread of
BLAS, so that a head is the same to the bit however many cores there are.

A GPU is not used: its epoch is short, but a library for it takes as long to start and to compile as the paper's largest
head takes to train on one core (`benchmarks/README.md`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import DivergedError
from cxrfeat.head.blas import halves
from cxrfeat.head.epoch import Epochs, Weights, half_squares
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.number import FittedNumber
from cxrfeat.head.sampling import epoch_rows
from cxrfeat.head.training_set import TrainingSet, importance, scaling, standardized_rows
from cxrfeat.metric.calibrate import log_loss
from cxrfeat.run.table import Epoch, History
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.types import Counted, Features, Labels

HIDDEN: dict[HeadKind, tuple[int, ...]] = {"softmax": (), "dense": (500, 200), "dropout": (500, 200)}
"""Units of the hidden layers, as in the paper."""

KINDS = tuple(HIDDEN)
"""Heads that are trained here."""


def train(
    spec: HeadSpec, training: TrainingSet, progress: Counted | None = None
) -> tuple[FittedHead, History, list[str]]:
    """Train a network on cached features.

    Args:
        spec: A kind of `KINDS`, and the protocol.
        training: The rows.
        progress: Called after each epoch.

    Returns:
        The head of the kept epoch; the epochs, from 1, with `loss` and `accuracy` (means over the epoch's rows as their
        batches came, dropout on, penalty and weights included, as Keras prints them), and `val_loss` and
        `val_accuracy` after it (dropout off; `None` without validation images); and notes for the user.

    Raises:
        DivergedError: If training does.

    Source: Glorot & Bengio 2010 for the first weights (Keras's default); the paper (`docs/paper.md`) for the rest.
    """
    images, views, dim = training.X.shape
    classes = len(training.classes)
    scaler = training.scaler if spec.standardize else {}
    weights = first_weights(spec, dim, classes)
    if not spec.epochs:
        return _head(spec, training.classes, scaler, weights), History(), []
    rows, held = training.X.reshape(-1, dim), training.X_val
    if scaler:
        rows, held = training.standardized(rows), training.standardized(held)
    smooth = np.float32(spec.label_smoothing)
    targets = np.eye(classes, dtype=np.float32)[training.row_labels] * (1 - smooth) + smooth / classes
    weighed = importance(training.row_labels, classes, spec.class_weights, training.row_weights).astype(np.float32)
    with halves() as both:
        epochs = Epochs(spec, weights, rows, targets, weighed, both)
        weights, history = _run(
            spec, epochs, (images, views), lambda now: _validate(now, held, training.y_val), progress
        )
    notes = []
    if spec.patience is not None:
        if training.y_val.size:
            kept, count = history.kept, len(history.epochs)
            assert kept is not None
            notes.append(f"Trained for {count} epochs of at most {spec.epochs}; epoch {kept.epoch} is kept.")
        else:
            notes.append("There are no validation images, so training did not stop early.")
    return _head(spec, training.classes, scaler, weights), history, notes


def train_number(
    spec: HeadSpec,
    X: Features,
    y: NDArray[np.float64],
    X_val: Features,
    y_val: NDArray[np.float64],
    progress: Counted | None = None,
) -> tuple[FittedNumber, History]:
    """Train a network to tell a number, standardised, by the squared error.

    Args:
        spec: A kind of `KINDS`, and the protocol; what is said of classes is of no matter.
        X: `(images, views, dim)`; every view is a row.
        y: `(images,)`.
        X_val: `(n, dim)`, by which training stops, where `patience` is given.
        y_val: `(n,)`.
        progress: Called after each epoch.

    Returns:
        The head of the kept epoch, and the epochs, with `loss` and `val_loss`: half the mean squared error of the
        standardised number, in training with the penalty.

    Raises:
        DivergedError: If training does.

    Source: as `train`.
    """
    images, views, dim = X.shape
    mean, scale = float(y.mean()), float(y.std()) or 1.0
    scaler = scaling(X) if spec.standardize else {}
    rows, held = standardized_rows(X.reshape(-1, dim), scaler), standardized_rows(X_val, scaler)
    targets = np.repeat((y - mean) / scale, views)[:, None].astype(np.float32)
    true = (y_val - mean) / scale

    def validate(now: Weights) -> tuple[float | None, None]:
        return (float(np.square(_last(now, held)[:, 0] - true).mean()) / 2 if len(true) else None), None

    weights, history = first_weights(spec, dim, 1), History()
    if spec.epochs:
        with halves() as both:
            epochs = Epochs(spec, weights, rows, targets, np.ones(len(rows), np.float32), both, half_squares)
            weights, history = _run(spec, epochs, (images, views), validate, progress)
    history = History(tuple(replace(one, accuracy=None) for one in history.epochs))  # a number is never just right
    head = FittedNumber(kind=spec.kind, arrays={**scaler, **_by_layer(weights)}, level=mean, spread=scale)
    return head, history


def _run(
    spec: HeadSpec,
    epochs: Epochs,
    shape: tuple[int, int],
    validate: Callable[[Weights], tuple[float | None, float | None]],
    progress: Counted | None,
) -> tuple[Weights, History]:
    """The weights of the kept epoch, and all epochs; `shape` is images and views of the rows."""
    history: list[Epoch] = []
    best, kept = np.inf, 0
    images, views = shape
    weights = epochs.weights()
    steps = -(-images * (spec.views_per_epoch or views) // spec.batch)
    rates = learning_rates(spec, steps * spec.epochs)
    for epoch in range(spec.epochs):
        image, view = epoch_rows(images, views, spec.views_per_epoch, spec.seed, epoch)
        loss, accuracy = epochs.run(image * views + view, rates[epoch * steps : (epoch + 1) * steps])
        now = epochs.weights()
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
            value, right = validate(now)
        finite = np.isfinite([loss, value or 0.0]).all()
        if not finite or not all(np.isfinite(array).all() for array in now):
            raise DivergedError(
                f"Training the {spec.kind} head diverged in epoch {epoch + 1} (loss {loss:g}): steps of learning "
                f"rate {spec.learning_rate:g} are too long for these features. Try a tenth of it"
                f"{'' if spec.standardize else ', or `standardize=True`'}."
            )
        history.append(Epoch(epoch=epoch + 1, loss=loss, accuracy=accuracy, val_loss=value, val_accuracy=right))
        if spec.patience is None or value is None or value < best - spec.min_delta:
            weights, kept, best = now, epoch, np.inf if value is None else value
        if progress is not None:
            progress(epoch + 1, spec.epochs)
        if spec.patience is not None and epoch - kept >= spec.patience:
            break
    history[kept] = replace(history[kept], kept=True)
    return weights, History(tuple(history))


def learning_rates(spec: HeadSpec, steps: int) -> NDArray[np.float64]:
    """The learning rate of each of this many steps, `(steps,)`."""
    t = np.arange(steps, dtype=np.float64)
    if spec.schedule == "inverse-time":
        return np.asarray(spec.learning_rate / (1 + spec.decay * t))
    if spec.schedule == "cosine":
        return np.asarray(spec.learning_rate * (1 + np.cos(np.pi * t / max(steps, 1))) / 2)
    return np.full(steps, spec.learning_rate)


def first_weights(spec: HeadSpec, dim: int, classes: int) -> Weights:
    """Kernels uniform within `sqrt(6 / (inputs + units))`, biases zero; kernel, bias, kernel, ..."""
    rng = np.random.default_rng([spec.seed, 2**32])  # apart from every epoch's stream
    drawn: Weights = []
    for inputs, units in _layers(spec, dim, classes):
        limit = (6 / (inputs + units)) ** 0.5
        drawn += [rng.uniform(-limit, limit, (inputs, units)).astype(np.float32), np.zeros(units, np.float32)]
    return drawn


def size(spec: HeadSpec, dim: int, classes: int) -> int:
    """How many weights a head has, biases apart."""
    return sum(inputs * units for inputs, units in _layers(spec, dim, classes))


def _layers(spec: HeadSpec, dim: int, classes: int) -> Iterator[tuple[int, int]]:
    """Inputs and units of each layer."""
    return itertools.pairwise((dim, *hidden(spec), classes))


def hidden(spec: HeadSpec) -> tuple[int, ...]:
    """Units of the hidden layers of a head."""
    return HIDDEN[spec.kind] if spec.hidden is None or spec.kind == "softmax" else spec.hidden


def _validate(weights: Weights, X: Features, y: Labels) -> tuple[float | None, float | None]:
    """Loss and accuracy on rows that are as those trained on, in float32, as these were."""
    if not len(y):
        return None, None
    decision = _last(weights, X)
    return log_loss(decision, y), float((decision.argmax(1) == y).mean())


def _last(weights: Weights, X: Features) -> NDArray[np.float64]:
    """`(n, units)` what the last layer says, computed in float32."""
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        X = np.maximum(X @ kernel + bias, 0)
    return (X @ weights[-2] + weights[-1]).astype(np.float64)


def _head(
    spec: HeadSpec, classes: tuple[str, ...], scaler: dict[str, NDArray[np.float64]], weights: Weights
) -> FittedHead:
    return FittedHead(kind=spec.kind, classes=classes, arrays={**scaler, **_by_layer(weights)})


def _by_layer(weights: Weights) -> dict[str, NDArray[np.float32]]:
    return {f"{'bias' if index % 2 else 'weights'}_{index // 2}": array for index, array in enumerate(weights)}
