"""Which way to run a frozen network on this CPU is fastest, and how near is it to what the CPU can do at all?

For each network, with random weights, images per second of
- `predict`: Keras's `model.predict(x)` as the study called it: prepared RGB float pixels in memory, batches of 32;
- `tensorflow`: the same model and batches in a plain `tf.function`, without the loop that Keras puts round it;
- `keras` and `onnx`: cxrfeat's engines, grey uint8 views in, preprocessing included;
- `openvino`: OpenVINO on the graph that `keras` runs, where it is installed;
- `keras-jax`, `keras-torch`: the `keras` engine on other backends, each in a process of its own, where installed.

The candidates take turns with a large single-precision matrix product. The share is what a candidate computes in a
second (images times the multiply-adds of one) over what the product computes. Converting to ONNX is timed apart, with
TensorFlow and tf2onnx already imported. Every candidate's features are compared with those of `predict` first.

    python -m benchmarks.engines --json engines.json
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from benchmarks.common import (
    Spread,
    alternate,
    environment,
    fresh_process,
    options,
    publish,
    say,
    scratch,
    seconds_of,
)
from benchmarks.network import auto, find, gflop, keras_model, keras_pixels, load, plain_spec
from cxrfeat.backbone.build import build
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_engine import convert, converted_path, installed
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.table import TABLE
from cxrfeat.types import Features, Views

PREDICT = "predict"
PRODUCT = "sgemm"
STUDY_BATCH = 32
TOLERANCE = 1e-3
"""Features further than this from those of `predict`, as a share of the largest, are those of another network."""

Run = Callable[[Views], Features]


def measure(chosen: argparse.Namespace, name: str, backends: Sequence[str]) -> dict[str, Any]:
    """One network: all candidates in turn."""
    network = find(name, size=chosen.size)
    say(f"{name}: building and converting")
    model = keras_model(network)
    work = gflop(model)
    count = chosen.images or (2 * STUDY_BATCH if work < 10 else STUDY_BATCH)
    views = np.random.default_rng(0).integers(0, 256, (count, network.size, network.size), dtype=np.uint8)
    pixels = keras_pixels(network, views, model.input_shape[-1])
    conversion = _conversion(network) if installed() else None
    runs: dict[str, Run] = {
        PREDICT: lambda _: model.predict(pixels, verbose=0),
        "tensorflow": _plain(model, pixels),
        "keras": load("keras", network).run,
    }
    if installed():
        runs["onnx"] = load("onnx", network).run
    if importlib.util.find_spec("openvino"):
        runs["openvino"] = _openvino(network)
    say(f"{name}: comparing features")
    differences = check(name, runs, views)
    with ExitStack() as stack:
        for backend in backends:
            say(f"{name}: compiling on {backend}")
            runs[f"keras-{backend}"] = stack.enter_context(_elsewhere(backend, name, network.size))
            runs[f"keras-{backend}"](views)
        candidates = {key: _rate(run, views) for key, run in runs.items()} | {PRODUCT: _product(chosen.matrix)}
        spreads = alternate(candidates, repeats=chosen.repeats, seconds=chosen.seconds, what=name)
    product, base = spreads.pop(PRODUCT), spreads[PREDICT]
    figures = {
        key: spread.to_dict() | {"to_predict": spread.over(base).median, "share": spread.over(product).median * work}
        for key, spread in spreads.items()
    }
    picked = auto(network)
    best = max((key for key in spreads if key != picked), key=lambda key: spreads[key].median)
    return {
        "network": name,
        "size": network.size,
        "gflop_per_image": work,
        "images": count,
        "sgemm_gflops": product.to_dict(),
        "conversion_seconds": conversion,
        "views_to_win_back": won_back(conversion, spreads),
        "candidates": figures,
        "difference_to_predict": differences,
        "auto": picked,
        "auto_to_predict": figures[picked]["to_predict"],
        "auto_share": figures[picked]["share"],
        "best_other": best,
        "auto_to_best_other": spreads[picked].over(spreads[best]).median,
    }


def _conversion(network: Network) -> float:
    importlib.import_module("tf2onnx")
    spec = plain_spec(network)
    return seconds_of(lambda: convert(network, spec, converted_path(network, spec)))


def won_back(conversion: float | None, rates: Mapping[str, Spread]) -> int | None:
    """Views after which `onnx`, converted first, has overtaken `keras`; at most, for both build the network too."""
    if conversion is None or rates["onnx"].median <= rates["keras"].median:
        return None
    return math.ceil(conversion / (1 / rates["keras"].median - 1 / rates["onnx"].median))


def _rate(run: Run, views: Views) -> Callable[[], float]:
    return lambda: len(views) / seconds_of(lambda: run(views))


def _product(side: int) -> Callable[[], float]:
    """Rate of a square single-precision product, in thousand million operations a second."""
    draw = np.random.default_rng(0)
    left, right = (draw.random((side, side), dtype=np.float32) for _ in range(2))
    product = left @ right
    return lambda: 2e-9 * side**3 / seconds_of(lambda: np.matmul(left, right, out=product))


def _plain(model: Any, pixels: Any) -> Run:  # noqa: ANN401
    import tensorflow

    function = tensorflow.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def run(views: Views) -> Features:
        batches = (pixels[start : start + STUDY_BATCH] for start in range(0, len(views), STUDY_BATCH))
        return np.concatenate([np.asarray(function(tensorflow.constant(batch))) for batch in batches])

    return run


def _openvino(network: Network) -> Run:
    """OpenVINO the way it is fastest: its own conversion, and as many single images at a time as it likes."""
    openvino = importlib.import_module("openvino")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about the structure of the input
        converted = openvino.convert_model(build(network, plain_spec(network)))
    # In float32 like the others: by itself it takes bfloat16 where the CPU has it.
    asked = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(converted, "CPU", asked)
    queue = openvino.AsyncInferQueue(compiled)

    def run(views: Views) -> Features:
        features: dict[int, Any] = {}
        queue.set_callback(lambda done, index: features.update({index: done.get_output_tensor(0).data[0].copy()}))
        for index, view in enumerate(views):
            queue.start_async({0: view[np.newaxis, ..., np.newaxis]}, index)
        queue.wait_all()
        return np.stack([features[index] for index in range(len(views))])

    return run


def check(name: str, runs: Mapping[str, Run], views: Views) -> dict[str, float]:
    """Largest difference of every candidate's features to those of `predict`, as a share of the largest of them.

    What a first call compiles is behind it afterwards.

    Raises:
        RuntimeError: If a candidate computes something else.
    """
    expected = np.asarray(runs[PREDICT](views))
    found = {}
    for key, run in runs.items():
        if key != PREDICT:
            found[key] = float(np.abs(run(views) - expected).max() / np.abs(expected).max())
            if not found[key] <= TOLERANCE:
                raise RuntimeError(f"{key} gives other features than predict for {name}: by {found[key]:.2g}.")
    return found


_LOADED: list[Engine] = []
"""The engine of a process that runs another backend."""


@contextmanager
def _elsewhere(backend: str, name: str, size: int) -> Iterator[Run]:
    with fresh_process() as process:
        with environment(KERAS_BACKEND=backend):
            process.submit(_load_here, name, size).result()
        yield lambda views: process.submit(_run_here, views).result()


def _load_here(name: str, size: int) -> None:
    _LOADED.append(load("keras", find(name, size=size)))


def _run_here(views: Views) -> Features:
    return _LOADED[0].run(views)


def lines(row: Mapping[str, Any]) -> list[list[str]]:
    """A network's part of the table: one line per candidate, and one for the product they are held against."""
    name = f"{row['network']} ({row['size']})"
    shown = [
        [
            name,
            key + (" (auto)" if key == row["auto"] else ""),
            found["shown"],
            f"{found['to_predict']:.2f}",
            f"{found['share']:.2f}",
        ]
        for key, found in row["candidates"].items()
    ]
    return [*shown, [name, f"{PRODUCT}, GFLOP/s", row["sgemm_gflops"]["shown"], "", ""]]


def summary(row: Mapping[str, Any]) -> str:
    """What a network's figures say of `auto`."""
    parts = [
        f"{row['network']}: auto is {row['auto']}, {row['auto_to_predict']:.2f} times predict",
        f"{row['auto_to_best_other']:.2f} times the best other ({row['best_other']})",
        f"at {row['auto_share']:.2f} of the matrix product",
    ]
    if row["conversion_seconds"] is not None:
        parts.append(f"converted once in {row['conversion_seconds']:.1f} s")
    if row["views_to_win_back"] is not None:
        parts.append(f"won back after {row['views_to_win_back']} views")
    return ", ".join(parts) + "."


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--network", action="append", choices=list(TABLE), help="default: all five")
    parser.add_argument(
        "--seconds", type=float, default=45, help="rounds of one network, and those of --repeats at least (default: 45)"
    )
    parser.add_argument("--images", type=int, help="per measurement; default: 64, or 32 for the slow networks")
    parser.add_argument("--size", type=int, help="in pixels; default: each network's own")
    parser.add_argument("--matrix", type=int, default=4096, help="side of the matrix product (default: 4096)")
    parser.add_argument("--backend", action="append", help="of Keras, besides; default: jax and torch where installed")
    chosen = parser.parse_args(arguments)
    backends = chosen.backend or [name for name in ("jax", "torch") if importlib.util.find_spec(name)]
    rows = []
    with scratch():
        for name in chosen.network or TABLE:
            rows.append(measure(chosen, name, backends))
            import_keras().utils.clear_session()
    missing = [name for name in ("openvino", "jax", "torch") if not importlib.util.find_spec(name)]
    notes = [
        *[summary(row) for row in rows],
        "images/s: median (min-max). x predict, share: medians of the rounds' own quotients; share is the network's "
        f"arithmetic over that of a {chosen.matrix} x {chosen.matrix} float32 product.",
        *([f"Not installed, so not measured: {', '.join(missing)}."] if missing else []),
    ]
    return publish(
        "engines",
        arguments,
        ["network", "candidate", "images/s", "x predict", "share"],
        [line for row in rows for line in lines(row)],
        rows=rows,
        notes=notes,
        place=chosen.json,
    )


if __name__ == "__main__":
    main()
