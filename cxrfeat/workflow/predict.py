"""The recipe of prediction: images through the network and head of a run."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cxrfeat.auditing.outputs import check_predictions
from cxrfeat.backbone.choose import choose_engine, load_engine
from cxrfeat.backbone.engine import CPU_BATCH, Engine, EngineFactory
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.held import HeldRows
from cxrfeat.feature.of_images import features_of_images
from cxrfeat.finetuning.tuned import network_of
from cxrfeat.head.of_run import load_head
from cxrfeat.image.named import named_images
from cxrfeat.image.note import tell
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.run.folder import Run, RunLike, find_run
from cxrfeat.run.record import to_json
from cxrfeat.spec import EngineName
from cxrfeat.system.given import PathLike, as_path, as_paths
from cxrfeat.system.process import threads
from cxrfeat.types import Finding, Probabilities, Progress

TOGETHER = 16
"""Images that are classified at a time: how many decides the last bits of their probabilities."""

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
    rows_reused: int = 0
    """How many images had their features in a file already; the network computed those of the others."""
    checks: tuple[Finding, ...] = ()
    """What there is to object to in these outputs."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `predict`."""
        return {
            "run": self.run.name,
            "random_weights": self.random,
            "rows_computed": len(self.predictions) - self.rows_reused,
            "rows_reused": self.rows_reused,
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
    engine: EngineName = "auto",
    features: PathLike = "features",
    runs: PathLike = "runs",
    reading: Selection | None = None,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Predict the class of images with a fitted head.

    Features of images that a feature file of the same description holds, by the same engine and the same versions of
    all that decides them, are taken from there: they would be the same bits.

    Args:
        run: A run, its name or an unambiguous beginning of it, or its folder.
        images: Files, or folders, which are searched for images as `index` searches them (masks, hidden files and
            checkpoints are none); one or many.
        network: Where the network's file is, if it is no longer where it was.
        engine: What runs the network: `auto` is what is fastest for so many images.
        features: Folder of the feature files; it need not be there.
        runs: Folder in which the run's name is looked for.
        reading: How folders are read: its `follow_links` and its `strict`.
        make_engine: Loads a network; no feature file is looked into then.
        progress: Told after every few images.

    Returns:
        One prediction per readable image, in the order given.

    Raises:
        UsageError: If no image is named, or the engine cannot run the network.
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
    name = engine if make_engine else choose_engine(engine, where, spec, len(paths) * view.count)

    def load() -> Engine:
        if make_engine is not None:
            return make_engine(where, spec, CPU_BATCH, threads())
        return load_engine(name, where, spec, len(paths) * view.count)

    made: list[Prediction] = []
    contents: list[str] = []
    said: list[Probabilities] = []
    done = reused = 0
    with ExitStack() as stack:
        held = HeldRows(as_path(features), spec, name, dim=head.dim, images=len(paths))
        if make_engine is None:
            stack.enter_context(held)
        groups = stack.enter_context(closing(features_of_images(paths, view, load, held, together=TOGETHER)))
        for group in groups:
            bad += [one for one in group if isinstance(one, Quarantined)]
            good = [one for one in group if not isinstance(one, Quarantined)]
            if good:
                stacked = np.stack([one.features for one in good])
                flat = head.predict_proba(stacked.reshape(-1, stacked.shape[2]))
                probabilities = flat.reshape(len(good), -1, len(head.classes)).mean(axis=1)
                outside = novelty.outside(stacked[:, 0])
                made += [
                    Prediction(
                        image=str(one.path),
                        label=head.classes[int(row.argmax())],
                        probabilities=dict(zip(head.classes, row.tolist(), strict=True)),
                        out_of_distribution=bool(out),
                    )
                    for one, row, out in zip(good, probabilities, outside, strict=True)
                ]
                said.append(probabilities)
                contents += [one.content_sha256 for one in good]
                reused += sum(one.held is not None for one in good)
            done += len(group)
            if progress:
                progress("predict", done, len(paths))
    tell(held.notes)
    if not made:
        shown = "; ".join(f"{one.path}: {one.reason}" for one in bad[:3])
        raise InputError(f"None of the {len(paths)} images can be used ({shown}). Check the files.")
    checks = check_predictions(np.concatenate(said), contents, votes=head.kind == "knn")
    return Predictions(
        run=run,
        predictions=tuple(made),
        quarantined=tuple(bad),
        random=where.random,
        rows_reused=reused,
        checks=tuple(checks),
    )
