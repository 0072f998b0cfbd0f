"""Engines run a network over batches of views; extraction knows them by this protocol alone.

Every engine computes in one fixed batch shape and pads the last batch, so that a row's features do not depend on how
many rows came with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import numpy as np

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views

CPU_BATCH = 16
"""Views per batch on a CPU, where larger ones are no faster."""


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
        self._model = build(network, spec)
        # XLA made one of the five networks four times slower on a CPU, and JAX runs no other way.
        self._model.jit_compile = keras.backend.backend() == "jax"
        self.batch = batch
        self.dim = int(self._model.output_shape[-1])

    def run(self, views: Views) -> Features:
        """Features of `(n, size, size)` uint8 views, `(n, dim)` float32, in their order."""
        features = np.empty((len(views), self.dim), dtype=np.float32)
        for start in range(0, len(views), self.batch):
            some = views[start : start + self.batch]
            padding = [(0, self.batch - len(some)), (0, 0), (0, 0), (0, 0)]
            batch = np.pad(some[..., np.newaxis], padding)
            features[start : start + len(some)] = np.asarray(self._model.predict_on_batch(batch))[: len(some)]
        return features
