"""A small training run: phantoms of 64 px, a network of three layers, and everything that goes with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network, find_network
from cxrfeat.finetuning.checkpoint import Checkpoints
from cxrfeat.finetuning.images import Images
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.train import Trained, train
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.image.index import index_folder
from cxrfeat.spec import FeatureSpec, FinetuneSpec, HeadSpec, ViewSpec
from cxrfeat.types import Progress

CLASSES = ("COVID", "NORMAL")


def protocol(**head: Any) -> FinetuneSpec:
    fields = {"kind": "dropout", "hidden": (6, 5), "epochs": 2, "batch": 4, "optimizer": "adam", "learning_rate": 0.01}
    return FinetuneSpec(head=HeadSpec(**{**fields, **head}))


class Small:
    """What `train` takes, built anew each time, as a resumed process does."""

    def __init__(self, data: Path, network: Path, spec: FinetuneSpec, folder: Path, budget: int = 2**30) -> None:
        manifest = index_folder(data)
        self.spec, self.labels = spec, manifest.labels
        self.network: Network = find_network(str(network), preprocess="tf")
        self.features = FeatureSpec(
            backbone=self.network.backbone, weights=self.network.weights, preprocess="tf", view=ViewSpec(size=32)
        )
        self.images = Images(manifest.rows, manifest.root, self.features.view, budget=budget)
        order = np.random.default_rng(0).permutation(len(manifest.rows))
        self.training, self.validation = np.sort(order[3:]), np.sort(order[:3])
        self.trainable = self.build(spec)
        self.checkpoints = Checkpoints(folder, {"spec": repr(spec)}, {"threads": 2})

    def build(self, spec: FinetuneSpec) -> Trainable:
        return Trainable(self.network, self.features, spec, lambda dim: cold_head(spec.head, dim, CLASSES))

    def train(self, tell: Progress | None = None, every: float = 0.0) -> Trained:
        return train(
            self.trainable, self.spec, self.images, self.labels, self.training, self.validation, self.checkpoints,
            every=every, tell=tell,
        )  # fmt: skip

    def body(self) -> list[NDArray[np.float32]]:
        return self.trainable.weights().body


def with_clip(spec: FinetuneSpec, clip: float | None) -> FinetuneSpec:
    return replace(spec, clip=clip)


class Stopped(BaseException):
    """Stands for a kill: nothing gets to tidy up."""


def stop_after(calls: int) -> Progress:
    left = calls

    def tell(name: str, done: int, total: int) -> None:
        nonlocal left
        if name.startswith("epoch"):
            left -= 1
            if left < 0:
                raise Stopped

    return tell
