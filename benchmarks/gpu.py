"""How fast is each network on a GPU, alone and in the whole call, and are its features those of a CPU and of a rerun?

For each network and precision, loaded once:
- `network`: the compiled network on one batch that lies on the device already (JAX alone);
- `engine`: batches handed over one after the other, drawn on the host;
- `drawn`: images and tables handed over, from which the device draws the views (JAX alone), and the bytes for a view;
- with `--images N`, `whole`: one call of `cxrfeat.extract`, from the folder of images to the finished feature file,
  with eight views and the network loaded before; its warm-up, with 64 images, is not counted.

Features of other precisions are held against those of float32, and these, with `--reference FILE`, against those that
another machine computed (`--write FILE`, on a CPU, makes such a file; it needs a trained network, as random weights are
drawn anew). `--same` asks whether two processes, and one that is killed and goes on, give the same bytes; `--cases N`
whether so many random views drawn on the device are Pillow's.

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --images 768 --precision float32 --precision tf32 --precision float16 --json gpu.json
    python -m benchmarks.gpu --same --cases 400 --backbone densenet121 --json gpu.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import numpy as np

from benchmarks.common import alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage
from benchmarks.network import call_arguments, find, plain_spec
from cxrfeat.backbone import choose
from cxrfeat.backbone.choose import usual_batch
from cxrfeat.backbone.engine import Handing, KerasEngine
from cxrfeat.backbone.quiet import backend, has_gpu
from cxrfeat.backbone.table import TABLE
from cxrfeat.feature.file import FeatureFile
from cxrfeat.spec import Precision, ViewSpec
from cxrfeat.types import Features, Undrawn, Views
from cxrfeat.view.apply import drawn
from cxrfeat.view.device import undrawn
from cxrfeat.view.draw import ViewParams, draw_views
from cxrfeat.workflow.extract import extract

VIEWS = 8


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


def measure(chosen: argparse.Namespace, backbone: str) -> list[dict[str, Any]]:
    """One network: a row for each precision."""
    network = find(backbone, preprocess=chosen.preprocess, size=chosen.size)
    views, data = some_views(chosen.total, network.size), chosen.staged
    full: Features | None = None
    rows = []
    for precision in chosen.precision:
        spec = replace(plain_spec(network), precision=precision)
        start = time.perf_counter()
        engine = KerasEngine(network, spec, chosen.batch or usual_batch("keras"))
        engine.run(views[: engine.batch])
        row: dict[str, Any] = {"network": network.name, "size": network.size, "precision": precision}
        row |= {"loading": time.perf_counter() - start, "batch": engine.batch}
        say(f"{network.name}, {precision}: loaded and compiled in {row['loading']:.1f} s")
        features = engine.run(views[:64])
        if precision == "float32":
            full = features
            if chosen.write:
                np.save(chosen.write, features)
            if chosen.reference:
                row["reference"] = apart(features, np.load(chosen.reference))
        elif full is not None:
            row["apart"] = apart(features, full)
        candidates: dict[str, Callable[[], float]] = {"engine": _handed(engine, views)}
        if backend() == "jax":
            candidates["network"] = _resident(engine, views)
            tables = _tables(chosen.total // VIEWS, network.size)
            candidates["drawn"] = _drawn(engine, tables)
            candidates["drawn"]()  # compiles
            assert engine._drawing is not None  # it has just drawn
            before = engine._drawing.sent
            candidates["drawn"]()
            row["bytes"] = (engine._drawing.sent - before) / (len(tables) * VIEWS)
        if data is not None:
            asked = call_arguments(backbone, preprocess=chosen.preprocess, size=chosen.size)
            asked |= {"engine": "keras", "precision": precision, "batch": chosen.batch}
            _whole(engine, data[0], asked)()
            candidates["whole"] = _whole(engine, data[1], asked)
        spreads = alternate(candidates, repeats=chosen.repeats, what=f"{network.name}, {precision}")
        rows.append({**row, "rates": {name: spread.to_dict() for name, spread in spreads.items()}})
    return rows


def _handed(engine: KerasEngine, views: Views) -> Callable[[], float]:
    def work() -> None:
        with Handing(engine) as handing:
            for start in range(0, len(views), engine.batch):
                handing.begin(views[start : start + engine.batch])
            list(handing.rest())

    return lambda: len(views) / seconds_of(work)


def _resident(engine: KerasEngine, views: Views) -> Callable[[], float]:
    import jax

    batch = jax.device_put(np.resize(views, (engine.batch, *views.shape[1:]))[..., np.newaxis])
    rounds = max(1, len(views) // engine.batch)

    def work() -> None:
        made = [engine.begun(engine.batch, lambda: engine._step(batch)) for _ in range(rounds)]
        made[-1].block_until_ready()

    work()
    return lambda: rounds * engine.batch / seconds_of(work)


def _tables(images: int, size: int) -> list[Undrawn]:
    """Images of 299 px, smaller for small views, as they come from the workers."""
    spec, rng, side = ViewSpec(size=size, count=VIEWS), np.random.default_rng(0), min(299, 2 * size)
    found = []
    for number in range(max(1, images)):
        image = rng.integers(0, 256, (side, side), dtype=np.uint8)
        one = undrawn(spec, image, draw_views(spec, f"{number:064x}"))
        assert one is not None
        found.append(one)
    return found


def _drawn(engine: KerasEngine, tables: Sequence[Undrawn]) -> Callable[[], float]:
    at_once = max(1, engine.batch // VIEWS)

    def work() -> None:
        with Handing(engine) as handing:
            for start in range(0, len(tables), at_once):
                some = tables[start : start + at_once]
                handing.begin([one.part(0, min(len(one), engine.batch)) for one in some])
            list(handing.rest())

    return lambda: len(tables) * min(VIEWS, engine.batch) / seconds_of(work)


def _whole(engine: KerasEngine, data: Path, asked: dict[str, Any]) -> Callable[[], float]:
    """Views per second of a call that finds the network loaded."""

    def work() -> float:
        with tempfile.TemporaryDirectory() as features, mock.patch.dict(choose.ENGINES, keras=lambda *_: engine):
            start = time.perf_counter()
            (file,) = extract(data, views=VIEWS, features=features, **asked).files
            seconds = time.perf_counter() - start
        say(f"{file.rows_computed} images in {seconds:.2f} s; the call says {file.views_per_second:.0f} views/s")
        return file.rows_computed * VIEWS / seconds

    return work


def pillows(count: int) -> dict[str, Any]:
    """How many of so many random views are other ones when the device draws them."""
    from cxrfeat.backbone.drawing import Drawing

    draw, rng, at_once, other, made = Drawing(), np.random.default_rng(0), 32, 0, 0
    while made < count:
        size = (224, 299, 64)[made // at_once % 3]
        spec, parts, wanted = ViewSpec(size=size, zoom=(1.0, 10.0)), list[Undrawn](), list[Views]()
        while len(parts) < at_once // 4:
            height, width = rng.integers(64, 600, 2).tolist()
            image = rng.integers(0, 256, (height, height if rng.random() < 0.5 else width), dtype=np.uint8)
            params = [
                ViewParams(
                    flip=bool(rng.random() < 0.5), zoom=zoom, gain=float(rng.choice([1.0, 2 * rng.random() + 0.05]))
                )
                for zoom in (1.0, *(1 + rng.random(2) * 0.2).tolist(), float(1 + 9 * rng.random()))
            ]
            one = undrawn(spec, image, params)
            if one is not None:
                parts.append(one)
                wanted.append(drawn(spec, image, params))
        found = np.asarray(draw(parts, at_once))[..., 0]
        other += int((found != np.concatenate(wanted)).any(axis=(1, 2)).sum())
        made += at_once
    say(f"{other} of {made} views drawn by the device are other ones")
    return {"cases": made, "other": other}


def same(chosen: argparse.Namespace, backbone: str, folder: Path) -> dict[str, Any]:
    """Digests of the features that three processes made: two undisturbed, and one killed after some shards."""
    asked = call_arguments(backbone, preprocess=chosen.preprocess, size=chosen.size)
    asked |= {"data": str(chosen.staged[1]), "views": VIEWS, "engine": "keras", "batch": chosen.batch}
    digests = {}
    for name in ("one", "another", "killed"):
        features = folder / f"{backbone.replace(os.sep, '-')}-{name}"
        shards = _shards_before_a_kill(asked, features) if name == "killed" else 0
        process = _process(asked, features)
        if process.wait():
            raise RuntimeError(f"An extraction ended with {process.returncode}.")
        (path,) = features.glob("*.h5")
        with FeatureFile(path) as file:
            digests[name] = hashlib.sha256(file.features[...].tobytes()).hexdigest()
            versions = file.content.versions
        say(f"{name}: {digests[name][:16]}" + (f", killed after {shards} shards" if shards else ""))
    return {"network": backbone, "digests": digests, "same": len(set(digests.values())) == 1, "shards": shards,
            "versions": versions}  # fmt: skip


def _shards_before_a_kill(asked: dict[str, Any], features: Path) -> int:
    process = _process(asked, features)
    while process.poll() is None and len(list(features.glob(".*/*.shard"))) < 2:
        time.sleep(0.01)
    process.kill()
    process.wait()
    return len(list(features.glob(".*/*.shard")))


def _process(asked: dict[str, Any], features: Path) -> subprocess.Popen[bytes]:
    code = "import json, sys, cxrfeat; cxrfeat.extract(**json.loads(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", code, json.dumps({**asked, "features": str(features)})])


def line(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    rates = [row["rates"][name]["shown"] if name in row["rates"] else "-" for name in RATES]
    far = row.get("apart", row.get("reference"))
    kilobytes = f"{row['bytes'] / 1000:.1f}" if "bytes" in row else "-"
    norm = f"{far['norm']:.0e}" if far else "-"
    return [f"{row['network']} ({row['size']})", row["precision"], *rates, kilobytes, norm, f"{row['loading']:.0f}"]


RATES = ("network", "engine", "drawn", "whole")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--backbone", action="append", help="of the table, or a .keras file; default: all of the table")
    parser.add_argument("--preprocess", help="of a .keras file")
    parser.add_argument("--size", type=int, help="in pixels; default: the network's own")
    parser.add_argument("--total", type=int, default=2048, help="views of a measurement (default: 2048)")
    parser.add_argument("--batch", type=int, help="views per batch; default: the engine's own")
    parser.add_argument("--images", type=int, help="of the whole call; default: none is made")
    parser.add_argument("--data", type=Path, help="where they are taken from; default: phantoms")
    parser.add_argument("--precision", action="append", choices=PRECISIONS, help="default: float32 and float16")
    parser.add_argument("--reference", type=Path, help="features of the same network on another machine")
    parser.add_argument("--write", type=Path, help="where to write features to be such a reference")
    parser.add_argument("--same", action="store_true", help="ask whether processes agree, and measure nothing")
    parser.add_argument("--cases", type=int, default=0, help="random views to be drawn by the device first")
    chosen = parser.parse_args(arguments)
    chosen.precision = chosen.precision or ["float32", "float16"]
    with scratch() as folder:
        rows: list[dict[str, Any]] = [pillows(chosen.cases)] if chosen.cases else []
        chosen.staged = _staged(chosen, folder) if chosen.images else None
        shown = []
        for backbone in chosen.backbone or list(TABLE):
            if chosen.same:
                rows.append(same(chosen, backbone, folder))
            else:
                measured = measure(chosen, backbone)
                shown += [line(row) for row in measured]
                rows += measured
    notes = [
        f"Views per second {'on a GPU' if has_gpu() else 'without a GPU'}, median (min-max). kB: sent to the device "
        "for a view that it draws. apart: distance of features from those of float32, or of these from the "
        "reference, by their norms. loading: seconds to load and compile.",
        *[_said(row) for row in rows if "cases" in row or "same" in row],
    ]
    header = ["network", "precision", *RATES, "kB", "apart", "loading"]
    return publish("gpu", arguments, header, shown, rows=rows, notes=notes, place=chosen.json)


def _said(row: dict[str, Any]) -> str:
    if "cases" in row:
        return f"{row['other']} of {row['cases']} views drawn by the device are other than Pillow's."
    agree = "the same" if row["same"] else "OTHER"
    return f"{row['network']}: three processes, one killed after {row['shards']} shards, gave {agree} features."


def _staged(chosen: argparse.Namespace, folder: Path) -> tuple[Path, Path]:
    """A folder of few images, to warm up, and one of all."""
    root, rows = some_images(chosen.data, chosen.images, folder)
    return stage(rows[:64], root, folder / "few"), stage(rows, root, folder / "images")


if __name__ == "__main__":
    main()
