"""One fine-tuning from its description to the network that is kept: trained under a lock, continued, read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrfeat.backbone.engine import Engine, KerasEngine
from cxrfeat.backbone.network import FILE, Network, find_again
from cxrfeat.backbone.quiet import backend
from cxrfeat.backbone.scratch import SCRATCH
from cxrfeat.backbone.weights import keep_network
from cxrfeat.errors import CxrFeatError, UsageError
from cxrfeat.feature.split import Split
from cxrfeat.finetuning.checkpoint import Checkpoints
from cxrfeat.finetuning.images import Images
from cxrfeat.finetuning.start import cold_head
from cxrfeat.finetuning.train import Trained, train
from cxrfeat.finetuning.trainable import Trainable, prepare_exactness
from cxrfeat.head.data import Data
from cxrfeat.head.fit import Fit
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.record import existing_run
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.run.document import Began, Finetuning, Identity, RunDocument
from cxrfeat.run.document import Features as RunFeatures
from cxrfeat.run.folder import NETWORK, Run
from cxrfeat.run.record import to_json
from cxrfeat.spec import FeatureSpec, FinetuneSpec
from cxrfeat.system.lock import Lock
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Finding, Progress, Status, failed_first

_AT_ONCE = 256
"""Images whose plain views the network is given together, while the next are prepared."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One fine-tuning, before anything is trained."""

    plain: Data
    """Features of the frozen network, with labels, groups and all that an audit needs."""
    split: Split
    """With one test part."""
    network: Network
    run: Run | None
    """Whose head is warm."""
    head: FittedHead | None
    """The warm head, as layers."""
    spec: FinetuneSpec
    identity: Identity
    place: Path
    """The folder of the run."""

    @property
    def random(self) -> bool:
        """Whether it begins with random weights where trained ones belong."""
        return self.network.random and self.network.backbone != SCRATCH

    def findings(self, audit: list[Finding]) -> list[Finding]:
        """The audit of the data; of weights that are trained here it says what they began with."""
        others = [one for one in audit if one.check != "weights"]
        if not self.random:
            why = "The network was trained here, on the training part of the split alone."
            return [*others, Finding(check="weights", status=Status.PASS, why=why)]
        began = Finding(
            check="weights",
            status=Status.WARN,
            why="RANDOM WEIGHTS: the network was trained here only, and began with weights that know nothing.",
            do="Fine-tune with `weights=imagenet`.",
        )
        return failed_first([*others, began])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuned:
    """What came of a fine-tuning, before it is tested."""

    fit: Fit
    """The head, calibrated if it is to be, and how it was trained."""
    data: Data
    """What the tuned network makes of every image's plain view."""
    features: FeatureSpec
    """How that is made."""
    about: Finetuning
    random: bool
    """Whether it began with random weights where trained ones belong."""
    diverged: str | None
    """Where training diverged, what there is to say of it."""
    files: Mapping[str, bytes]
    """To keep beside `run.json`."""

    def document(self, of_head: RunDocument) -> RunDocument:
        """What the run says, from what the run of its head alone would say."""
        return replace(
            of_head,
            kind="finetune",
            head=f"{self.fit.head.kind}, fine-tuned",
            random_weights=self.random,
            features=RunFeatures(spec=self.features, file=None),
            finetune=self.about,
            diverged=self.diverged,
        )


def carried_out(
    job: Job, images: Images, keep: Callable[[Tuned], Run], *, every: float, progress: Progress | None
) -> Run:
    """Train, and have the result kept; what was begun before continues, and what already exists is given back.

    Args:
        job: What is to be done.
        images: All of them.
        keep: Tests what came of it and writes the run. Until it returns the checkpoints stay.
        every: Seconds between checkpoints within an epoch.
        progress: Called as the work proceeds.

    Raises:
        UsageError: If it was begun on another backend of Keras, or the device has too little memory.
        LockedError: If another process is making the same run.
        StorageError: If the disk refuses; checkpoints stay.
    """
    file, spec = job.plain.file, job.spec
    (fold,) = job.split.folds
    with Lock(job.place) as hold:
        if (standing := existing_run(job.place, job.identity)) is not None:
            return standing  # another process has made it while this one read the images
        checkpoints = Checkpoints(hold.folder, to_json(job.identity), {"threads": threads(), "backend": backend()})
        if checkpoints.settings["backend"] != backend():
            begun = checkpoints.settings["backend"]
            raise UsageError(
                f"{job.place.name} was begun on Keras's backend {begun}, and sums come out otherwise on {backend()}. "
                f"Set KERAS_BACKEND={begun}, or choose another `name`."
            )
        prepare_exactness(int(checkpoints.settings["threads"]))
        if progress:
            progress(f"loading {job.network.name}", 0, 1)
        try:
            trainable = Trainable(
                job.network, file.spec, spec, lambda dim: job.head or cold_head(spec.head, dim, file.classes)
            )
        except CxrFeatError:
            checkpoints.clear_unless_begun()
            raise
        trained = train(
            trainable, spec, images, file.labels, fold.train, fold.validation, checkpoints, every=every,
            tell=progress,
        )  # fmt: skip
        made = keep(_tuned(job, trainable, trained, images, progress))
        checkpoints.clear()
    return made


def _tuned(job: Job, trainable: Trainable, trained: Trained, images: Images, progress: Progress | None) -> Tuned:
    """The network as it is written, and what it makes of the plain views once it is read like any other."""
    file, spec, network = job.plain.file, job.spec, job.network
    content = trainable.saved()
    features = replace(
        file.spec, backbone=FILE, weights=keep_network(content), split=job.split.sha256,
        precision="float32", view=replace(file.spec.view, count=1),
    )  # fmt: skip
    engine = KerasEngine(find_again(features, network.name), features)
    X = _features(engine, images, file.images, progress)
    (fold,) = job.split.folds
    head, notes = trained.weights.head, list(trained.notes)
    kept = next(one.epoch for one in trained.history.epochs if one.kept)
    if spec.head.calibrate and len(fold.validation) and kept:  # epoch 0 is the frozen network with its head as it was
        temperature = fit_temperature(head.decision(X[fold.validation]), file.labels[fold.validation])
        head = replace(head, temperature=temperature)
    if job.random:
        notes.append("Training began with random weights in place of those of ImageNet.")
    changed, every = trainable.parameters
    about = Finetuning(
        spec=spec,
        network=Began(name=network.name, weights=network.weights),
        head_from=None if job.run is None else job.run.name,
        file=file.path.name,
        unusable=tuple(one["image_id"] for one in file.content.quarantine),
        kept=kept,
        trained_parameters=changed,
        parameters=every,
    )
    return Tuned(
        fit=Fit(head=head, history=trained.history, seconds=trained.seconds, notes=notes),
        data=Data(file=file, X=X[:, None]),
        features=features,
        about=about,
        random=job.random,
        diverged=trained.diverged,
        files={NETWORK: content},
    )


def _features(engine: Engine, images: Images, count: int, progress: Progress | None) -> Features:
    """What the network makes of every image's plain view, some at a time."""
    parts, done = [], 0
    for views in images.plain_parts(np.arange(count), _AT_ONCE):
        parts.append(engine.run(views))
        done += len(views)
        if progress:
            progress("features of the tuned network", done, count)
    return np.concatenate(parts)
