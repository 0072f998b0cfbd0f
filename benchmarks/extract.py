"""How much of an engine's rate does the whole extraction keep, and how much faster is it than the loop written by hand?

The candidates take turns on the same images:
- `raw`: the engine alone, on views that lie ready in memory;
- `whole`: one call of `cxrfeat.extract`, from the folder of images to the finished feature file, with the engine that
  `auto` picks for a large job; once for each number of `--views`;
- `floor`: reading, decoding and making those views on all cores, with no network at all;
- `by hand`: what people write without cxrfeat: Keras's `image_dataset_from_directory`, `model.predict`, one write with
  h5py. One pass over the plain images: each drawn view would cost it another pass, and its augmentation.

Rates are views per second. Start-up stands apart, below the table: a new interpreter, loading the engine, and, once,
converting the network and compiling loops over pixels. The random images of `raw` are as good as real ones: no engine
looks at what it computes.

    python -m benchmarks.extract --json extract.json
    python -m benchmarks.extract --data DATA --total 2048 --views 8 --json extract.json
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Spread, alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import LEAST_IMAGES, some_images, stage
from benchmarks.network import auto, call_arguments, find, keras_model, keras_prepared, load
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import BadImageError
from cxrfeat.image import appearance
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.image.index import index_folder
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.view import host
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import draw_views
from cxrfeat.workflow.extract import extract

RAW_VIEWS = 512
HAND_IMAGES = 128


@dataclass
class Whole:
    """The whole call, and what each gave."""

    data: Path
    arguments: dict[str, Any]
    """Of `cxrfeat.extract`."""
    engine: str
    """The one that it is held against."""
    views: int
    images: int = 0
    seconds: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    """Views per second as the call itself reports them."""

    def __call__(self) -> float:
        """Views per second of one call."""
        loading = []

        def progress(doing: str, _done: int, _total: int) -> None:
            if doing.startswith("loading"):  # once when it begins, once when it ends
                loading.append(time.perf_counter())

        with tempfile.TemporaryDirectory() as features:
            start = time.perf_counter()
            made = extract(self.data, views=self.views, features=features, progress=progress, **self.arguments)
            self.seconds.append(time.perf_counter() - start)
        (file,) = made.files
        if self.engine not in file.engine:
            raise RuntimeError(f"The extraction ran {file.engine}, and {self.engine} was measured raw.")
        self.images = file.rows_computed
        self.own.append(file.views_per_second)
        apart = loading[-1] - loading[0] if loading else 0.0
        return self.images * self.views / (self.seconds[-1] - apart)

    @property
    def everything(self) -> Spread:
        """Views per second with loading counted."""
        return Spread(tuple(self.images * self.views / seconds for seconds in self.seconds))


def measure(chosen: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One row for each number of views."""
    network = find(chosen.backbone, preprocess=chosen.preprocess, size=chosen.size)
    root, rows = some_images(chosen.data, max(LEAST_IMAGES, chosen.total // min(chosen.views)), folder)
    name = auto(network)
    say(f"{network.name}: loading the engine {name}")
    converting, _ = _loaded(name, network)
    loading, engine = _loaded(name, network)
    compiling = seconds_of(_compile)
    arguments = call_arguments(chosen.backbone, preprocess=chosen.preprocess, size=chosen.size)
    candidates: dict[str, Callable[[], float]] = {"raw": _raw(engine, network.size, min(chosen.total, RAW_VIEWS))}
    wholes = []
    for views in chosen.views:
        part = stage(rows[: max(LEAST_IMAGES, chosen.total // views)], root, folder / f"images-{views}")
        wholes.append(Whole(part, arguments, name, views))
        candidates[f"whole {views}"] = wholes[-1]
        candidates[f"floor {views}"] = _floor(part, ViewSpec(size=network.size, count=views))
    few = stage(rows[:LEAST_IMAGES], root, folder / "images-few")
    Whole(few, arguments, name, 1)()  # imports what the first call imports
    part = stage(rows[: min(chosen.total, HAND_IMAGES)], root, folder / "images-hand")
    refused = ""
    try:
        by_hand = _by_hand(part, folder / "by-hand.h5", network)
        by_hand()  # compiles
        candidates["by hand"] = by_hand
    except Exception as error:  # noqa: BLE001  # TensorFlow raises all kinds for a file it cannot decode
        refused = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"
        say(f"by hand: {refused}")
    spreads = alternate(candidates, repeats=chosen.repeats, seconds=chosen.seconds, what=network.name)
    start_up = {
        "interpreter_seconds": Spread(tuple(seconds_of(_interpreter) for _ in range(chosen.repeats))).median,
        "loading_seconds": loading,
        "conversion_seconds": max(0.0, converting - loading),
        "compiling_seconds": compiling,
    }
    return [_row(whole, network, spreads, start_up, refused) for whole in wholes]


def _loaded(name: str, network: Network) -> tuple[float, Engine]:
    start = time.perf_counter()
    engine = load(name, network)
    engine.run(np.zeros((1, network.size, network.size), dtype=np.uint8))
    return time.perf_counter() - start, engine


def _raw(engine: Engine, size: int, count: int) -> Callable[[], float]:
    ready = np.random.default_rng(0).integers(0, 256, (count, size, size), dtype=np.uint8)
    return lambda: count / seconds_of(lambda: engine.run(ready))


def _floor(data: Path, spec: ViewSpec) -> Callable[[], float]:
    manifest = index_folder(data)

    def make(row: ImageRow) -> int:
        try:
            image = decode(read_file(data / row.path))
        except BadImageError:
            return 0
        return len(apply_views(spec, image, draw_views(spec, row.content_sha256)))

    def rate() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads()) as pool:
            made = sum(pool.map(make, manifest.rows))
        return made / (time.perf_counter() - start)

    return rate


def _by_hand(data: Path, place: Path, network: Network) -> Callable[[], float]:
    keras = import_keras()
    import h5py

    model = keras_model(network)
    channels = model.input_shape[-1]

    def rate() -> float:
        start = time.perf_counter()
        images = keras.utils.image_dataset_from_directory(
            data, labels=None, color_mode="rgb" if channels == 3 else "grayscale", batch_size=32, shuffle=False,
            image_size=(network.size, network.size), verbose=False,
        )  # fmt: skip
        features = model.predict(images.map(lambda pixels: keras_prepared(network, pixels)), verbose=0)
        with h5py.File(place, "w") as file:
            file.create_dataset("features", data=features)
        return len(features) / (time.perf_counter() - start)

    return rate


def _interpreter() -> None:
    """What a command does before it sees the first image."""
    program = "import cxrfeat.workflow.extract, importlib.util as u; u.find_spec('openvino') and __import__('openvino')"
    subprocess.run([sys.executable, "-c", program], check=True)


def _compile() -> None:
    """What a user's first job of many images does beside the network: loops of looks and views, kept from then on."""
    for kernel in (appearance.KERNEL, host.KERNEL):
        kernel.load()


def _row(
    whole: Whole, network: Network, spreads: Mapping[str, Spread], start_up: dict[str, float], refused: str
) -> dict[str, Any]:
    raw, measured, floor = spreads["raw"], spreads[f"whole {whole.views}"], spreads[f"floor {whole.views}"]
    hand = spreads.get("by hand")
    return {
        "network": network.name,
        "size": network.size,
        "engine": whole.engine,
        "views": whole.views,
        "images": whole.images,
        "raw": raw.to_dict(),
        "whole": measured.to_dict(),
        "whole_to_raw": measured.over(raw).median,
        "whole_to_raw_start_up_included": whole.everything.over(raw).median,
        "own_rate": Spread(tuple(whole.own)).to_dict(),
        "floor": floor.to_dict(),
        "floor_images_per_second": floor.median / whole.views,
        "by_hand": None if hand is None else hand.to_dict(),
        "by_hand_refused": refused,
        "whole_to_by_hand": None if hand is None else measured.over(hand).median,
        **start_up,
    }


def line(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    hand = row["by_hand"]
    return [
        f"{row['network']} ({row['size']}), {row['engine']}",
        str(row["views"]),
        str(row["images"]),
        row["raw"]["shown"],
        row["whole"]["shown"],
        f"{row['whole_to_raw']:.3f}",
        "-" if hand is None else hand["shown"],
        "-" if hand is None else f"{row['whole_to_by_hand']:.2f}",
        f"{row['floor_images_per_second']:.0f}",
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; default: phantoms of 299 px")
    parser.add_argument("--backbone", default="densenet121", help="of the table, with random weights, or a .keras file")
    parser.add_argument("--preprocess", help="of a .keras file")
    parser.add_argument("--size", type=int, help="in pixels; default: the network's own")
    parser.add_argument("--views", type=int, action="append", help="per image; default: 1 and 8")
    parser.add_argument("--total", type=int, default=512, help="views in one call (default: 512)")
    parser.add_argument("--seconds", type=float, default=0, help="more rounds while they fit (default: 0)")
    chosen = parser.parse_args(arguments)
    chosen.views = list(dict.fromkeys(chosen.views or [1, 8]))
    with scratch() as folder:
        rows = measure(chosen, folder)
    first = rows[0]
    notes = [
        "raw, whole, by hand: views/s, median (min-max). Quotients: medians of the rounds' own. decode: images/s of "
        "reading, decoding and view making alone, on all cores.",
        f"Apart, in seconds: a new interpreter {first['interpreter_seconds']:.1f}, loading the engine "
        f"{first['loading_seconds']:.1f}, converting once {first['conversion_seconds']:.1f}, compiling "
        f"loops of looks and views once {first['compiling_seconds']:.1f}. With loading counted, "
        + ", ".join(f"views {row['views']}: {row['whole_to_raw_start_up_included']:.3f} of raw" for row in rows)
        + ".",
        *(
            [f"The loop by hand stops at these images ({first['by_hand_refused']})."]
            if first["by_hand_refused"]
            else []
        ),
    ]
    header = ["network", "views", "images", "raw", "whole", "whole/raw", "by hand", "whole/by hand", "decode"]
    return publish("extract", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json)


if __name__ == "__main__":
    main()
