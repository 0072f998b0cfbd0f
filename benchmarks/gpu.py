"""How fast is each network on a GPU, and are its features those of a CPU?

For each network: loading and compiling, then views per second of the engine alone in each precision, in turn. Features
of float32 are held against those of full float32 arithmetic, with `--reference FILE` against those that another machine
computed (`--write FILE`, on a CPU, makes such a file; it needs a trained network, as random weights are drawn anew).

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --backbone PATH.keras --preprocess tf --reference cpu.npy
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.common import alternate, options, publish, say, scratch, seconds_of
from benchmarks.network import find, plain_spec
from cxrfeat.backbone.choose import usual_batch
from cxrfeat.backbone.engine import KerasEngine
from cxrfeat.backbone.quiet import has_gpu
from cxrfeat.backbone.table import TABLE
from cxrfeat.spec import Precision
from cxrfeat.types import Features, Views


def some_views(count: int, size: int) -> Views:
    """Smooth drawn views, `(count, size, size)` uint8; the same on every machine."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    places = np.arange(size) * 8 // size
    return coarse[:, places][:, :, places]


def apart(found: Features, theirs: Features) -> dict[str, float]:
    """How far features lie apart: by their norm, and the largest against the largest."""
    difference = found.astype(np.float64) - theirs
    return {
        "norm": float(np.linalg.norm(difference) / np.linalg.norm(theirs)),
        "largest": float(np.abs(difference).max() / np.abs(theirs).max()),
    }


def measure(chosen: argparse.Namespace, backbone: str) -> dict[str, Any]:
    """One network in every precision."""
    network = find(backbone, preprocess=chosen.preprocess, size=chosen.size)
    views = some_views(chosen.total, network.size)
    engines: dict[str, KerasEngine] = {}
    seconds: dict[str, float] = {}
    for precision in chosen.precision:
        start = time.perf_counter()
        engine = KerasEngine(network, replace(plain_spec(network), precision=precision), usual_batch("keras"))
        engine.run(views[: engine.batch])
        seconds[precision], engines[precision] = time.perf_counter() - start, engine
        say(f"{network.name}, {precision}: loaded and compiled in {seconds[precision]:.1f} s")
    features = {precision: engine.run(views[:64]) for precision, engine in engines.items()}
    if chosen.write:
        np.save(chosen.write, features["float32"])
    row: dict[str, Any] = {"network": network.name, "size": network.size, "batch": usual_batch("keras")}
    if chosen.reference:
        row["reference"] = apart(features["float32"], np.load(chosen.reference))
    if "float32" in features:
        halves = [precision for precision in features if precision != "float32"]
        row["half"] = {precision: apart(features[precision], features["float32"]) for precision in halves}

    def rate(engine: KerasEngine) -> Callable[[], float]:
        return lambda: len(views) / seconds_of(lambda: engine.run(views))

    spreads = alternate(
        {precision: rate(engine) for precision, engine in engines.items()}, repeats=chosen.repeats, what=network.name
    )
    return {**row, "loading": seconds, "rates": {precision: spread.to_dict() for precision, spread in spreads.items()}}


def line(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    rates = [row["rates"][precision]["shown"] if precision in row["rates"] else "-" for precision in PRECISIONS]
    halves = [f"{row['half'][name]['norm']:.0e}" for name in PRECISIONS[1:] if name in row.get("half", {})]
    reference = f"{row['reference']['norm']:.0e}" if "reference" in row else "-"
    loading = ", ".join(f"{seconds:.0f}" for seconds in row["loading"].values())
    return [f"{row['network']} ({row['size']})", *rates, ", ".join(halves) or "-", reference, loading]


PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument(
        "--backbone", action="append", help="of the table, or a .keras file; default: the five networks"
    )
    parser.add_argument("--preprocess", help="of a .keras file")
    parser.add_argument("--size", type=int, help="in pixels; default: the network's own")
    parser.add_argument("--total", type=int, default=2048, help="views of a measurement (default: 2048)")
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="default: float32 and float16")
    parser.add_argument("--reference", type=Path, help="features of the same network on another machine")
    parser.add_argument("--write", type=Path, help="where to write features to be such a reference")
    chosen = parser.parse_args(arguments)
    chosen.precision = chosen.precision or ["float32", "float16"]
    with scratch():
        rows = [measure(chosen, backbone) for backbone in chosen.backbone or list(TABLE)]
    notes = [
        f"Views per second of the engine alone, {'on a GPU' if has_gpu() else 'without a GPU'}, median (min-max). "
        "half / reference: distance of features from those of float32 / from the reference, by their norms. loading: "
        "seconds to load and compile, for each precision."
    ]
    header = ["network", *PRECISIONS, "half", "reference", "loading"]
    return publish("gpu", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json)


if __name__ == "__main__":
    main()
