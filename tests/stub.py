"""A network without Keras, for tests of everything round it: eight exact sums of pixels."""

from __future__ import annotations

import time

import numpy as np

from cxrfeat.backbone.network import FILE, Network
from cxrfeat.feature.request import Request
from cxrfeat.spec import FeatureSpec, Normalize, Storage, ViewSpec
from cxrfeat.types import Features, Views

DIM = 8


class StubEngine:
    """Mean grey of eight bands of a view, from whole-number sums, so that no row can depend on its company."""

    name = "stub"

    def __init__(
        self, network: Network, spec: FeatureSpec, batch: int = 16, threads: int = 1, pause: float = 0
    ) -> None:
        self.network, self.spec, self.batch, self.threads, self.dim = network, spec, batch, threads, DIM
        self.pause = pause
        """Seconds per batch, so that a kill can fall into the middle."""
        self.rows = 0

    def run(self, views: Views) -> Features:
        assert views.dtype == np.uint8
        assert views.shape[1:] == (self.spec.view.size,) * 2
        assert len(views) <= self.batch, "more rows than a batch holds"
        time.sleep(self.pause)
        self.rows += len(views)
        return stub_features(views)


def stub_features(views: Views) -> Features:
    pixels = views.reshape(len(views), -1)
    bands = pixels[:, : pixels.shape[1] // DIM * DIM].reshape(len(views), DIM, -1)
    means: Features = (bands.sum(axis=2, dtype=np.int64) / bands.shape[2]).astype(np.float32)
    return means


class StubFactory:
    """Makes stub engines and keeps them, so that a test can ask what they were given."""

    def __init__(self) -> None:
        self.made: list[StubEngine] = []

    def __call__(self, network: Network, spec: FeatureSpec, batch: int, threads: int) -> StubEngine:
        self.made.append(StubEngine(network, spec, batch, threads))
        return self.made[-1]

    @property
    def rows(self) -> int:
        return sum(engine.rows for engine in self.made)


def stub_request(
    name: str = "stub",
    *,
    size: int = 32,
    views: int = 2,
    storage: Storage = "float32",
    normalize: Normalize = "backbone",
    weights: str = "0" * 64,
) -> Request:
    """A request for the features of a stub network; `name` stands in the file's name only."""
    identity = f"sha256:{weights}"
    network = Network(name=name, backbone=FILE, weights=identity, preprocess="none", size=size)
    view = ViewSpec(size=size, count=views)
    spec = FeatureSpec(
        backbone=FILE, weights=identity, preprocess="none", view=view, normalize=normalize, storage=storage
    )
    return Request(network=network, spec=spec)
