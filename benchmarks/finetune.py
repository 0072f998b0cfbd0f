"""What does an epoch of fine-tuning cost against plain Keras, and what does a warm start save?

`--part epoch`: one epoch of a whole network and a dropout head: same images, batch and optimiser, no validation:
- `plain`: Keras's `fit` on `image_dataset_from_directory` (where there is no TensorFlow: on decoded images in memory),
  with its layers for mirroring, zoom and brightness;
- `cxrfeat`: drawn views of images that lie decoded in memory, and a step for each batch. Its checkpoints are apart.
What the first epoch compiles and decodes is apart on both sides. The candidates take turns.

`--part accuracy`: seconds until the validation accuracy is `--target` for the first time, from the same images:
- `warm`: plain views extracted, a logistic head fitted on them, then the default recipe, extraction and head included;
- `cold`: the same recipe from a softmax head that knows nothing.
A way that does not come there in `--epochs` epochs says so. With random weights the figures say nothing: name a trained
network and real images.

    python -m benchmarks.finetune --json finetune.json
    python -m benchmarks.finetune --part accuracy --data DATA --backbone PATH.keras --preprocess tf --images 1200
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from benchmarks.common import alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage
from benchmarks.network import call_arguments, find
from cxrfeat.backbone.build import load_body
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.finetuning.images import Images
from cxrfeat.finetuning.recipe import DEFAULT, PAPER
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.spec import FeatureSpec, FinetuneSpec, ViewSpec
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import draw_views
from cxrfeat.workflow.finetune import WARM, finetune

PARTS = ("epoch", "accuracy")


def plain(network: Network, features: FeatureSpec, data: Path, spec: FinetuneSpec) -> Callable[[], float]:
    """An epoch as Keras's own guide to fine-tuning writes it."""
    keras = import_keras()
    layers, size = keras.layers, network.size
    fit = _from_folder if importlib.util.find_spec("tensorflow") else _from_memory
    classes = len(index_folder(data).classes)
    body = load_body(network, features)
    channels = body.input_shape[-1]
    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomZoom((-1 / 6, 0.0)),
            layers.RandomBrightness(0.2),
            layers.Rescaling(1 / 127.5, -1.0),
            *([layers.Conv2D(1, 1, use_bias=False)] if channels == 1 else []),
            body,
            layers.GlobalAveragePooling2D(),
            layers.Dense(500, "relu"),
            layers.Dropout(0.5),
            layers.Dense(200, "relu"),
            layers.Dense(classes, "softmax"),
        ]
    )
    body.trainable = True
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["accuracy"]
    )
    return fit(model, data, size, spec.head.batch)


def _from_folder(model: Any, data: Path, size: int, batch: int) -> Callable[[], float]:  # noqa: ANN401  # Keras's
    """Keras's own way, which takes TensorFlow."""
    images = import_keras().utils.image_dataset_from_directory(
        str(data), label_mode="categorical", image_size=(size, size), batch_size=batch, verbose=False
    )
    return lambda: seconds_of(lambda: model.fit(images, epochs=1, shuffle=False, verbose=0))


def _from_memory(model: Any, data: Path, size: int, batch: int) -> Callable[[], float]:  # noqa: ANN401  # Keras's
    """All images decoded before the clock starts."""
    manifest, view = index_folder(data), ViewSpec(size=size)
    images = [decode(read_file(data / row.path)) for row in manifest.rows]
    views = [apply_views(view, image, draw_views(view, "0" * 64)[:1])[0] for image in images]
    pixels = np.repeat(np.stack(views)[..., None].astype(np.float32), 3, axis=-1)
    targets = np.eye(len(manifest.classes), dtype=np.float32)[manifest.labels]
    return lambda: seconds_of(lambda: model.fit(pixels, targets, batch_size=batch, epochs=1, verbose=0))


def ours(network: Network, features: FeatureSpec, data: Path, spec: FinetuneSpec) -> Callable[[], float]:
    """An epoch of `cxrfeat finetune --recipe paper`."""
    manifest = index_folder(data)
    trainable = Trainable(network, features, spec, lambda dim: cold_head(spec.head, dim, manifest.classes))
    images = Images(manifest.rows, manifest.root, features.view, budget=2**31)
    targets = np.eye(len(manifest.classes), dtype=np.float32)[manifest.labels]
    epochs = 0

    def epoch() -> None:
        nonlocal epochs
        order = np.random.default_rng([spec.head.seed, epochs]).permutation(len(manifest.rows))
        start = 0
        for views in images.batches(order, epochs, spec.head.batch):
            rows = order[start : start + len(views)]
            trainable.learn(views, targets[rows], np.ones(len(views), np.float32), spec.head.learning_rate)
            start += len(views)
        epochs += 1

    return lambda: seconds_of(epoch)


def measure_epoch(chosen: argparse.Namespace, backbone: str, data: Path) -> dict[str, Any]:
    """One row: both ways in turn."""
    network = find(backbone, preprocess=chosen.preprocess, size=chosen.size)
    features = FeatureSpec(
        backbone=network.backbone, weights=network.weights, preprocess=network.preprocess,
        view=ViewSpec(size=network.size),
    )  # fmt: skip
    spec = replace(PAPER, head=replace(PAPER.head, batch=chosen.batch))
    candidates = {"plain": plain(network, features, data, spec), "cxrfeat": ours(network, features, data, spec)}
    for name, candidate in candidates.items():
        say(f"{network.name}: first epoch of {name}: {candidate():.1f} s")
    spreads = alternate(candidates, repeats=chosen.repeats, what=network.name)
    return {
        "part": "epoch",
        "network": network.name,
        "size": network.size,
        "images": len(index_folder(data).rows),
        "batch": chosen.batch,
        **{f"{name}_seconds": spread.to_dict() for name, spread in spreads.items()},
        "ratio": spreads["plain"].over(spreads["cxrfeat"]).to_dict(),
    }


def measure_accuracy(chosen: argparse.Namespace, backbone: str, data: Path, folder: Path) -> list[dict[str, Any]]:
    """Two rows: from a warm and from a cold head."""
    arguments = call_arguments(backbone, preprocess=chosen.preprocess, size=chosen.size)
    protocol = replace(DEFAULT, head=replace(DEFAULT.head, epochs=chosen.epochs, batch=chosen.batch, patience=None))
    rows = []
    for name, warm in (("warm", WARM), ("cold", None)):
        runs, features = Path(mkdtemp(dir=folder)), Path(mkdtemp(dir=folder))
        start, seen = time.perf_counter(), list[float]()

        def tell(what: str, done: int, total: int, start: float = start, seen: list[float] = seen) -> None:
            if what == "validation" and done == total:
                seen.append(time.perf_counter() - start)

        run = finetune(data, spec=protocol, warm=warm, runs=runs, features=features, progress=tell, **arguments).runs[0]
        accuracy = [one.val_accuracy or 0.0 for one in run.history().epochs]
        there = next((epoch for epoch, value in enumerate(accuracy) if value >= chosen.target), None)
        say(f"{name}: round 1: {', '.join(f'{value:.3f}' for value in accuracy)}")
        rows.append(
            {
                "part": "accuracy",
                "network": run.document.backbone,
                "start": name,
                "target": chosen.target,
                "reached": there is not None,
                "epoch": there if there is not None else chosen.epochs,
                "seconds": seen[there] if there is not None else seen[-1],
                "validation_accuracy": accuracy,
                "test_accuracy": run.document.test.accuracy,
            }
        )
    return rows


def line(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    if row["part"] == "epoch":
        return [
            f"{row['network']} ({row['size']}), an epoch of {row['images']} images",
            row["plain_seconds"]["shown"],
            row["cxrfeat_seconds"]["shown"],
            row["ratio"]["shown"],
        ]
    reached = f"{row['seconds']:.0f} s, epoch {row['epoch']}" if row["reached"] else f"not in {row['seconds']:.0f} s"
    best = max(row["validation_accuracy"])
    return [f"{row['network']}, {row['start']} start, to {row['target']:g}", "", reached, f"best {best:.3f}"]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="default: both")
    parser.add_argument("--data", type=Path, help="folder of images; default: phantoms of 299 px")
    parser.add_argument("--images", type=int, default=96, help="at most (default: 96)")
    parser.add_argument("--backbone", action="append", help="of the table, or a .keras file; default: densenet121")
    parser.add_argument("--preprocess", help="of a .keras file")
    parser.add_argument("--size", type=int, help="in pixels; default: the network's own")
    parser.add_argument("--batch", type=int, default=32, help="images per step (default: 32)")
    parser.add_argument("--epochs", type=int, default=4, help="of the part accuracy (default: 4)")
    parser.add_argument("--target", type=float, default=0.8, help="validation accuracy to reach (default: 0.8)")
    chosen = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with scratch() as folder:
        root, images = some_images(chosen.data, chosen.images, folder)
        data = stage(images, root, folder / "images")
        for backbone in chosen.backbone or ["densenet121"]:
            if "epoch" in (chosen.part or PARTS):
                rows.append(measure_epoch(chosen, backbone, data))
            if "accuracy" in (chosen.part or PARTS):
                # From the folder itself, whose patients and sources the copies do not have.
                rows += measure_accuracy(chosen, backbone, chosen.data or data, folder)
    notes = ["Seconds, median (min-max). ratio: plain over cxrfeat, the median of the rounds' own quotients."]
    header = ["what", "plain s", "cxrfeat s", "ratio"]
    return publish(
        "finetune", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json
    )


if __name__ == "__main__":
    main()
