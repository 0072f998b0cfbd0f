"""Runs one extraction, to be killed: `python -m tests.feature.killed KIND DATA FEATURES LOG`.

`LOG` gets a line with the network's name for every view that was computed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cxrfeat.feature.plan as plan
from cxrfeat.backbone.choose import find_engine
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network, find_network
from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.request import Request
from cxrfeat.feature.task import Computing
from cxrfeat.image.index import index_folder
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Features, Views
from tests.feature.images import SALT
from tests.stub import StubEngine, stub_request

SHARD_VIEWS = 8
PAUSE = 0.02
"""Seconds per batch of the stub."""


class Logged:
    """An engine that writes down what it computes, where no kill can take it back."""

    def __init__(self, engine: Engine, name: str, log: Path) -> None:
        self._engine, self._line, self._log = engine, f"{name}\n", log
        self.name, self.dim, self.batch = engine.name, engine.dim, engine.batch

    def run(self, views: Views) -> Features:
        features = self._engine.run(views)
        with self._log.open("a") as file:
            file.write(self._line * len(views))
        return features


def requests(kind: str) -> list[Request]:
    if kind == "one":
        return [stub_request("one")]
    if kind == "two":
        return [stub_request("one"), stub_request("two", weights="1" * 64, storage="float16")]
    network = find_network(kind, weights="random", size=64)
    view = ViewSpec(size=64, count=2)
    spec = FeatureSpec(backbone=network.backbone, weights=network.weights, preprocess=network.preprocess, view=view)
    return [Request(network=network, spec=spec)]


def main(kind: str, data: str, features: str, log: str) -> None:
    plan.SHARD_VIEWS = SHARD_VIEWS
    stub = kind in ("one", "two")

    def make_engine(network: Network, spec: FeatureSpec, batch: int, threads: int) -> Logged:
        if stub:
            return Logged(StubEngine(network, spec, batch, threads, PAUSE), network.name, Path(log))
        return Logged(find_engine("keras")(network, spec, batch, threads), network.name, Path(log))

    manifest = index_folder(Path(data))
    print("begin", flush=True)
    extract_features(
        manifest, requests(kind), features=Path(features), identity=SALT,
        computing=Computing(engine="keras", make_engine=make_engine, batch=4),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
