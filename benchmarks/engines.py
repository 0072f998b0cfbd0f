"""Which way to run a frozen network on this CPU is fastest, and how near is it to what the CPU can do at all?

For each network, with random weights, images per second of
- `predict`: Keras's `model.predict(x)` as the paper called it: prepared RGB float pixels in memory, batches of 32;
- `tensorflow`: the same model and batches in a plain `tf.function`, without the loop that Keras puts round it;
- `keras`, `openvino` and `onnx`: cxrfeat's engines, grey uint8 views in, preprocessing included;
- `keras-jax`, `keras-torch`: the `keras` engine on other backends, each in a process of its own, where installed.

The candidates take turns with a large single-precision matrix product. The share is what a candidate computes in a
second (images times the multiply-adds of one) over what the product computes. Converting a network is timed apart, with
TensorFlow already imported. Every candidate's features are compared with those of `predict` first.

    python -m benchmarks.engines --json engines.json
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
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
from benchmarks.network import auto, find, gflop, keras_model, keras_pixels, load
from cxrfeat.backbone.choose import CONVERTERS
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.table import TABLE
from cxrfeat.types import Features, Views

PREDICT = "predict"
PRODUCT = "sgemm"
PAPER_BATCH = 32
TOLERANCE = 1e-3
"""Features further than this from those of `predict`, as a share of the largest, are those of another network."""

Run = Callable[[Views], Features]


def measure(chosen: argparse.Namespace, name: str, backends: Sequence[str]) -> dict[str, Any]:
    """One network: all candidates in turn."""
    network = find(name, size=chosen.size)
    say(f"{name}: building and converting")
    model = keras_model(network)
    work = gflop(model)
    # Long enough to average over TensorFlow's `predict`, which runs some batches on one core of two.
    count = chosen.images or (4 * PAPER_BATCH if work < 10 else 2 * PAPER_BATCH)
    views = np.random.default_rng(0).integers(0, 256, (count, network.size, network.size), dtype=np.uint8)
    pixels = keras_pixels(network, views, model.input_shape[-1])
    conversion = {one.name: _conversion(one.name, network) for one in CONVERTERS if one.installed()}
    runs: dict[str, Run] = {
        PREDICT: lambda _: model.predict(pixels, verbose=0),
        "tensorflow": _plain(model, pixels),
        **{engine: load(engine, network).run for engine in ("keras", *conversion)},
    }
    say(f"{name}: comparing features")
    differences = check(name, runs, views)
    with ExitStack() as stack:
        for backend in backends:
            say(f"{name}: compiling on {backend}")
            runs[f"keras-{backend}"] = stack.enter_context(_elsewhere(backend, name, network.size))
            runs[f"keras-{backend}"](views)
        candidates = {key: _rate(run, views) for key, run in runs.items()} | {PRODUCT: matrix_product(chosen.matrix)}
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
        "views_to_win_back": won_back(picked, conversion, spreads),
        "candidates": figures,
        "difference_to_predict": differences,
        "auto": picked,
        "auto_to_predict": figures[picked]["to_predict"],
        "auto_share": figures[picked]["share"],
        "best_other": best,
        "auto_to_best_other": spreads[picked].over(spreads[best]).median,
    }


def _conversion(engine: str, network: Network) -> float:
    """Seconds of the first loading, which converts."""
    if engine == "onnx":
        importlib.import_module("tf2onnx")  # six seconds, whatever the network
    return seconds_of(lambda: load(engine, network))


def won_back(engine: str, conversion: Mapping[str, float], rates: Mapping[str, Spread]) -> int | None:
    """Views after which `engine`, converted for first, has overtaken `keras`; at most, for both build the network."""
    if engine not in conversion or rates[engine].median <= rates["keras"].median:
        return None
    return math.ceil(conversion[engine] / (1 / rates["keras"].median - 1 / rates[engine].median))


def _rate(run: Run, views: Views) -> Callable[[], float]:
    return lambda: len(views) / seconds_of(lambda: run(views))


def matrix_product(side: int) -> Callable[[], float]:
    """Rate of a square single-precision product, in thousand million operations a second."""
    draw = np.random.default_rng(0)
    left, right = (draw.random((side, side), dtype=np.float32) for _ in range(2))
    product = left @ right
    return lambda: 2e-9 * side**3 / seconds_of(lambda: np.matmul(left, right, out=product))


def _plain(model: Any, pixels: Any) -> Run:  # noqa: ANN401  # Keras and scikit-learn have no types
    import tensorflow

    function = tensorflow.function(lambda batch: model(batch, training=False), reduce_retracing=True)

    def run(views: Views) -> Features:
        batches = (pixels[start : start + PAPER_BATCH] for start in range(0, len(views), PAPER_BATCH))
        return np.concatenate([np.asarray(function(tensorflow.constant(batch))) for batch in batches])

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
    if row["auto"] in row["conversion_seconds"]:
        parts.append(f"converted once in {row['conversion_seconds'][row['auto']]:.1f} s")
    if row["views_to_win_back"] is not None:
        parts.append(f"won back after {row['views_to_win_back']} views")
    return ", ".join(parts) + "."


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--network", action="append", choices=list(TABLE), help="default: all of the table")
    parser.add_argument(
        "--seconds", type=float, default=45, help="rounds of one network, and those of --repeats at least (default: 45)"
    )
    parser.add_argument("--images", type=int, help="per measurement; default: 128, or 64 for the slow networks")
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
    missing = [one.name for one in CONVERTERS if not one.installed()]
    missing += [name for name in ("jax", "torch") if name not in backends]
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
