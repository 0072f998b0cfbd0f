"""Runs one slow extraction, to be killed: `python -m tests.feature.killed DATA FEATURES PAUSE`."""

from __future__ import annotations

import sys
from pathlib import Path

import cxrfeat.feature.plan as plan
from cxrfeat.backbone.network import Network
from cxrfeat.feature.extract import extract_features
from cxrfeat.image.index import index_folder
from cxrfeat.spec import FeatureSpec
from tests.feature.images import SALT
from tests.stub import StubEngine, stub_request


def main(data: str, features: str, pause: str) -> None:
    plan.SHARD_VIEWS = 8

    def make_engine(network: Network, spec: FeatureSpec, batch: int, threads: int) -> StubEngine:
        return StubEngine(network, spec, batch, threads, pause=float(pause))

    manifest = index_folder(Path(data))
    print("begin", flush=True)
    for request in ([stub_request("one"), stub_request("two", weights="1" * 64, storage="float16")],):
        extract_features(
            manifest, request, features=Path(features), identity=SALT, make_engine=make_engine, engine="stub", batch=4
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
