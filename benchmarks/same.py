"""Does this checkout give the numbers of another one?

Both extract, audit, fit, tune, compare, predict and report the same images with the same seed, each in a process of its
own; then every array of the feature files and every value of the JSON documents and of the page is held against the
other's. For whoever moves code: what should be the same is, or is named.

    python -m benchmarks.same --against OTHER_CHECKOUT
    python -m benchmarks.same --against OTHER_CHECKOUT --data DATA --backbone PATH.keras --preprocess tf
"""

from __future__ import annotations

import html
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.checkout import BEFORE, OURS, add_against, checkouts, command_of
from benchmarks.common import options, publish, say, scratch
from benchmarks.network import command_words
from cxrfeat.backbone.table import TABLE
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms

PASSING = re.compile(
    r"seconds|per_second|rate|\bversion|versions|engine|created|date|path\b|place|page\b|commands?\b|runs?\.\d+\.run$"
)
"""Names of values that may differ from call to call, or say where something lies."""

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")

_SHOWN = 6
"""Of what differs in one document, as many are printed; all are in the JSON."""

Value = str | float | bool | None


def flat(value: object, name: str = "") -> Iterator[tuple[str, Value]]:
    """Every value of a document, each with the way to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from flat(inner, f"{name}.{number}")
    else:
        yield name, value if isinstance(value, str | int | float | bool) else None


def shown_numbers(page: str) -> dict[str, Value]:
    """The numbers that a reader of a page sees, in their order, but how long things took; pictures are no text."""
    text = re.sub(r'<td data-value="[^"]*" class="number">[^<]*</td></tr>', " ", page)  # seconds end a line of scores
    text = re.sub(r"(?s)<(script|style|svg)\b.*?</\1>|<[^>]*>", " ", text)
    text = re.sub(r"\b\d[\d.,]* (?:s|min|h)\b", " ", text)  # durations
    text = re.sub(r"\d\d\d\d-\d\d-\d\d[ T\d:]*|\b[0-9a-f]{8,}\b", " ", html.unescape(text))
    return {f"number {index}": float(found) for index, found in enumerate(NUMBER.findall(text))}


def call(code: Path, folder: Path, *words: str) -> str:
    """What one command of a checkout says on stdout."""
    say(f"  {' '.join(words)}")
    return command_of(code, folder, *words)


def figures(code: Path, folder: Path, data: Path, network: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Everything one checkout says of the images, by what it is."""
    folder.mkdir()
    image = next(path for path in sorted(data.rglob("*")) if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
    told: dict[str, dict[str, Any]] = {}

    def document(name: str, *words: str) -> None:
        said = call(code, folder, *words, "--json").replace(str(folder), ".")
        told[name] = dict(flat(json.loads(said)))

    document("index", "index", str(data))
    document("extract", "extract", str(data), "--views", "2", *network)
    (path,) = (folder / "features").glob("*.h5")
    with h5py.File(path) as file:
        told["arrays"] = {name: np.asarray(file[name]) for name in file}
    document("audit", "audit", str(data), "--cache", str(path))
    document("heads", "fit-head", "--head", "all", "--split", "group")
    document("folds", "fit-head", "--head", "logreg", "--head", "dropout", "--folds", "3")
    document("views averaged", "fit-head", "--head", "softmax", "--tta", "--name", "tta")
    document("tune", "tune", "--head", "logreg", "--trials", "8", "--name", "tuned")
    runs = [str(value) for name, value in told["heads"].items() if re.fullmatch(r"runs\.\d+\.run", name)]
    document("compare", "compare", *runs)
    first = next(name for name in runs if "logreg" in name)
    document("predict", "predict", first, str(image))
    call(code, folder, "report", "--out", "page.html")
    told["report"] = shown_numbers((folder / "page.html").read_text(encoding="utf-8"))
    return told


def difference(ours: object, theirs: object) -> float:
    """How far two values are apart, relative to the larger; infinite where they cannot be held against each other."""
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        if ours.shape != theirs.shape:
            return math.inf
        if ours.tobytes() == theirs.tobytes():
            return 0.0
        if not np.issubdtype(ours.dtype, np.floating):
            return math.inf
        return float(np.linalg.norm(ours - theirs)) / max(float(np.linalg.norm(theirs)), 1e-30)
    if ours == theirs:
        return 0.0
    if isinstance(ours, int | float) and isinstance(theirs, int | float) and not isinstance(ours, bool):
        return abs(ours - theirs) / max(abs(ours), abs(theirs))
    return math.inf


def held(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Two documents against each other: how many values, which only one has, which differ, and where how many."""
    names = [name for name in ours if name in theirs and not PASSING.search(name)]
    apart = {name: difference(ours[name], theirs[name]) for name in names}
    differ = {name: value for name, value in apart.items() if value}
    return {
        "values": len(names),
        "differ": len(differ),
        "largest": max((value for value in differ.values() if math.isfinite(value)), default=0.0),
        "other": sum(not math.isfinite(value) for value in differ.values()),
        "where": dict(Counter(".".join(name.split(".")[:2]) for name in differ)),
        "apart": [[name, str(ours[name])[:90], str(theirs[name])[:90]] for name in differ],
        "only_ours": [name for name in ours if name not in theirs],
        "only_theirs": [name for name in theirs if name not in ours],
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Compare, print, and return the document."""
    parser = options(__doc__)
    add_against(parser, required=True)
    parser.add_argument("--images", type=int, default=90, help="images of the set (default: 90)")
    parser.add_argument("--data", type=Path, help="their folder; phantoms unless given")
    parser.add_argument("--backbone", default="resnet50", help="as in `cxrfeat extract`; random weights unless a file")
    parser.add_argument("--preprocess", help="of a network of your own")
    parser.add_argument(
        "--size", type=int, default=32, help="height and width in pixels for random weights (default: 32)"
    )
    given = parser.parse_args(arguments)
    size = given.size if given.backbone in TABLE else None
    network = command_words(given.backbone, preprocess=given.preprocess, size=size)
    with scratch() as folder:
        data = given.data.resolve() if given.data else folder / "phantoms"
        if not given.data:
            spec = PhantomSpec(patients_per_class=math.ceil(given.images / 6), images_per_patient=2, size=96, seed=1)
            write_phantoms(data, spec)
        told = {}
        for name, code in checkouts(given.against).items():
            say(f"{name}: {code}")
            told[name] = figures(code, folder / name, data, network)
    rows = [{"what": what, **held(document, told[BEFORE][what])} for what, document in told[OURS].items()]
    lines = [
        [str(row["what"]), str(row["values"]), str(row["differ"]), f"{row['largest']:.1e}" if row["largest"] else "-",
         str(row["other"]), str(len(row["only_ours"])), str(len(row["only_theirs"]))]
        for row in rows
    ]  # fmt: skip
    notes = []
    for row in rows:
        notes += [
            f"{row['what']}: {count} in {part}" for part, count in row["where"].items() if row["what"] != "report"
        ]
        notes += [f"{row['what']}: {name} is {ours}, was {theirs}" for name, ours, theirs in row["apart"][:_SHOWN]]
    return publish(
        "same", arguments, ["what", "values", "differ", "by at most", "not numbers", "only here", "only there"], lines,
        rows=rows, notes=notes, place=given.json,
    )  # fmt: skip


if __name__ == "__main__":
    main()
