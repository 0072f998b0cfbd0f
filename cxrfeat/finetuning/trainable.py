"""The only place that builds what is trained: one Keras graph from grey views to logits, and what may change in it."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.build import load_body, pooled, view_input
from cxrfeat.backbone.engine import CPU_BATCH, in_batches, out_of_memory
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import arithmetic, has_gpu, import_keras
from cxrfeat.backbone.saved import keras_bytes
from cxrfeat.errors import UsageError
from cxrfeat.finetuning.devices import Devices
from cxrfeat.finetuning.memory import available_memory, check_batch, layers_of
from cxrfeat.head.fitted import FittedHead
from cxrfeat.spec import FeatureSpec, FinetuneSpec
from cxrfeat.types import Counted, Features, Labels, Views

Arrays = list[NDArray[Any]]
"""Values of Keras variables, in the order of the model that holds them."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a network and its head have learned."""

    body: Arrays
    head: FittedHead


class Trainable:
    """A network and its head on the device, ready to be trained together."""

    def __init__(
        self,
        network: Network,
        features: FeatureSpec,
        spec: FinetuneSpec,
        start: Callable[[int], FittedHead],
        devices: Devices | None = None,
    ) -> None:
        """Build the graph.

        Args:
            network: Which network, with which weights.
            features: How its pixels are prepared.
            spec: What may change, and how.
            start: The head to begin with, for features of this many columns: of a kind that gradients can train.
            devices: Where; `None` is every GPU there is, or else the CPU.

        Raises:
            UsageError: If `freeze_until` names no layer, or the batch cannot fit into memory.
            InputError: As `backbone.build`.
        """
        keras = import_keras()
        self._keras, self._spec, self._kept = keras, spec, (network, features)
        self._devices = devices or Devices()
        with self._devices.scope():
            self._body = load_body(network, replace(features, precision=spec.precision))
            grey = view_input(keras, network.size)
            values = pooled(keras, self._body, grey, network, features)
            self._start = start(int(values.shape[1]))
            logits = self._head(values)
            self.model = keras.Model(grey, logits)
            self._features = keras.Model(grey, values)
            _freeze(keras, self._body, spec, network.name)
            self.model.compile(
                _optimizer(keras, spec),
                keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=spec.head.label_smoothing),
                metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
                # XLA made one of the five networks four times slower on a CPU, and JAX runs no other way.
                jit_compile=keras.backend.backend() == "jax",
            )
            self._optimizer = self.model.optimizer
            self._optimizer.build(self.model.trainable_variables)
            if self._devices.count > 1:  # Keras builds its metrics at the first batch, and not from one that is shared
                views = np.zeros((self._devices.count, network.size, network.size, 1), np.uint8)
                self.model.test_on_batch(views, one_hot(np.zeros(len(views), np.int64), len(self._start.classes)))
        if not has_gpu():
            check_batch(self._body, spec.head.batch, self.parameters[0], available_memory())
        for one in (self._features, self._body):
            one.jit_compile = keras.backend.backend() == "jax"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return self._start.classes

    @property
    def parameters(self) -> tuple[int, int]:
        """How many numbers are trained, and how many there are."""
        trained, every = self.model.trainable_variables, self.model.weights
        return sum(math.prod(one.shape) for one in trained), sum(math.prod(one.shape) for one in every)

    def learn(
        self, views: Views, targets: NDArray[np.float32], importance: NDArray[np.float32], rate: float
    ) -> tuple[float, float]:
        """One step on one batch.

        Args:
            views: `(n, size, size)` uint8.
            targets: `(n, classes)`, one-hot.
            importance: `(n,)` factor of each image's loss.
            rate: Learning rate.

        Returns:
            Mean loss and accuracy of the batch before the step, dropout on.

        Raises:
            UsageError: If the device has too little memory for the batch.
        """
        self._optimizer.learning_rate = rate
        try:
            with self._devices.scope():
                x, y, weights = self._devices.shared([views[..., np.newaxis], targets], importance)
                told = self.model.train_on_batch(x, y, sample_weight=weights, return_dict=True)
        except Exception as error:  # each backend says "out of memory" with an exception of its own; others go on
            if not out_of_memory(error):
                raise
            raise UsageError(
                f"The device has too little memory for `batch={len(views)}`: try `batch={max(1, len(views) // 2)}`, or "
                "`precision=float16` on a GPU. What was finished is kept."
            ) from error
        return float(told["loss"]), float(told["accuracy"])

    def features(self, views: Views, progress: Counted | None = None) -> Features:
        """Pooled features of views with the weights as they are now, `(n, dim)` float32, as extraction gives them."""
        done = 0

        def step(batch: Views) -> Any:  # noqa: ANN401  # Keras has no types
            nonlocal done
            found = self._features.predict_on_batch(batch)
            done += len(batch)
            if progress:
                progress(min(done, len(views)), len(views))
            return found

        batch = CPU_BATCH + -CPU_BATCH % self._devices.count
        with self._devices.scope(), arithmetic("float32"):
            return in_batches(views, batch, int(self._features.output_shape[-1]), step)

    def weights(self) -> Weights:
        """A copy of the weights as they are now."""
        values = {name: self._numpy(variable) for name, variable in self._head_variables()}
        head = self._start
        scaler = {name: head.arrays[name] for name in ("mean", "scale") if name in head.arrays}
        return Weights(
            [self._numpy(one) for one in self._body.weights],
            FittedHead(kind=head.kind, classes=head.classes, arrays={**scaler, **values}),
        )

    def finite(self) -> bool:
        """Whether all weights are numbers still."""
        variables = (*self._body.weights, *(variable for _, variable in self._head_variables()))
        return all(bool(np.isfinite(self._numpy(one)).all()) for one in variables)

    def set_weights(self, weights: Weights) -> None:
        """Go back to earlier weights; the optimiser keeps what it remembers."""
        for variable, value in zip(self._body.weights, weights.body, strict=True):
            variable.assign(value)
        for name, variable in self._head_variables():
            variable.assign(weights.head.arrays[name])

    def state(self) -> Arrays:
        """Everything the next step depends on: weights, seeds of dropout, and what the optimiser remembers.

        `model.weights` would leave the seeds out (seen in Keras 3.15.1).
        """
        return [self._numpy(one) for one in self._state()]

    def set_state(self, values: Arrays) -> None:
        """Go on from a `state` of the same graph.

        Raises:
            ValueError: If it is of another.
        """
        variables = self._state()
        shapes = [tuple(one.shape) for one in variables]
        if shapes != [value.shape for value in values]:
            raise ValueError("it is the state of another network")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def saved(self) -> bytes:
        """The network without its head as a `.keras` file: float32, and the same bytes for the same weights."""
        network, features = self._kept
        body = self._body
        if self._spec.precision != "float32":  # extraction computes as the file says, on whatever machine
            body = load_body(network, features)
            for variable, value in zip(body.weights, self._body.weights, strict=True):
                variable.assign(self._keras.ops.cast(value, variable.dtype))
        return keras_bytes(body)

    @staticmethod
    def _numpy(variable: Any) -> NDArray[Any]:  # noqa: ANN401  # Keras has no types
        # Not by Keras's own conversion: TensorFlow's variables do not know how NumPy 2 asks for a copy.
        return np.array(np.asarray(variable.value))

    def _state(self) -> list[Any]:
        return [*self.model.variables, *self._optimizer.variables]

    def _head(self, values: Any) -> Any:  # noqa: ANN401  # Keras has no types
        """Features to logits: the scaler of the head, which stays as it is, and its layers."""
        layers, arrays, head = self._keras.layers, self._start.arrays, self._spec.head
        self._dense = []
        if "mean" in arrays:
            values = (values - arrays["mean"].astype(np.float32)) / arrays["scale"].astype(np.float32)
        count = sum(name.startswith("weights_") for name in arrays)
        for layer in range(count):
            last = layer == count - 1
            weights, bias = arrays[f"weights_{layer}"], arrays[f"bias_{layer}"]
            dense = layers.Dense(
                weights.shape[1], activation=None if last else "relu", dtype="float32", name=f"head_{layer}"
            )
            values = dense(values)
            dense.set_weights([weights, bias])
            self._dense.append(dense)
            if layer == 0 and not last and self._start.kind == "dropout" and head.dropout:
                values = layers.Dropout(head.dropout, seed=head.seed, dtype="float32", name="head_dropout")(values)
        return values

    def _head_variables(self) -> Iterator[tuple[str, Any]]:
        for layer, dense in enumerate(self._dense):
            yield f"weights_{layer}", dense.kernel
            yield f"bias_{layer}", dense.bias


def prepare_exactness(cores: int) -> None:
    """Ask for the same bits from the same steps, where TensorFlow is not loaded yet: this many threads, no races.

    Sums in another order differ in their last bits, so a run that goes on has the cores that it began with.
    """
    if "keras" not in sys.modules:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(cores)
    keras = import_keras()
    if keras.backend.backend() == "tensorflow" and not has_gpu():
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def one_hot(y: Labels, classes: int) -> NDArray[np.float32]:
    """`(n, classes)` targets."""
    return np.eye(classes, dtype=np.float32)[y]


def _optimizer(keras: Any, spec: FinetuneSpec) -> Any:  # noqa: ANN401  # Keras has no types
    head = spec.head
    if head.optimizer == "adam":
        optimizer = keras.optimizers.Adam(head.learning_rate, global_clipnorm=spec.clip)
    else:
        optimizer = keras.optimizers.SGD(
            head.learning_rate, momentum=head.momentum, nesterov=head.momentum > 0, global_clipnorm=spec.clip
        )
    # Keras does so by itself only where the outermost model is of half precision, and ours ends in a float32 head.
    return keras.optimizers.LossScaleOptimizer(optimizer) if spec.precision == "float16" else optimizer


def _freeze(keras: Any, body: Any, spec: FinetuneSpec, name: str) -> None:  # noqa: ANN401  # Keras has no types
    """Let everything change but what is to stay: a user's own network may come with frozen layers.

    A frozen `BatchNormalization` uses the statistics it has, in training too.
    """
    body.trainable = True
    layers = layers_of(body)
    if spec.freeze_until is not None:
        names = [layer.name for layer in layers]
        if spec.freeze_until not in names:
            near = difflib.get_close_matches(spec.freeze_until, names, n=3)
            hint = f"Did you mean {', '.join(near)}? " if near else ""
            raise UsageError(
                f"{name} has no layer {spec.freeze_until!r}. {hint}Its layers are {', '.join(names[:4])}, ..., "
                f"{', '.join(names[-4:])}."
            )
        for layer in layers[: names.index(spec.freeze_until)]:
            layer.trainable = False
    if spec.batchnorm == "frozen":
        for layer in layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
