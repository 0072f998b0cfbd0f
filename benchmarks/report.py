"""What does the page of a big set cost, and what did it cost before?

A set of phantoms, features of their plain views, several heads, and `cxrfeat report --data` with heat maps, each time
in a process of its own: wall-clock time, processor time, and the most memory that the process held. With `--against`
the same page is made by another checkout of cxrfeat, the two in turn.

    python -m benchmarks.report --images 1900 --backbone PATH.keras --preprocess tf --json report.json
    python -m benchmarks.report --images 1900 --backbone PATH.keras --preprocess tf --against OTHER_CHECKOUT
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.checkout import BEFORE, OURS, add_against, checkouts, environment_of
from benchmarks.common import Spread, alternate, options, publish, say, scratch
from benchmarks.images import some_images, stage
from benchmarks.network import command_words

HEADS = ("logreg", "ridge", "softmax", "dropout")


_LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, used = os.wait4(process.pid, 0)  # the one way to the memory of one child
print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""
"""On Linux a process counts as at least as large as the one that started it, so a small one starts what is measured."""


def call(code: Path, folder: Path, *words: str) -> dict[str, float]:
    """Seconds, processor seconds and megabytes of one command of a checkout, called in a folder."""
    start = time.perf_counter()
    with (folder / "said.txt").open("w") as said:
        measured = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, sys.executable, "-m", "cxrfeat", *words, "--quiet"],
            cwd=folder,
            env=environment_of(code),
            stdout=subprocess.PIPE,
            stderr=said,
            check=True,
        )
    seconds = time.perf_counter() - start
    exit_code, largest, processor = json.loads(measured.stdout)
    if exit_code:
        raise RuntimeError((folder / "said.txt").read_text())
    return {
        "seconds": seconds,
        "processor": processor,
        "megabytes": largest / (1e6 if sys.platform == "darwin" else 1e3),
    }


def measure(code: Mapping[str, Path], arguments: Any, folder: Path) -> dict[str, dict[str, Spread]]:  # noqa: ANN401  # of argparse
    """The same page by every checkout in turn, each from features and heads of its own making."""
    root, rows = some_images(arguments.data, arguments.images, folder)
    data = stage(rows, root, folder / "images")
    told: dict[str, list[dict[str, float]]] = {name: [] for name in code}
    network = command_words(arguments.backbone, preprocess=arguments.preprocess)
    for name, place in code.items():
        say(f"features and heads by {name}")
        (folder / name).mkdir()
        call(place, folder / name, "extract", str(data), "--views", "1", *network)
        call(place, folder / name, "fit-head", *(word for head in HEADS for word in ("--head", head)))

    def page(name: str) -> float:
        told[name].append(call(code[name], folder / name, "report", "--data", str(data)))
        return told[name][-1]["seconds"]

    alternate({name: partial(page, name) for name in code}, repeats=arguments.repeats, what="report")
    return {
        name: {what: Spread(tuple(one[what] for one in found)) for what in ("seconds", "processor", "megabytes")}
        for name, found in told.items()
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=1900, help="images of the set (default: 1900)")
    parser.add_argument("--data", type=Path, help="their folder; phantoms of 299 pixels unless given")
    parser.add_argument(
        "--backbone", default="densenet121", help="as in `cxrfeat extract`; random weights unless a file"
    )
    parser.add_argument("--preprocess", help="of a network of your own")
    add_against(parser)
    given = parser.parse_args(arguments)
    with scratch() as folder:
        found = measure(checkouts(given.against), given, folder)
    rows = [
        {"code": name, "images": given.images} | {what: spread.to_dict() for what, spread in figures.items()}
        for name, figures in found.items()
    ]
    lines = [[name, *(str(spread) for spread in figures.values())] for name, figures in found.items()]
    notes = []
    if BEFORE in found:
        shares = {what: spread.over(found[BEFORE][what]) for what, spread in found[OURS].items()}
        notes = [f"{OURS} / {BEFORE}: " + ", ".join(f"{what} {share}" for what, share in shares.items())]
    return publish(
        "report", arguments, ["code", "seconds", "processor seconds", "megabytes"], lines, rows=rows, notes=notes,
        place=given.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
