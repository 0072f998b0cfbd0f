"""How every script here measures and reports: candidates in turn, medians with their range, a table, one document."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import math
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from cxrfeat.system.process import threads

_PACKAGES = (
    "cxrfeat", "numpy", "pillow", "h5py", "tensorflow", "keras", "onnxruntime", "tf2onnx", "openvino", "jax", "torch",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeated measurements of one thing gave."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: Spread) -> Spread:
        """Quotients round by round, which a machine that slows down meanwhile moves less than those of medians."""
        return Spread(tuple(mine / its for mine, its in zip(self.values, other.values, strict=True)))

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        digits = max(0, min(3, 2 - math.floor(math.log10(abs(self.median))))) if self.median else 1
        return f"{self.median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"

    def to_dict(self) -> dict[str, Any]:
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
            "shown": str(self),
        }


def alternate(
    candidates: Mapping[str, Callable[[], float]], *, repeats: int, seconds: float = 0.0, what: str = ""
) -> dict[str, Spread]:
    """Measure every candidate in each of several rounds, so that what else the machine does hits all of them.

    Args:
        candidates: Each measures itself once, and returns the figure.
        repeats: Rounds at least; never none.
        seconds: More rounds follow as long as another one fits into this.
        what: Shown with the progress, on stderr.
    """
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    names, began, count = list(candidates), time.perf_counter(), 0
    while count < max(1, repeats) or (time.perf_counter() - began) * (count + 1) / count < seconds:
        turn = count % len(names)
        for name in names[turn:] + names[:turn]:  # another one first in every round
            figures[name].append(candidates[name]())
        count += 1
        shown = ", ".join(f"{name} {values[-1]:.4g}" for name, values in figures.items())
        say(f"{what} round {count}: {shown}")
    return {name: Spread(tuple(values)) for name, values in figures.items()}


def seconds_of(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def say(line: str) -> None:
    """Tell how far it is, apart from the results."""
    print(line, file=sys.stderr, flush=True)


def fresh_process() -> ProcessPoolExecutor:
    """One new interpreter that runs what is submitted to it; it shares nothing with this one but the environment."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that also holds cxrfeat's cache and configuration, so that the user's own stay untouched."""
    with tempfile.TemporaryDirectory() as folder, environment(
        CXRFEAT_CACHE=str(Path(folder) / "cache"), CXRFEAT_CONFIG=str(Path(folder) / "config")
    ):  # fmt: skip
        yield Path(folder)


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Environment variables for a while."""
    kept = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def options(question: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has."""
    parser = argparse.ArgumentParser(
        description=question, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--repeats", type=int, default=3, help="rounds, at least (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def publish(
    script: str,
    arguments: Sequence[str] | None,
    header: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    rows: Sequence[dict[str, Any]],
    notes: Sequence[str] = (),
    place: Path | None = None,
) -> dict[str, Any]:
    """Print the table, write the document, and return it.

    Args:
        script: Name of the script.
        arguments: As given to its `main`.
        header: One title per column.
        lines: The table.
        rows: The figures as they go into the document, all of them.
        notes: Lines below the table.
        place: Where the document is written, if anywhere.
    """
    document: dict[str, Any] = {
        "script": script,
        "command": command(script, sys.argv[1:] if arguments is None else arguments),
        "machine": machine(),
        "rows": list(rows),
        "notes": list(notes),
    }
    about = document["machine"]
    print(f"{about['cpu']}, {about['cores']} cores, {about['date']}, load {about['load']}: {document['command']}")
    print(table(header, lines))
    for note in notes:
        print(note)
    if place is not None:
        place.write_text(json.dumps(document, indent=1) + "\n")
    return document


def command(script: str, arguments: Sequence[str]) -> str:
    """The command that was run, without the folders of this machine.

    Example:
        >>> command("extract", ["--data", "/home/me/cxr299", "--views", "8"])
        'python -m benchmarks.extract --data cxr299 --views 8'
    """
    return f"python -m benchmarks.{script} {shlex.join(Path(one).name for one in arguments)}".rstrip()


def machine() -> dict[str, Any]:
    """What ran it and when; no host name."""
    return {
        "cpu": _cpu(),
        "cores": threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right.

    Example:
        >>> print(table(["network", "x"], [["vgg16", "1.25"]]))
        network     x
        vgg16    1.25
    """
    lines: list[Sequence[str]] = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def aligned(line: Sequence[str]) -> str:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        return "  ".join([first.lstrip().ljust(widths[0]), *others]).rstrip()

    return "\n".join(aligned(line) for line in lines)


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
