"""How long is it from nothing to the first features, and to the demonstration?

The whole command, with an empty user cache each time: `cxrfeat extract` of images by one network of random weights, one
view of each, and `cxrfeat demo`. With `--against` another checkout of cxrfeat does the same in turn.

    python -m benchmarks.start --json start.json
    python -m benchmarks.start --data DATA --images 120 --against OTHER_CHECKOUT
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.checkout import BEFORE, OURS, add_against, checkouts, command_of
from benchmarks.common import Spread, alternate, environment, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage

EXTRACT, DEMO = "extract", "demo"

PARTS = (EXTRACT, DEMO)


class Start:
    """One checkout, called again and again as if for the first time."""

    def __init__(self, code: Path, folder: Path) -> None:
        self._code, self._folder, self._calls = code, folder, itertools.count()
        self.engine = ""
        """That the last extraction took."""

    def extract(self, data: Path, words: Sequence[str]) -> float:
        """Seconds of an extraction."""
        said: list[str] = []
        seconds = self._seconds(
            lambda place: said.append(
                self._command(place, "extract", str(data), "--weights", "random", "--views", "1", *words, "--json")
            )
        )
        self.engine = json.loads(said[0])["files"][0]["engine"]
        return seconds

    def demo(self) -> float:
        """Seconds of the demonstration."""
        return self._seconds(lambda place: self._command(place, "demo", "--quiet"))

    def _command(self, place: Path, *words: str) -> str:
        with environment(CXRFEAT_CACHE=str(place / "cache")):
            return command_of(self._code, place, *words)

    def _seconds(self, call: Callable[[Path], object]) -> float:
        place = self._folder / str(next(self._calls))
        place.mkdir(parents=True)
        return seconds_of(lambda: call(place))


def measure(
    code: Mapping[str, Path], data: Path, folder: Path, words: Sequence[str], parts: Sequence[str], repeats: int
) -> list[dict[str, Any]]:
    """Each part by each checkout in turn; `words` go to `extract`."""
    each = {name: Start(place, folder / name) for name, place in code.items()}
    calls: dict[str, dict[str, Callable[[], float]]] = {
        EXTRACT: {name: partial(one.extract, data, words) for name, one in each.items()},
        DEMO: {name: one.demo for name, one in each.items()},
    }
    found: list[dict[str, Any]] = []
    for part in parts:
        row: dict[str, Any] = {"what": part, **alternate(calls[part], repeats=repeats, what=part)}
        if BEFORE in row:
            row["ratio"] = row[BEFORE].over(row[OURS])
        engines = ", ".join(f"{one.engine} ({name})" for name, one in each.items()) if part == EXTRACT else None
        found.append(row | {"engine": engines})
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=120, help="images to extract features of (default: 120)")
    parser.add_argument("--data", type=Path, help="their folder; phantoms of 299 pixels unless given")
    parser.add_argument("--backbone", default="resnet50", help="of the table (default: resnet50)")
    parser.add_argument("--size", type=int, help="of its views in pixels; its own unless given")
    parser.add_argument("--engine", default="auto", help="for both checkouts (default: auto)")
    parser.add_argument("--part", choices=PARTS, help="one alone (default: both)")
    add_against(parser)
    given = parser.parse_args(arguments)
    code = checkouts(given.against)
    words = ["--backbone", given.backbone, "--engine", given.engine]
    words += ["--size", str(given.size)] if given.size else []
    with scratch() as folder:
        root, rows = some_images(given.data, given.images, folder)
        data = stage(rows, root, folder / "images")
        say(f"{len(rows)} images")
        parts = (given.part,) if given.part else PARTS
        found = measure(code, data, folder, words, parts, given.repeats)
    columns = [*code, *(["ratio"] if BEFORE in code else []), "engine"]
    lines = [[one["what"], *(str(one[column] or "") for column in columns)] for one in found]
    documents = [
        {key: value.to_dict() if isinstance(value, Spread) else value for key, value in one.items()} for one in found
    ]
    notes = ["Seconds of the whole command, beginning with an empty user cache."]
    return publish("start", arguments, ["command", *columns], lines, rows=documents, notes=notes, place=given.json)


if __name__ == "__main__":
    main()
