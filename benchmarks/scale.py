"""Does the cost of an extraction grow in proportion, and does its memory stay where it is?

The network is a stand-in with a small fixed cost for each view, and the images are small, so that what is measured is
the machinery: indexing, decoding, views, shards, the finished file. Every point is one call of `cxrfeat.extract` in an
interpreter of its own, imports apart; the points take turns.

- images: the time of a run over almost none is start-up, and is taken off; what is left should lie on a line through
  zero, and the peak of memory should not grow.
- views: each image is decoded once whatever its views, so the time should lie on a straight line that does not pass
  through zero.
- backbones: each image is decoded once for all of them, so two should cost less than twice one.

    python -m benchmarks.scale --json scale.json
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Spread, alternate, fresh_process, options, publish, say, scratch
from benchmarks.images import LEAST_IMAGES, write_noise
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.table import TABLE
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views

SIZE = 64
"""Of images and views, in pixels."""


class Point(NamedTuple):
    """One extraction."""

    images: int
    views: int
    backbones: int


class StandIn:
    """Instead of a network: one product of a fixed matrix with each batch."""

    name = "stand-in"

    def __init__(self, network: Network, spec: FeatureSpec, batch: int, threads: int) -> None:
        """Draw the matrix; `threads` are NumPy's own affair."""
        del spec, threads
        self.batch, self.dim = batch, TABLE[network.backbone].dim
        self._matrix = np.random.default_rng(0).random((SIZE * SIZE, self.dim), dtype=np.float32)

    def run(self, views: Views) -> Features:
        """Features of `(n, SIZE, SIZE)` views."""
        pixels = views.reshape(len(views), -1).astype(np.float32)
        features: Features = pixels @ self._matrix
        return features


def run(point: Point, data: str) -> tuple[float, float]:
    """Seconds of one extraction, and the peak of this process's memory in MB."""
    from cxrfeat.workflow.extract import extract

    with tempfile.TemporaryDirectory() as features:
        start = time.perf_counter()
        extract(
            data,
            backbone=list(TABLE)[: point.backbones],
            weights="random",
            views=point.views,
            size=SIZE,
            features=features,
            make_engine=StandIn,
        )
        return time.perf_counter() - start, peak()


def peak() -> float:
    """Most memory this process has held, in MB. Not `ru_maxrss`: on Linux that begins with the parent's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def through_zero(amounts: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """How far each time is from a line through zero, as a share of the line.

    Example:
        >>> through_zero([1, 2, 4], [2.0, 4.0, 8.0])
        [0.0, 0.0, 0.0]
    """
    slope = sum(seconds) / sum(amounts)
    return [second / (slope * amount) - 1 for amount, second in zip(amounts, seconds, strict=True)]


def straight(amounts: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """How far each time is from the straight line of least squares, as a share of the line."""
    slope, offset = np.polyfit(amounts, seconds, 1)
    return [float(second / (offset + slope * amount) - 1) for amount, second in zip(amounts, seconds, strict=True)]


def measure(
    images: Sequence[int], views: Sequence[int], fixed: Point, repeats: int, folder: Path
) -> list[dict[str, Any]]:
    """One row for each point of each axis."""
    empty = fixed._replace(images=LEAST_IMAGES)
    by_images = [fixed._replace(images=count) for count in images]
    by_views = [fixed._replace(views=count) for count in views]
    by_backbones = [fixed._replace(backbones=count) for count in (1, 2)]
    points = list(dict.fromkeys([empty, *by_images, *by_views, *by_backbones]))
    say(f"writing images: {', '.join(str(count) for count in sorted({point.images for point in points}))}")
    data = {
        count: str(write_noise(folder / f"images-{count}", count, size=SIZE))
        for count in {point.images for point in points}
    }
    peaks: dict[Point, list[float]] = {point: [] for point in points}

    def candidate(point: Point) -> Callable[[], float]:
        def seconds() -> float:
            with fresh_process() as process:
                taken, peak = process.submit(run, point, data[point.images]).result()
            peaks[point].append(peak)
            return taken

        return seconds

    names = {point: f"{point.images}x{point.views}x{point.backbones}" for point in points}
    measured = alternate({names[point]: candidate(point) for point in points}, repeats=repeats, what="scale")
    spreads = {point: measured[name] for point, name in names.items()}
    start = spreads[empty].median
    apart = [spreads[point].median - start for point in by_images]
    deviations = {
        "images": through_zero([point.images - empty.images for point in by_images], apart),
        "views": straight(views, [spreads[point].median for point in by_views]),
    }
    one = spreads[by_backbones[0]]

    def row(axis: str, point: Point, deviation: float | None, to_one: float | None = None) -> dict[str, Any]:
        return {
            "axis": axis,
            **point._asdict(),
            "seconds": spreads[point].to_dict(),
            "seconds_start_up_removed": spreads[point].median - start,
            "deviation": deviation,
            "to_one_backbone": to_one,
            "peak_mb": Spread(tuple(peaks[point])).to_dict(),
        }

    return [
        row("start-up", empty, None),
        *[row("images", point, off) for point, off in zip(by_images, deviations["images"], strict=True)],
        *[row("views", point, off) for point, off in zip(by_views, deviations["views"], strict=True)],
        *[row("backbones", point, None, spreads[point].over(one).median) for point in by_backbones],
    ]


def line(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    return [
        row["axis"],
        *[str(row[name]) for name in Point._fields],
        row["seconds"]["shown"],
        f"{row['seconds_start_up_removed']:.2f}",
        "" if row["deviation"] is None else f"{row['deviation']:+.1%}",
        row["peak_mb"]["shown"],
    ]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, action="append", help="default: 500, 1000, 2000 and 4000")
    parser.add_argument("--views", type=int, action="append", help="default: 1, 2, 4 and 8")
    parser.add_argument("--fixed-images", type=int, default=1000, help="where views or backbones vary (default: 1000)")
    parser.add_argument("--fixed-views", type=int, default=2, help="where images or backbones vary (default: 2)")
    chosen = parser.parse_args(arguments)
    fixed = Point(images=chosen.fixed_images, views=chosen.fixed_views, backbones=1)
    with scratch() as folder:
        rows = measure(
            chosen.images or [500, 1000, 2000, 4000], chosen.views or [1, 2, 4, 8], fixed, chosen.repeats, folder
        )
    by_axis = {axis: [row for row in rows if row["axis"] == axis] for axis in ("images", "views", "backbones")}
    worst = {axis: max(abs(row["deviation"]) for row in by_axis[axis]) for axis in ("images", "views")}
    least, most = (by_axis["images"][place]["peak_mb"]["median"] for place in (0, -1))
    notes = [
        f"Images: at most {worst['images']:.1%} from a line through zero, start-up removed; memory at the largest is "
        f"{most / least:.2f} times that at the smallest.",
        f"Views: at most {worst['views']:.1%} from a straight line. "
        f"Two backbones cost {by_axis['backbones'][-1]['to_one_backbone']:.2f} times one.",
        "Seconds and MB: median (min-max).",
    ]
    header = ["axis", *Point._fields, "seconds", "start-up removed", "deviation", "peak MB"]
    return publish("scale", arguments, header, [line(row) for row in rows], rows=rows, notes=notes, place=chosen.json)


if __name__ == "__main__":
    main()
