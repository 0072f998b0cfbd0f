"""How much faster is extracting once and training heads than running the network in every epoch?

The study trained its frozen rows by running the backbone over one augmented view of every image in each of 20 epochs.
Here the same head is trained both ways on the same phantoms: a few real epochs of the study's way, the rest computed
from them (an epoch costs what an epoch costs), against one extraction and one head. The candidates alternate.

    python benchmarks/two_stage.py --backbone densenet121 --images 96 --views 8
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.feature.compute import threads
from cxrfeat.image.index import index_folder
from cxrfeat.image.phantom import PhantomSpec, write_phantoms
from cxrfeat.image.row import Manifest
from cxrfeat.spec import FeatureSpec, HeadSpec, ViewSpec
from cxrfeat.study.extract import extract
from cxrfeat.study.fit import fit

EPOCHS = 20
"""Of the study."""


def study_epochs(manifest: Manifest, backbone: str, size: int | None, epochs: int) -> list[float]:
    """Seconds of each epoch of plain Keras `fit` on frozen backbone and dropout head, images prepared beforehand."""
    keras = import_keras()
    network = find_network(backbone, weights="random", size=size)
    spec = FeatureSpec(
        backbone=network.backbone,
        weights=network.weights,
        preprocess=network.preprocess,
        view=ViewSpec(size=network.size, count=1),
    )
    frozen = build(network, spec)
    layers = [keras.layers.Dense(500, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(200, "relu")]
    model = keras.Sequential([frozen, *layers, keras.layers.Dense(len(manifest.classes), "softmax")])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
    from cxrfeat.feature.compute import prepare

    view = spec.view
    pixels = [prepare(manifest.root / row.path, row.content_sha256, [view]).views[view] for row in manifest.rows]
    X, y = np.concatenate(pixels)[..., np.newaxis], manifest.labels
    model.fit(X[:32], y[:32], batch_size=32, epochs=1, verbose=0)  # compile
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        model.fit(X, y, batch_size=32, epochs=1, verbose=0)
        seconds.append(time.perf_counter() - start)
    return seconds


def measure(backbone: str, images: int, views: int, epochs: int, size: int | None) -> dict[str, Any]:
    """One run of both candidates."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        phantoms = PhantomSpec(patients_per_class=max(6, images // 3), images_per_patient=1, seed=1)
        write_phantoms(root / "data", phantoms)
        manifest = index_folder(root / "data")
        epoch = study_epochs(manifest, backbone, size, epochs)
        made = extract(
            root / "data",
            backbone=backbone,
            weights="random",
            views=views,
            size=size,
            features=root / "features",
        )
        head = HeadSpec(kind="dropout", epochs=EPOCHS, views_per_epoch=1)
        start = time.perf_counter()
        fit(made.files[0].path, [head], runs=root / "runs")
        one = time.perf_counter() - start
        start = time.perf_counter()
        fit(made.files[0].path, [replace(head, seed=1)], runs=root / "runs")
        another = time.perf_counter() - start
    study = statistics.median(epoch) * EPOCHS
    return {
        "backbone": backbone,
        "images": len(manifest.rows),
        "views": views,
        "study_epoch_seconds": epoch,
        "study_20_epochs_seconds_computed": study,
        "extract_seconds": made.files[0].seconds,
        "first_head_seconds": one,
        "next_head_seconds": another,
        "ratio_first_head": study / (made.files[0].seconds + one),
        "ratio_next_head": study / another,
    }


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", action="append", help="default: densenet121")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--views", type=int, action="append", help="default: 1 and 8")
    parser.add_argument("--epochs", type=int, default=3, help="real epochs of the study's way")
    parser.add_argument("--size", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(arguments)
    rows = [
        measure(backbone, options.images, views, options.epochs, options.size)
        for _ in range(options.repeats)
        for backbone in options.backbone or ["densenet121"]
        for views in options.views or [1, 8]
    ]
    machine = f"{platform.processor() or platform.machine()}, {threads()} cores"
    print(f"{machine}, {datetime.now(UTC):%Y-%m-%d}; load {os.getloadavg()[0]:.1f}")
    names = ("backbone", "images", "views", "study s", "extract s", "head s", "ratio", "next")
    print("{:12} {:>6} {:>5} {:>8} {:>9} {:>7} {:>6} {:>6}".format(*names))
    for row in rows:
        print(
            f"{row['backbone']:12} {row['images']:6} {row['views']:5} {row['study_20_epochs_seconds_computed']:8.0f} "
            f"{row['extract_seconds']:9.1f} {row['first_head_seconds']:7.1f} {row['ratio_first_head']:6.1f} "
            f"{row['ratio_next_head']:6.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return rows


if __name__ == "__main__":
    main()
