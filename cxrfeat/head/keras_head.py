"""The only place in `head/` that uses Keras: trains the one-layer and three-layer networks.

Everything random is ours: NumPy draws the first weights and the order of the rows, so both are the same on TensorFlow
and JAX, and the state of the dropout layer is set before each fit. No global seed is touched. One compiled model per
shape is kept and reset, because compiling costs more than training on small sets.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import InputError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.order import epoch_rows
from cxrfeat.metric.calibrate import log_loss
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.types import Features, Labels

Progress = Callable[[int, int], None]
"""Called after each epoch with how many are done, and how many there are."""

HIDDEN: dict[HeadKind, tuple[int, ...]] = {"softmax": (), "dense": (500, 200), "dropout": (500, 200)}
"""Units of the hidden layers, as in the study."""

STEPS = 64
"""Steps per call into the backend; they change no number. Against 1: 0.12 for 0.34 s per epoch of 960 rows of width
1024, 0.5 for 1.3 s of 7680 (dropout head, batch 32, TensorFlow 2.21, 2 cores)."""

_lock = threading.Lock()  # the kept models hold the weights in training, so one fit at a time


def load() -> None:
    """Import Keras now, so that it is not taken for training time."""
    import_keras()


def train(
    spec: HeadSpec,
    X_train: Features,
    y_train: Labels,
    X_val: Features,
    y_val: Labels,
    classes: tuple[str, ...],
    scaler: dict[str, NDArray[np.float64]],
    progress: Progress | None = None,
) -> tuple[FittedHead, list[dict[str, Any]]]:
    """Train a network on cached features.

    Args:
        spec: A Keras kind, and the protocol.
        X_train: `(images, views, dim)` float32.
        y_train: `(images,)` class indices.
        X_val: `(n, dim)` float32, plain views; may be empty.
        y_val: `(n,)` class indices.
        classes: Class names.
        scaler: `mean` and `scale` of the training rows, or nothing.
        progress: Called after each epoch.

    Returns:
        The head, and one row per epoch: `epoch` from 1, `loss` and `accuracy` as Keras prints them (running means over
        the epoch's batches, dropout on), `val_loss` and `val_accuracy` after it (dropout off; `None` without
        validation images).

    Raises:
        InputError: If training diverges.

    Source: Glorot & Bengio 2010 for the first weights (Keras's default); PAPER.md, protocol, for the rest.
    """
    images, views, dim = X_train.shape
    if scaler:
        X_train = ((X_train - scaler["mean"]) / scaler["scale"]).astype(np.float32)
    history: list[dict[str, Any]] = []
    with _lock:
        model = _kept(spec.kind, dim, len(classes), spec.dropout, spec.learning_rate, spec.decay, spec.momentum)
        model.reset(_first_weights(spec, dim, len(classes)), spec.seed)
        head = _head(spec, classes, scaler, model.weights())
        for epoch in range(spec.epochs):
            image, view = epoch_rows(images, views, spec.views_per_epoch, spec.seed, epoch)
            loss, accuracy = model.epoch(X_train[image, view], y_train[image], spec.batch)
            weights = model.weights()
            if not np.isfinite(loss) or not all(np.isfinite(array).all() for array in weights):
                raise InputError(
                    f"Training the {spec.kind} head diverged in epoch {epoch + 1} (loss {loss:g}): steps of learning "
                    f"rate {spec.learning_rate:g} are too long for these features. Try a tenth of it, or --standardize."
                )
            head = _head(spec, classes, scaler, weights)
            history.append({"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, **_validate(head, X_val, y_val)})
            if progress is not None:
                progress(epoch + 1, spec.epochs)
    return head, history


def _validate(head: FittedHead, X: Features, y: Labels) -> dict[str, float | None]:
    if not len(y):
        return {"val_loss": None, "val_accuracy": None}
    decision = head.decision(X)
    return {"val_loss": log_loss(decision, y), "val_accuracy": float((decision.argmax(1) == y).mean())}


def _head(
    spec: HeadSpec, classes: tuple[str, ...], scaler: dict[str, NDArray[np.float64]], weights: list[NDArray[np.float32]]
) -> FittedHead:
    named = {f"{'bias' if index % 2 else 'weights'}_{index // 2}": array for index, array in enumerate(weights)}
    return FittedHead(kind=spec.kind, classes=classes, arrays={**scaler, **named})


def _first_weights(spec: HeadSpec, dim: int, classes: int) -> list[NDArray[np.float32]]:
    """Kernels uniform within `sqrt(6 / (inputs + units))`, biases zero; kernel, bias, kernel, ..."""
    rng = np.random.default_rng([spec.seed, 2**32])  # apart from every epoch's stream
    sizes = (dim, *HIDDEN[spec.kind], classes)
    drawn: list[NDArray[np.float32]] = []
    for inputs, units in itertools.pairwise(sizes):
        limit = (6 / (inputs + units)) ** 0.5
        drawn += [rng.uniform(-limit, limit, (inputs, units)).astype(np.float32), np.zeros(units, np.float32)]
    return drawn


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A compiled Keras model, reused for every fit of its shape and protocol."""

    model: Any

    def reset(self, weights: list[NDArray[np.float32]], seed: int) -> None:
        for variable, value in zip(self.model.trainable_variables, weights, strict=True):
            variable.assign(value)
        for variable in self.model.optimizer.variables:  # the step count and the momenta
            variable.assign(np.zeros(variable.shape, variable.dtype))
        for layer in self.model.layers:
            if hasattr(layer, "seed_generator"):
                state = layer.seed_generator.state
                state.assign(np.array([seed, 0], state.dtype))

    def weights(self) -> list[NDArray[np.float32]]:
        return [np.array(value) for value in self.model.get_weights()]

    def epoch(self, X: Features, y: Labels, batch: int) -> tuple[float, float]:
        logs = self.model.fit(X, y, batch_size=batch, epochs=1, shuffle=False, verbose=0).history
        return float(logs["loss"][0]), float(logs["accuracy"][0])


@functools.lru_cache(maxsize=8)
def _kept(
    kind: HeadKind, dim: int, classes: int, dropout: float, learning_rate: float, decay: float, momentum: float
) -> _Compiled:
    keras = import_keras()
    layers: list[Any] = [keras.Input((dim,))]
    for units in HIDDEN[kind]:
        layers.append(_dense(units, "relu"))
        if kind == "dropout" and units == 500:
            layers.append(keras.layers.Dropout(dropout, seed=0, dtype="float32"))
    model = keras.Sequential([*layers, _dense(classes, None)])
    schedule = keras.optimizers.schedules.InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=decay)
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=momentum, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=STEPS,
    )
    model.optimizer.build(model.trainable_variables)
    return _Compiled(model)


def _dense(units: int, activation: str | None) -> Any:  # noqa: ANN401  # a Keras layer; Keras has no types
    keras = import_keras()
    # Zeros, because Keras's own draw would take a seed from Python's global generator; ours are set before a fit.
    # float32 whatever the global policy: fine-tuning sets mixed precision on a GPU.
    return keras.layers.Dense(units, activation=activation, kernel_initializer="zeros", dtype="float32")
