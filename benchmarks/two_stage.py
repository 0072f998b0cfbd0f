"""How much faster is extracting once and training heads than running the network in every epoch?

The paper trained its frozen rows by running the network over one view of every training image in each of 20 epochs,
validated after each, and tested once. Here the same head is trained both ways on the same images and the same split:
- `paper`: plain Keras `fit` on the frozen network and the head. A few real epochs; 20 are computed from their median,
  for an epoch costs what an epoch costs. Its images lie decoded in memory, which is in its favour.
- `extract`: one call of `cxrfeat.extract` over the views of all images, indexing and loading included; the network was
  converted before, once for all (`extract.py` says what that takes);
- `head`: one call of `cxrfeat.fit` on those features: 20 epochs over one view of each image, audit and intervals
  included.

The candidates take turns. `first` is paper over extract and head; `next` is paper over head: every further head, or the
same one tuned, costs the paper all its epochs again.

    python -m benchmarks.two_stage --json two_stage.json
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from benchmarks.common import Spread, alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage
from benchmarks.network import auto, call_arguments, find, load, plain_spec
from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.group import group
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import Manifest
from cxrfeat.image.split import split
from cxrfeat.spec import HeadSpec, SplitSpec
from cxrfeat.types import Part
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import draw_views
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit

EPOCHS = 20
"""Of the paper."""


class Paper:
    """The paper's way, on images that lie decoded in memory."""

    def __init__(self, manifest: Manifest, network: Network, epochs: int) -> None:
        """Prepare the images, and run everything once, for what the first run compiles.

        Args:
            manifest: The images.
            network: Which network.
            epochs: How many real ones are run for the 20.
        """
        keras = import_keras()
        view = plain_spec(network).view
        views = [
            apply_views(view, decode(read_file(manifest.root / row.path)), draw_views(view, row.content_sha256))
            for row in manifest.rows
        ]
        keys = [row.content_sha256 for row in manifest.rows]
        parts = split(SplitSpec(), manifest.labels, group(manifest.rows), manifest.classes, keys=keys)
        X, y = np.concatenate(views)[..., np.newaxis], manifest.labels
        self._parts = {part: (X[parts == part], y[parts == part]) for part in Part}
        layers = keras.layers
        self._model = keras.Sequential(
            [
                build(network, plain_spec(network)),
                layers.Dense(500, "relu"),
                layers.Dropout(0.5),
                layers.Dense(200, "relu"),
                layers.Dense(len(manifest.classes), "softmax"),
            ]
        )
        self._model.compile(keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True), "sparse_categorical_crossentropy")
        self._count = epochs
        self._epoch()
        self._test()
        self.epochs: list[float] = []
        """Seconds of every real epoch."""

    def __call__(self) -> float:
        """Seconds of 20 epochs and the test, computed from some real epochs."""
        epochs = [seconds_of(self._epoch) for _ in range(self._count)]
        self.epochs += epochs
        return EPOCHS * statistics.median(epochs) + seconds_of(self._test)

    def _epoch(self) -> None:
        self._model.fit(
            *self._parts[Part.TRAIN], validation_data=self._parts[Part.VALIDATION], batch_size=32, epochs=1, verbose=0
        )

    def _test(self) -> None:
        self._model.predict(self._parts[Part.TEST][0], verbose=0)


class Stages:
    """cxrfeat's way for one number of views; features and runs are made anew each time."""

    def __init__(self, data: Path, folder: Path, views: int, arguments: dict[str, Any]) -> None:
        """Nothing is computed yet.

        Args:
            data: The images.
            folder: For features and runs.
            views: Of each image.
            arguments: Of `cxrfeat.extract`.
        """
        self.views = views
        self._data, self._folder, self._arguments = data, folder, arguments
        self._features = Path()

    def extract(self) -> float:
        """Seconds of stage one."""
        start = time.perf_counter()
        made = extract(self._data, views=self.views, features=mkdtemp(dir=self._folder), **self._arguments)
        self._features = made.files[0].path
        return time.perf_counter() - start

    def head(self) -> float:
        """Seconds of stage two, on what was extracted last."""
        head = HeadSpec(kind="dropout", epochs=EPOCHS, views_per_epoch=1)
        return seconds_of(lambda: fit(self._features, [head], runs=mkdtemp(dir=self._folder)))


def measure(chosen: argparse.Namespace, backbone: str, data: Path, folder: Path) -> list[dict[str, Any]]:
    """One row for each number of views."""
    network = find(backbone, preprocess=chosen.preprocess, size=chosen.size)
    manifest = index_folder(data)
    say(f"{network.name}: building, converting, compiling")
    load(auto(network), network)
    arguments = call_arguments(backbone, preprocess=chosen.preprocess, size=chosen.size)
    paper = Paper(manifest, network, chosen.epochs)
    stages = [Stages(data, folder, views, arguments) for views in dict.fromkeys(chosen.views or [1, 8])]
    stages[0].extract()
    stages[0].head()  # the first run of each imports
    candidates: dict[str, Callable[[], float]] = {"paper": paper}
    for one in stages:
        candidates |= {f"extract {one.views}": one.extract, f"head {one.views}": one.head}
    spreads = alternate(candidates, repeats=chosen.repeats, what=network.name)
    return [_row(network, len(manifest.rows), one.views, spreads, paper.epochs) for one in stages]


def _row(
    network: Network, images: int, views: int, spreads: Mapping[str, Spread], epochs: Sequence[float]
) -> dict[str, Any]:
    paper, extraction, head = spreads["paper"], spreads[f"extract {views}"], spreads[f"head {views}"]
    both = Spread(tuple(one + other for one, other in zip(extraction.values, head.values, strict=True)))
    return {
        "network": network.name,
        "size": network.size,
        "images": images,
        "views": views,
        "paper_epoch_seconds": Spread(tuple(epochs)).to_dict(),
        "paper_seconds_computed": paper.to_dict(),
        "extract_seconds": extraction.to_dict(),
        "head_seconds": head.to_dict(),
        "first": paper.over(both).median,
        "next": paper.over(head).median,
    }


def line(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    return [
        f"{row['network']} ({row['size']})",
        str(row["images"]),
        str(row["views"]),
        *[row[name]["shown"] for name in ("paper_seconds_computed", "extract_seconds", "head_seconds")],
        f"{row['first']:.1f}",
        f"{row['next']:.0f}",
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; default: phantoms of 299 px")
    parser.add_argument("--images", type=int, default=96, help="at most (default: 96)")
    parser.add_argument("--backbone", action="append", help="of the table, or a .keras file; default: densenet121")
    parser.add_argument("--preprocess", help="of a .keras file")
    parser.add_argument("--size", type=int, help="in pixels; default: the network's own")
    parser.add_argument("--views", type=int, action="append", help="of each image; default: 1 and 8")
    parser.add_argument("--epochs", type=int, default=2, help="real ones of the paper's way in a round (default: 2)")
    chosen = parser.parse_args(arguments)
    with scratch() as folder:
        root, images = some_images(chosen.data, chosen.images, folder)
        data = stage(images, root, folder / "images")
        rows = [
            row for backbone in chosen.backbone or ["densenet121"] for row in measure(chosen, backbone, data, folder)
        ]
    notes = [
        f"Seconds, median (min-max). paper: {EPOCHS} epochs computed from {chosen.epochs * chosen.repeats} real ones. "
        "first: paper over extract and head. next: paper over each further head. Medians of the rounds' own quotients."
    ]
    header = ["network", "images", "views", "paper s", "extract s", "head s", "first", "next"]
    return publish(
        "two_stage", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json
    )


if __name__ == "__main__":
    main()
