"""The recipe of prediction: images through the network and head of a run, as many as there are."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np

from cxrfeat.auditing.outputs import check_predictions
from cxrfeat.backbone.choose import choose_engine, load_engine
from cxrfeat.backbone.engine import CPU_BATCH, Engine, EngineFactory
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.held import HeldRows
from cxrfeat.feature.of_images import features_of_images
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.prediction import AnyPrediction, Predictions, Rules
from cxrfeat.head.saying import saying_of
from cxrfeat.image.named import named_images
from cxrfeat.image.note import tell
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.run.folder import AnyRunLike, find_any_run
from cxrfeat.spec import EngineName
from cxrfeat.system.given import PathLike, as_path, as_paths
from cxrfeat.system.process import threads
from cxrfeat.types import Finding, Probabilities, Progress

TOGETHER = 16
"""Images that are classified at a time: how many decides the last bits of their probabilities."""

_SHOWN = {"lungs": "cut down to the lungs", "outside": "without their lungs"}


CHECKED = 100_000
"""Images, the first of a call, whose outputs are held against each other; it takes memory for each."""


class PredictionStream:
    """Predictions as they come, in the order of the images, of any number of these in bounded memory."""

    def __init__(self, rules: Rules, groups: Iterator[list[AnyPrediction | Quarantined]], images: int) -> None:
        """Nothing is computed before the first is asked for."""
        self.rules, self.images, self._groups = rules, images, groups
        self.done = self.bad = self.rows_reused = 0
        self.checks: tuple[Finding, ...] = ()
        """What there is to object to in the outputs, once all came."""

    def __iter__(self) -> Iterator[AnyPrediction | Quarantined]:
        """Each image, once: what is said of it, or why it cannot be used."""
        for group in self._groups:
            yield from group

    def close(self) -> None:
        """Let go of files and network."""
        if isinstance(self._groups, Generator):
            self._groups.close()


@with_bar("images")
def predict(
    run: AnyRunLike,
    images: PathLike | Iterable[PathLike],
    *,
    coverage: float | None = None,
    threshold: str | None = None,
    network: PathLike | None = None,
    engine: EngineName = "auto",
    features: PathLike = "features",
    runs: PathLike = "runs",
    reading: Selection | None = None,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Predict the class of images with a fitted head, or the number or the findings that a run predicts.

    Features of images that a feature file of the same description holds, by the same engine and the same versions of
    all that decides them, are taken from there: they would be the same bits.

    Args:
        run: A run, its name or an unambiguous prefix of it, or its folder.
        images: Files, or folders, which are searched for images as `index` searches them (masks, hidden files and
            checkpoints are none); one or many.
        coverage: How often the set of classes that cannot be ruled out should hold the true one, such as 0.9; `None`
            makes no sets.
        threshold: Call each class at or above a threshold, named for what it achieves on validation images, such as
            `sensitivity-0.95`.
        network: Where the network's file is now, if it has moved.
        engine: What runs the network: `auto` is the fastest for this many images.
        features: Folder of the feature files; it need not be there.
        runs: Folder in which the run's name is looked for.
        reading: How folders are read: its `follow_links` and its `strict`.
        make_engine: Loads a network; no feature file is looked into then.
        progress: Called after every few images.

    Returns:
        One prediction per readable image, in the order given: of a run of classes its `predictions`, of others `told`.

    Raises:
        UsageError: If no image is named, the engine cannot run the network, or the coverage or threshold is not valid,
            or is asked for of a run without classes.
        InputError: If there is no such run, a path does not exist, no image can be used, the head was trained with
            lung masks, or the run has no validation images to learn sets or thresholds from.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
    """
    stream = stream_predictions(
        run, images, coverage=coverage, threshold=threshold, network=network, engine=engine, features=features,
        runs=runs, reading=reading, make_engine=make_engine, progress=progress,
    )  # fmt: skip
    with closing(stream):
        each = list(stream)
    return Predictions(
        run=stream.rules.run,
        predicted=tuple(one for one in each if not isinstance(one, Quarantined)),
        quarantined=tuple(one for one in each if isinstance(one, Quarantined)),
        random=stream.rules.random,
        rules=stream.rules,
        rows_reused=stream.rows_reused,
        checks=stream.checks,
    )


def stream_predictions(
    run: AnyRunLike,
    images: PathLike | Iterable[PathLike],
    *,
    coverage: float | None = None,
    threshold: str | None = None,
    network: PathLike | None = None,
    engine: EngineName = "auto",
    features: PathLike = "features",
    runs: PathLike = "runs",
    reading: Selection | None = None,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> PredictionStream:
    """As `predict`, image by image: for more of them than are to be held in memory.

    Raises:
        UsageError: As `predict`, before the first image.
        InputError: Likewise; and with the last image, if none could be used.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
    """
    run = find_any_run(run, runs=runs)
    given = as_paths(images, "an image or a folder of images")
    if not given:
        raise UsageError("Name at least one image, or a folder of them.")
    saying = saying_of(run, coverage=coverage, threshold=threshold)
    paths, bad = named_images(given, reading)
    spec = run.document.features.spec
    if spec.view.masks or spec.view.mask == "lungs":
        raise InputError(
            f"{run.name} was trained on images {_SHOWN[spec.view.mask]} by lung masks, and an image to predict "
            "has no mask. Extract features without `mask` and fit a head on them."
        )
    where = network_of(run, network)
    view = spec.view if run.document.tta else replace(spec.view, count=1)
    name = engine if make_engine else choose_engine(engine, where, spec, len(paths) * view.count)

    def load() -> Engine:
        if make_engine is not None:
            return make_engine(where, spec, CPU_BATCH, threads())
        return load_engine(name, where, spec, len(paths) * view.count)

    def groups() -> Generator[list[AnyPrediction | Quarantined], None, None]:
        if bad:
            stream.bad += len(bad)
            yield list(bad)
        said: list[Probabilities] = []
        contents: list[str] = []
        failed = list(bad[:3])
        done = 0
        with ExitStack() as stack:
            held = HeldRows(as_path(features), spec, name, dim=saying.dim, images=len(paths))
            if make_engine is None:
                stack.enter_context(held)
            made = stack.enter_context(closing(features_of_images(paths, view, load, held, together=TOGETHER)))
            for group in made:
                good = [one for one in group if not isinstance(one, Quarantined)]
                told: list[AnyPrediction] = []
                outputs = np.empty((0, saying.outputs))
                if good:
                    told, outputs = saying.say(
                        [str(one.path) for one in good], np.stack([one.features for one in good])
                    )
                if len(contents) < CHECKED:
                    said.append(outputs)
                    contents += [one.content_sha256 for one in good]
                coming = iter(told)
                each = [one if isinstance(one, Quarantined) else next(coming) for one in group]
                failed += [one for one in each if isinstance(one, Quarantined)][: 3 - len(failed)]
                done += len(group)
                stream.done += len(good)
                stream.bad += len(group) - len(good)
                stream.rows_reused += sum(one.held is not None for one in good)
                if progress:
                    progress("predict", done, len(paths))
                yield each
        tell(held.notes)
        if not stream.done:
            shown = "; ".join(f"{one.path}: {one.reason}" for one in failed)
            raise InputError(f"None of the {len(paths)} images can be used ({shown}). Check the files.")
        stream.checks = tuple(check_predictions(np.concatenate(said), contents, votes=saying.votes))

    rules = Rules(run=run, random=where.random, sets=saying.sets, calling=saying.calling)
    stream = PredictionStream(rules, groups(), len(paths) + len(bad))
    return stream
