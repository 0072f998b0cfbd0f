"""What does a prediction cost, and what of it is the network's own time?

The whole command `cxrfeat predict RUN FOLDER`, with the network converted and all caches warm:
- `new images`: of none of them there are features, so the network computes them all;
- `known images`: their features lie in the file that the head was fitted on;
- `one image`: a new one, so this is nearly the start alone.

And the pieces that the first is made of, in this checkout alone: `decoding and views`, by all cores and with no
network; and `engine`, on views that lie ready in memory. These share the cores, so that no command on new images is
faster than their sum.

With `--against` another checkout extracts, fits and predicts in turn. New and known images must be predicted the same,
and how far apart the checkouts are is told.

    python -m benchmarks.predict --json predict.json
    python -m benchmarks.predict --data DATA --images 1200 --backbone PATH.keras --preprocess tf --against OTHER
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.checkout import BEFORE, OURS, add_against, checkouts, command_of
from benchmarks.common import Spread, alternate, options, publish, say, scratch, seconds_of
from benchmarks.images import some_images, stage
from benchmarks.network import auto, command_words, find, load
from cxrfeat.backbone.engine import Engine, Handing
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Views
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import stream, usable

NEW, KNOWN, ONE = "new images", "known images", "one image"
DECODING, ENGINE = "decoding and views", "engine"

_RUN = "benchmark"
_NOWHERE = "no-features"


class Predicting:
    """One checkout, with a head of its own on features of its own."""

    def __init__(self, code: Path, data: Path, folder: Path, network: Sequence[str]) -> None:
        """Extract and fit.

        Args:
            code: Of the checkout.
            data: The images.
            folder: To work in.
            network: Options of `extract` that name it and its engine.
        """
        self._code, self._data, self._folder = code, data, folder
        folder.mkdir()
        command_of(code, folder, "extract", str(data), "--views", "1", "--quiet", *network)
        command_of(code, folder, "fit-head", "--head", "logreg", "--name", _RUN, "--quiet")

    def __call__(self, what: str) -> dict[str, NDArray[np.float64]]:
        """Predict; probabilities by image."""
        features, away = self._folder / "features", self._folder / _NOWHERE
        if what != KNOWN:  # a checkout need not have an option for it
            features.rename(away)
        try:
            images = (
                next(path for path in sorted(self._data.rglob("*")) if path.is_file()) if what == ONE else self._data
            )
            said = json.loads(command_of(self._code, self._folder, "predict", _RUN, str(images), "--quiet", "--json"))
        finally:
            if what != KNOWN:
                away.rename(features)
        return {one["image"]: np.array(list(one["probabilities"].values())) for one in said["predictions"]}


def apart(some: Mapping[str, NDArray[np.float64]], others: Mapping[str, NDArray[np.float64]]) -> float:
    """The largest difference between the probabilities of the same images.

    Raises:
        RuntimeError: If these are others.
    """
    if some.keys() != others.keys():
        raise RuntimeError("the predictions are of other images")
    return max(float(np.abs(some[image] - others[image]).max()) for image in some)


def made(data: Path, size: int) -> Views:
    """The plain views of all images of a folder."""
    view = ViewSpec(size=size, count=1)
    files = [ImageFile(path=path) for path in sorted(data.rglob("*")) if path.is_file()]
    with stream(files, Wanted(views=(view,))) as images:
        return np.concatenate([usable(one).of(view) for one in images])


def run_through(engine: Engine, views: Views) -> None:
    """All views through the network, as a command hands them over."""
    with Handing(engine) as handing:
        for start in range(0, len(views), engine.batch):
            handing.begin(views[start : start + engine.batch])
        list(handing.rest())


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure, print, and return the document."""
    parser = options(__doc__)
    parser.add_argument("--images", type=int, default=120, help="images to predict (default: 120)")
    parser.add_argument("--data", type=Path, help="their folder; phantoms of 299 pixels unless given")
    parser.add_argument("--backbone", default="densenet121", help="with random weights, or the path of a Keras model")
    parser.add_argument("--preprocess", help="how a network of one's own wants its pixels")
    parser.add_argument("--size", type=int, help="pixels of a view; the network's own unless given")
    add_against(parser)
    given = parser.parse_args(arguments)
    code = checkouts(given.against)
    with scratch() as folder:
        root, rows = some_images(given.data, given.images, folder)
        data = stage(rows, root, folder / "images")
        network = find(given.backbone, preprocess=given.preprocess, size=given.size)
        name = auto(network)
        words = command_words(given.backbone, preprocess=given.preprocess, size=given.size)
        say(f"{len(rows)} images, engine {name}: extracting and fitting")
        those = {
            which: Predicting(place, data, folder / which, [*words, "--engine", name]) for which, place in code.items()
        }
        new, known = those[OURS](NEW), those[OURS](KNOWN)
        if apart(new, known) != 0:
            raise RuntimeError(f"known images are predicted otherwise than new ones ({apart(new, known):.2g} apart)")
        notes = ["Images per second; the engine and decoding are of this checkout, and all cores'."]
        if BEFORE in those:
            far = apart(new, those[BEFORE](NEW))
            notes.append(f"Each checkout fits a head of its own; their probabilities are at most {far:.2g} apart.")
        found: list[dict[str, Any]] = []

        def row(what: str, count: int, calls: Mapping[str, Callable[[], object]]) -> None:
            timed = {which: partial(seconds_of, call) for which, call in calls.items()}
            seconds = alternate(timed, repeats=given.repeats, what=what)
            rates = {which: Spread(tuple(count / one for one in spread.values)) for which, spread in seconds.items()}
            ratio = {"ratio": rates[OURS].over(rates[BEFORE])} if BEFORE in rates else {}
            found.append({"what": what, "seconds": seconds[OURS]} | rates | ratio)

        for what, count in ((NEW, len(rows)), (KNOWN, len(rows)), (ONE, 1)):
            row(what, count, {which: partial(each, what) for which, each in those.items()})
        views, engine = made(data, network.size), load(name, network)
        row(DECODING, len(rows), {OURS: partial(made, data, network.size)})
        row(ENGINE, len(rows), {OURS: partial(run_through, engine, views)})
    columns = ["seconds", *code, *(["ratio"] if BEFORE in code else [])]
    lines = [[one["what"], *(str(one.get(column, "")) for column in columns)] for one in found]
    documents = [
        {key: value.to_dict() if isinstance(value, Spread) else value for key, value in one.items()} for one in found
    ]
    return publish("predict", arguments, ["work", *columns], lines, rows=documents, notes=notes, place=given.json)


if __name__ == "__main__":
    main()
