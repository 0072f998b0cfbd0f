"""A small fine-tuning on JAX: `python -m tests.finetuning.jax_worker DATA NETWORK OUT`; prints what a test asks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from cxrfeat.finetuning.devices import Devices
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.trainable import Trainable
from tests.finetuning.small import CLASSES, Small, Stopped, protocol, stop_after


def main(data: Path, network: Path, out: Path) -> None:
    spec = protocol()
    undisturbed = Small(data, network, spec, out / "undisturbed").train(every=1e9)
    while True:
        small = Small(data, network, spec, out / "disturbed")
        try:
            resumed = small.train(stop_after(2))
            break
        except Stopped:
            continue
    same = all(
        np.array_equal(one, other) for one, other in zip(undisturbed.weights.body, resumed.weights.body, strict=True)
    )
    plain = protocol(kind="dense", optimizer="sgd")
    one = Small(data, network, plain, out / "one").trainable
    network_of = Small(data, network, plain, out / "two")
    both = Trainable(
        network_of.network, network_of.features, plain, lambda dim: cold_head(plain.head, dim, CLASSES),
        Devices(["cpu:0", "cpu:1"]),
    )  # fmt: skip
    views = np.random.default_rng(0).integers(0, 256, (7, 32, 32), dtype=np.uint8)
    targets, ones = np.eye(2, dtype=np.float32)[np.arange(7) % 2], np.ones(7, np.float32)
    losses = [each.learn(views, targets, ones, 0.01)[0] for each in (one, both)]
    features = float(np.abs(one.features(views) - both.features(views)).max())
    print(json.dumps({"same": same, "losses": losses, "features": features}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
