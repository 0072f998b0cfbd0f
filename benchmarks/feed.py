"""How fast are images read, decoded, looked at, made into views and handed over, when no network keeps them waiting?

First the feed alone, step by step, by threads and by processes: what one core costs, and what all of them gain. Then
whole calls of `extract` with an engine that only pretends: one that takes no time, and one that takes as long as a
given rate, so that what the feed costs such an engine shows. With `--against` another checkout of cxrfeat makes the
same calls; all take turns.

    python -m benchmarks.feed --data DATA --json feed.json
    python -m benchmarks.feed --data DATA --against OTHER_CHECKOUT --rate 4000 --json feed.json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.checkout import BEFORE, OURS, Worker, add_against, checkouts, working
from benchmarks.common import Spread, alternate, options, publish, say, scratch
from benchmarks.images import some_images, stage
from cxrfeat.image.index import index_folder
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.view.prepare import ImageFile, Wanted, image_files
from cxrfeat.view.stream import stream

SIZE = 224

_WHOLE = """
import json, sys, tempfile, time
import numpy as np

try:
    from cxrfeat.workflow.extract import extract
except ImportError:  # before the folders had their names of today
    from cxrfeat.study.extract import extract


class Pretending:
    name, dim = "pretending", 64

    def __init__(self, batch, rate):
        self.batch, self.rate, self.free = batch, rate, 0.0

    def run(self, views):
        if self.rate:  # a batch can be handed over while the one before it is computed
            self.free = max(self.free, time.perf_counter()) + len(views) / self.rate
            time.sleep(max(0.0, self.free - time.perf_counter()))
        return np.zeros((len(views), self.dim), np.float32)


for line in sys.stdin:
    asked = json.loads(line)
    engine = lambda network, spec, batch, threads: Pretending(batch, asked["rate"])
    with tempfile.TemporaryDirectory(dir=asked["folder"]) as features:
        start = time.perf_counter()
        made = extract(asked["data"], views=asked["views"], weights="random", features=features, make_engine=engine,
                       batch=asked["batch"])
        seconds = time.perf_counter() - start
    file = made.files[0]
    told = {"seconds": seconds, "images": file.rows_computed, "workers": getattr(file, "workers", "")}
    print(json.dumps(told), flush=True)
"""
"""Calls of `extract` in any checkout since stage one took engines."""


def call(worker: Worker, told: list[dict[str, Any]], asked: Mapping[str, object]) -> float:
    """Images per second of one call of a checkout, whose answer is added to those before."""
    told.append(worker.ask(asked))
    return float(told[-1]["images"] / told[-1]["seconds"])


def steps(views: int) -> dict[str, Wanted]:
    """What is made of an image, one thing more each time."""
    return {
        "decode": Wanted(),
        "decode, look": Wanted(look=True),
        f"decode, look, {views} views": Wanted(look=True, views=(ViewSpec(size=SIZE, count=views),)),
    }


def feed(files: Sequence[ImageFile], wanted: Wanted, workers: int, *, processes: bool = False) -> float:
    """Images per second of one stream once all its workers have begun: their start stands apart."""
    with stream(files, wanted, workers=workers, processes=processes) as images:
        images.take(2 * workers)
        start = time.perf_counter()
        count = sum(1 for _ in images)
        return count / (time.perf_counter() - start)


def starting(file: ImageFile, workers: int) -> float:
    """Seconds until each of so many processes has prepared a first image."""
    start = time.perf_counter()
    with stream([file] * workers, Wanted(look=True), workers=workers, processes=True) as images:
        assert len(list(images)) == workers
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="folder of images; default: phantoms of 299 px")
    parser.add_argument("--images", type=int, default=600, help="of the folder (default: 600)")
    parser.add_argument("--views", type=int, default=8, help="per image (default: 8)")
    parser.add_argument("--rate", type=float, default=4000, help="views/s of the slower engine (default: 4000)")
    parser.add_argument("--batch", type=int, default=256, help="views per batch (default: 256)")
    add_against(parser)
    given = parser.parse_args(arguments)
    with scratch() as folder, ExitStack() as stack:
        root, chosen = some_images(given.data, given.images, folder)
        data = stage(chosen, root, folder / "images")
        files = image_files(index_folder(data).rows, data)
        candidates: dict[str, Callable[[], float]] = {}
        calls: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts(given.against)}
        for name, wanted in steps(given.views).items():
            for workers in sorted({1, threads()}):
                candidates[f"{name}: {workers} threads"] = partial(feed, files, wanted, workers)
            candidates[f"{name}: {threads()} processes"] = partial(feed, files, wanted, threads(), processes=True)
        for name, place in checkouts(given.against).items():
            worker = stack.enter_context(working(place, _WHOLE))
            for engine, rate in (("no time", 0.0), (f"{given.rate:g} views/s", given.rate)):
                asked = {"data": str(data), "folder": str(folder), "views": given.views, "batch": given.batch}
                candidates[f"extract, engine of {engine}: {name}"] = partial(
                    call, worker, calls[name], asked | {"rate": rate}
                )
        say("once each, to warm up")
        alternate(candidates, repeats=1)
        found = alternate(candidates, repeats=given.repeats, what="feed")
        start = Spread(tuple(starting(files[0], threads()) for _ in range(given.repeats)))
        told = {name: made[-1] for name, made in calls.items()}
    notes = [
        f"Starting and ending {threads()} processes apart: {start} s.",
        *(f"extract by {name}: {one['workers']}" for name, one in told.items() if one["workers"]),
        *_against(found),
    ]
    views = {name: given.views if "views" in name or "extract" in name else 0 for name in found}
    rows = [
        {"what": name, "images_per_second": spread.to_dict(), "views_per_second": spread.median * views[name]}
        for name, spread in found.items()
    ]
    lines = [[name, str(found[name]), f"{row['views_per_second']:.0f}"] for name, row in zip(found, rows, strict=True)]
    return publish(
        "feed", arguments, ["what", "images/s", "views/s"], lines, rows=rows, notes=notes, place=given.json
    )  # fmt: skip


def _against(found: dict[str, Spread]) -> list[str]:
    pairs = [(name, name.removesuffix(OURS) + BEFORE) for name in found if name.endswith(f": {OURS}")]
    return [f"{one} / {BEFORE}: {found[one].over(found[other])}" for one, other in pairs if other in found]


if __name__ == "__main__":
    main()
