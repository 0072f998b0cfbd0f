"""What does looking at an image cost the audit, and what did it cost before?

Decoding, the look, the letters and all that the audit takes from an image's pixels, from one thread and from two, and
the whole command `cxrfeat audit`: images per second. With `--against` another checkout of cxrfeat does the same in
turn, each in a process of its own, and what both find must be equal.

    python -m benchmarks.look --json look.json
    python -m benchmarks.look --data DATA --images 1200 --against OTHER_CHECKOUT
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.checkout import BEFORE, OURS, Worker, add_against, checkouts, command_of, working
from benchmarks.common import Spread, alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage

WORK = ("decode", "look", "letters", "inspect")
AUDIT = "audit"

_WORKER = """
import hashlib, importlib, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

def of(name, *modules):  # where this and earlier checkouts have it
    for module in modules:
        try:
            return getattr(importlib.import_module("cxrfeat.image." + module), name)
        except ModuleNotFoundError:
            pass
    raise SystemExit(f"there is no {name} in this checkout")

decode, inspect = of("decode", "decode"), of("inspect_image", "inspect")
look, letters = of("look", "appearance", "fingerprint"), of("find_letters", "letters")
for module in ("appearance", "figure"):
    try:
        of("KERNEL", module).load()  # as a job of many images has them
    except (AttributeError, SystemExit):  # an earlier checkout has none
        pass
contents = [path.read_bytes() for path in sorted(Path(sys.argv[1]).rglob("*")) if path.is_file()]
images = [decode(content) for content in contents]
work = {"look": (look, images), "letters": (letters, images), "inspect": (inspect, images)}
work["decode"] = decode, contents

def values(one, name):  # of an image, one by one: checkouts may know different ones
    if hasattr(one, "__slots__"):
        for each in one.__slots__:
            yield from values(getattr(one, each), f"{name}.{each}")
    else:
        yield name, repr(one.tolist() if hasattr(one, "tolist") else one)

def digests():
    found = {}
    for what, (do, given) in work.items():
        for one in given:
            for name, value in values(do(one), what):
                found.setdefault(name, hashlib.sha256()).update(value.encode())
    return {name: digest.hexdigest() for name, digest in found.items()}

for line in sys.stdin:
    asked = json.loads(line)
    if asked is None:
        print(json.dumps(digests()), flush=True)
        continue
    name, threads = asked
    do, given = work[name]
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(do, given[:8]))

        def part(first):  # each thread has its own, so that what handing over costs is not measured
            for one in given[first::threads]:
                do(one)

        start = time.perf_counter()
        if threads == 1:
            for one in given:
                before = time.perf_counter()
                do(one)
                seconds.append(time.perf_counter() - before)
        else:
            list(pool.map(part, range(threads)))
        whole = time.perf_counter() - start
    print(json.dumps([whole, seconds]), flush=True)
"""


class Looking:
    """The worker of one checkout, which holds the images."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.digests: dict[str, str] = worker.ask(None)
        self.milliseconds: dict[str, list[float]] = {name: [] for name in WORK}
        """The median of an image, round after round, from one thread."""

    def seconds(self, what: str, threads: int) -> float:
        """How long it takes for all images."""
        whole, each = self._worker.ask([what, threads])
        if each:
            self.milliseconds[what].append(1e3 * float(np.median(each)))
        return float(whole)


def audit(code: Path, data: Path, folder: Path) -> None:
    """The whole command of a checkout."""
    command_of(code, folder, "audit", str(data), "--quiet", "--json")


def hold(ours: Mapping[str, str], theirs: Mapping[str, str] | None = None) -> None:
    """Hold what two checkouts find against each other, as far as both know of it.

    Raises:
        RuntimeError: If it is not the same.
    """
    other = [name for name, digest in (theirs or {}).items() if ours.get(name, digest) != digest]
    if other:
        raise RuntimeError(f"the checkouts do not find the same: {', '.join(other)}")


def measure(code: Mapping[str, Path], data: Path, folder: Path, count: int, repeats: int) -> list[dict[str, Any]]:
    """Every piece of work by every checkout in turn.

    Raises:
        RuntimeError: If two checkouts do not find the same.
    """
    found: list[dict[str, Any]] = []

    def row(what: str, threads: int | None, measured: Mapping[str, Spread], **more: Spread) -> None:
        rates = {name: Spread(tuple(count / one for one in spread.values)) for name, spread in measured.items()}
        figures = rates | ({"ratio": rates[OURS].over(rates[BEFORE])} if BEFORE in rates else {}) | more
        found.append({"what": what, "threads": threads} | figures)

    with contextlib.ExitStack() as stack:
        workers = {
            name: Looking(stack.enter_context(working(place, _WORKER, str(data)))) for name, place in code.items()
        }
        hold(*(worker.digests for worker in workers.values()))
        for what in WORK:
            for threads in (1, 2):
                calls: dict[str, Callable[[], float]] = {
                    name: partial(worker.seconds, what, threads) for name, worker in workers.items()
                }
                measured = alternate(calls, repeats=repeats, what=f"{what}, {threads} threads")
                own = Spread(tuple(workers[OURS].milliseconds[what]))
                row(what, threads, measured, **({"milliseconds": own} if threads == 1 else {}))
    calls = {name: partial(seconds_of, partial(audit, place, data, folder)) for name, place in code.items()}
    row(AUDIT, None, alternate(calls, repeats=repeats, what=AUDIT))
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=120, help="images to look at (default: 120)")
    parser.add_argument("--data", type=Path, help="their folder; phantoms of 299 pixels unless given")
    add_against(parser)
    given = parser.parse_args(arguments)
    code = checkouts(given.against)
    with scratch() as folder:
        root, rows = some_images(given.data, given.images, folder)
        data = stage(rows, root, folder / "images")
        say(f"{len(rows)} images")
        found = measure(code, data, folder, len(rows), given.repeats)
    columns = [*code, *(["ratio"] if BEFORE in code else []), "milliseconds"]
    lines = [
        [one["what"], str(one["threads"] or ""), *(str(one.get(column, "")) for column in columns)] for one in found
    ]
    documents = [
        {key: value.to_dict() if isinstance(value, Spread) else value for key, value in one.items()} for one in found
    ]
    notes = ["Images per second, and the median of an image from one thread."]
    header = ["work", "threads", *columns]
    return publish("look", arguments, header, lines, rows=documents, notes=notes, place=given.json)


if __name__ == "__main__":
    main()
