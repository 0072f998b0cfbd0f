"""Engines run a network over batches of views; extraction knows them by this protocol alone.

Every engine computes in one fixed batch shape and pads the last batch, so that a row's features do not depend on how
many rows came with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import full_float32, import_keras
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views

CPU_BATCH = 16
"""Views per batch on a CPU, where larger ones are no faster."""

STREAMED_BATCH = 64
"""Views handed to an engine that computes each by itself, several at a time: at the end of a batch some wait."""

GPU_BATCH = 256
"""Views per batch on a GPU to begin with; halved until it fits."""


class Engine(Protocol):
    """A network, loaded and ready."""

    name: str
    dim: int
    batch: int

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        ...


EngineFactory = Callable[[Network, FeatureSpec, int, int], Engine]
"""Makes an engine from a network, its features' description, the batch size, and the number of threads."""


class KerasEngine:
    """Keras's own inference, on whichever backend Keras runs."""

    name = "keras"

    def __init__(self, network: Network, spec: FeatureSpec, batch: int = CPU_BATCH, threads: int = 0) -> None:
        """Load the network.

        Args:
            network: Which network, with which weights.
            spec: How its pixels are prepared.
            batch: Views per batch.
            threads: Threads of one operation; 0 leaves it to the backend. Takes effect only where the backend is not
                loaded yet: sums in another order differ in their last bits, so a resumed extraction asks for its own.
        """
        if threads:
            os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        keras = import_keras()
        model = build(network, spec)
        if keras.backend.backend() == "jax":
            self._step = _compiled_by_jax(model)
        else:
            model.jit_compile = False  # XLA made one of the five networks four times slower on a CPU
            self._step = model.predict_on_batch
        self.batch = batch
        self.dim = int(model.output_shape[-1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order.

        Raises:
            UsageError: If the device has too little memory for a single view.
        """
        while True:
            try:
                with full_float32():
                    return in_batches(views, self.batch, self.dim, self._step)
            except Exception as error:  # each backend says "out of memory" with an exception of its own; others go on
                if not out_of_memory(error):
                    raise
                if self.batch == 1:
                    raise UsageError(
                        "The device has too little memory for one view of this network. Close other programs on it, "
                        "pass a smaller `size`, or compute on the CPU with `engine=openvino` or onnx."
                    ) from error
                self.batch //= 2


def _compiled_by_jax(model: Any) -> Callable[[Views], Any]:  # noqa: ANN401  # Keras has no types
    """The network as a function that returns at once, while the device computes.

    Keras's own `predict_on_batch` waits for the device, and brings every weight there and back around each batch.
    """
    import jax

    weights = [
        [variable.value for variable in part] for part in (model.trainable_variables, model.non_trainable_variables)
    ]
    call = jax.jit(lambda trainable, others, views: model.stateless_call(trainable, others, views, training=False)[0])
    return lambda views: call(*weights, views)


def in_batches(views: Views, size: int, dim: int, step: Callable[[Views], Any]) -> Features:
    """Features of `(n, side, side)` views by a function of `(size, side, side, 1)`; the last batch is padded.

    A batch is handed over before the features of the one before it are asked for: a device need not wait for this.
    """
    features = np.empty((len(views), dim), dtype=np.float32)
    made: tuple[int, Any] | None = None
    for start in range(0, len(views), size):
        batch = views[start : start + size, ..., np.newaxis]
        if len(batch) < size:
            batch = np.pad(batch, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])
        before, made = made, (start, step(batch))
        _keep(features, before)
    _keep(features, made)
    return features


def _keep(features: Features, made: tuple[int, Any] | None) -> None:
    """Put the features of a batch, which begins at a row, where they belong."""
    if made is not None:
        start, found = made
        rows = features[start : start + len(found)]
        rows[:] = np.asarray(found)[: len(rows)]


def out_of_memory(error: Exception) -> bool:
    """Whether a backend means that its device's memory is full: each says so with an exception of its own."""
    text = f"{type(error).__name__} {error}".lower()
    return any(sign in text for sign in ("resource_exhausted", "resourceexhausted", "out of memory", "outofmemory"))
