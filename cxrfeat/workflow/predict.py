"""The recipe of prediction: images through the network and head of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cxrfeat.auditing.outputs import check_predictions
from cxrfeat.backbone.choose import auto_engine
from cxrfeat.backbone.engine import CPU_BATCH, EngineFactory
from cxrfeat.errors import BadImageError, InputError, UsageError
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.of_run import load_head
from cxrfeat.image.named import named_images
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.run.record import to_json
from cxrfeat.system.given import PathLike, as_paths
from cxrfeat.system.process import threads
from cxrfeat.types import Finding, Probabilities, Progress
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import stream

_SHOWN = {"lungs": "cut down to the lungs", "outside": "without their lungs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a run says of one image."""

    image: str
    """The path as the user gave it."""
    label: str
    probabilities: dict[str, float]
    out_of_distribution: bool
    """Whether its features lie farther out than those of 99 % of the training images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """All images of one call, those that could not be used apart."""

    run: Run
    predictions: tuple[Prediction, ...]
    quarantined: tuple[Quarantined, ...]
    random: bool
    """Whether the network has random weights, so that predictions mean nothing."""
    checks: tuple[Finding, ...] = ()
    """What there is to object to in these outputs."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `predict`."""
        return {
            "run": self.run.name,
            "random_weights": self.random,
            "failed_checks": to_json(self.run.failed_checks),
            "checks": [asdict(one) for one in self.checks],
            "predictions": [asdict(one) for one in self.predictions],
            "quarantined": [asdict(one) for one in self.quarantined],
        }


def predict(
    run: RunLike,
    images: PathLike | Iterable[PathLike],
    *,
    network: PathLike | None = None,
    runs: PathLike = "runs",
    reading: Selection | None = None,
    make_engine: EngineFactory = auto_engine,
    progress: Progress | None = None,
) -> Predictions:
    """Predict the class of images with a fitted head.

    Args:
        run: A run, its name or an unambiguous beginning of it, or its folder.
        images: Files, or folders, which are searched for images as `index` searches them (masks, hidden files and
            checkpoints are none); one or many.
        network: Where the network's file is, if it is no longer where it was.
        runs: Folder in which the run's name is looked for.
        reading: How folders are read: its `follow_links` and its `strict`.
        make_engine: Loads a network.
        progress: Told after every batch.

    Returns:
        One prediction per readable image, in the order given.

    Raises:
        UsageError: If no image is named.
        InputError: If there is no such run, a path does not exist, no image can be used, or the head was trained with
            lung masks.
        IntegrityError: If the run is damaged.
        WeightsError: If the network is no longer there.
    """
    run = find_run(run, runs=runs)
    given = as_paths(images, "an image or a folder of images")
    if not given:
        raise UsageError("Name at least one image, or a folder of them.")
    paths, bad = named_images(given, reading)
    head, novelty = load_head(run)
    spec = run.document.features.spec
    if spec.view.masks or spec.view.mask == "lungs":
        raise InputError(
            f"{run.name} was trained on images {_SHOWN[spec.view.mask]} by their lung masks, and an image to predict "
            "has no mask. Extract features without `mask` and fit a head on them."
        )
    where = network_of(run, network)
    view = spec.view if run.document.tta else replace(spec.view, count=1)
    engine = None
    made: list[Prediction] = []
    contents: list[str] = []
    said: list[Probabilities] = []
    done = 0
    with stream([ImageFile(path=path) for path in paths], Wanted(views=(view,))) as prepared:
        while some := prepared.take(CPU_BATCH):
            good, views = [], []
            for path, one in zip(paths[done : done + len(some)], some, strict=True):
                if isinstance(one, BadImageError):
                    bad.append(Quarantined(path=str(path), stage=one.stage, reason=one.reason))
                    continue
                good.append(path)
                contents.append(one.content_sha256)
                views.append(one.of(view))
            if good:
                engine = engine or make_engine(where, spec, CPU_BATCH, threads())
                features = engine.run(np.concatenate(views)).reshape(len(good), -1, engine.dim)
                flat = head.predict_proba(features.reshape(-1, engine.dim))
                probabilities = flat.reshape(len(good), -1, len(head.classes)).mean(axis=1)
                said.append(probabilities)
                outside = novelty.outside(features[:, 0])
                made += [
                    Prediction(
                        image=str(path),
                        label=head.classes[int(row.argmax())],
                        probabilities=dict(zip(head.classes, row.tolist(), strict=True)),
                        out_of_distribution=bool(out),
                    )
                    for path, row, out in zip(good, probabilities, outside, strict=True)
                ]
            done += len(some)
            if progress:
                progress("predict", done, len(paths))
    if not made:
        shown = "; ".join(f"{one.path}: {one.reason}" for one in bad[:3])
        raise InputError(f"None of the {len(paths)} images can be used ({shown}). Check the files.")
    checks = check_predictions(np.concatenate(said), contents, votes=head.kind == "knn")
    return Predictions(
        run=run, predictions=tuple(made), quarantined=tuple(bad), random=where.random, checks=tuple(checks)
    )
