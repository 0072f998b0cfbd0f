"""The recipe of fine-tuning: warm a head, train network and head together, test what came of it, and keep the run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.auditing.short import ShortAudit
from cxrfeat.auditing.tested import examined, with_test
from cxrfeat.backbone.engine import Engine, KerasEngine
from cxrfeat.backbone.network import FILE, Network, find_again, find_network
from cxrfeat.backbone.quiet import backend
from cxrfeat.backbone.scratch import SCRATCH as FROM_SCRATCH
from cxrfeat.backbone.weights import keep_network
from cxrfeat.errors import CxrFeatError, InputError, IntegrityError, StaleFeaturesError, UsageError
from cxrfeat.feature.claim import look_up
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import as_fitted
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Split
from cxrfeat.finetuning.checkpoint import Checkpoints
from cxrfeat.finetuning.images import Images
from cxrfeat.finetuning.memory import available_memory
from cxrfeat.finetuning.recipe import DEFAULT
from cxrfeat.finetuning.start import check_warm, cold_head, warm_head
from cxrfeat.finetuning.train import CHECKPOINT_EVERY, Trained, train
from cxrfeat.finetuning.trainable import Trainable, prepare_exactness
from cxrfeat.finetuning.tuned import NETWORK, find_tuned, split_of
from cxrfeat.head.data import Data, load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fit import Fit
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.of_run import load_head
from cxrfeat.head.record import existing_run, identity_of, write_fitted
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.mask import NO_MASKS, find_masks, masks_digest
from cxrfeat.image.row import ImageRow, Manifest, Quarantined, Selection
from cxrfeat.image.split import check_parts
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.reporting.summary import with_tested
from cxrfeat.run.folder import Run, RunLike, check_name, digest8, find_run, run_name
from cxrfeat.spec import FinetuneSpec, HeadSpec, Normalize, SplitBy, SplitSpec, ViewSpec, to_dict
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.lock import Lock
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Finding, Progress, Status, failed_first, named
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import FitResult, fit

WARM = HeadSpec(kind="logreg", strength=0.01)
"""The head that is fitted on the spot where none is given: a softer one than stage two's own, since steep weights make
the network's first steps long ones."""

IMAGE_SHARE = 0.25
"""Share of the free memory that decoded images may take."""

_AT_ONCE = 256
"""Images whose plain views are in memory together."""

_PLAIN = ViewSpec(size=16, count=1)
"""What no option of views gives."""


def finetune(
    data: PathLike,
    *,
    backbone: PathLike | None = None,
    weights: PathLike = "imagenet",
    preprocess: str | None = None,
    normalize: Normalize = "backbone",
    size: int | None = None,
    view: ViewSpec | None = None,
    spec: FinetuneSpec = DEFAULT,
    head_from: RunLike | None = None,
    warm: HeadSpec | None = WARM,
    cache: PathLike | None = None,
    network: PathLike | None = None,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    selection: Selection | None = None,
    image_memory: int | None = None,
    checkpoint_every: float = CHECKPOINT_EVERY,
    seed: int = 0,
    features: PathLike = "features",
    runs: PathLike = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train a network and its head together, from a warm start, and test what came of it.

    Killed at any moment, the same call goes on; on a CPU it ends with the weights of an undisturbed run, bit for bit.

    Args:
        data: Folder of images (see `index`).
        backbone: One name of the table, `scratch`, or the path of a Keras model; `None` is that of `head_from` or
            `cache`, else densenet121.
        weights: `imagenet`, `random`, or a path.
        preprocess: Of a Keras model of your own: `tf`, `torch`, `caffe` or `none`.
        normalize: `backbone`, `featurewise` or `none`.
        size: Height and width of the views in pixels; `None` is the network's own.
        view: How views are drawn; size, count and seed are taken from the other arguments.
        spec: The protocol; its head gives the layers only where none is warm.
        head_from: A run of stage two, its name or folder: its head, network and split are taken.
        warm: The head that is fitted on cached features where none is given; `None` begins with a drawn one.
        cache: A feature file: its network, pixels and split are taken.
        network: Where the file of the network is, if it has moved.
        split_by: As in `fit`; not with `head_from`.
        regroup_given: As in `fit`.
        selection: Which images to take.
        image_memory: Bytes of decoded images to keep; `None` is a quarter of the free memory.
        checkpoint_every: Seconds between checkpoints within an epoch.
        seed: Of views, split, order, drawn weights and intervals.
        features: Folder of the feature files.
        runs: Folder for the runs.
        name: The run's name.
        progress: Told on the way.

    Returns:
        The run of the tuned network, and the audit. Where training diverged, `run.info["diverged"]` says so, and the
        last good weights are those of the run.

    Raises:
        UsageError: If options contradict each other, a layer does not exist, or a batch does not fit into memory.
        InputError: If data, network, head and features do not belong together.
        SplitError: If the images cannot be split as asked, or the network has seen another split.
        LockedError: If another process makes the same run.
        StorageError: If the disk refuses; checkpoints stay.
    """
    data, features, runs = as_path(data, "the data folder"), as_path(features), as_path(runs)
    backbone, weights = None if backbone is None else os.fspath(backbone), os.fspath(weights)
    if name is not None:
        check_name(name)
    check_writable(runs)
    run = None if head_from is None else find_run(head_from, runs=runs)
    if warm is not None:
        check_warm(warm.kind)
    if backbone is not None and find_tuned(backbone, runs) is not None:
        raise UsageError(
            f"{backbone} is a fine-tuned run. To train its network further, extract with it, fit a head on those "
            f"features, and begin with that head: `cxrfeat extract` with `backbone={backbone}`, then `head_from`."
        )
    described = {
        "`weights`": weights != "imagenet", "`normalize`": normalize != "backbone", "`size`": size is not None,
        "`preprocess`": preprocess is not None and backbone is None, "`cache`": run is not None and cache is not None,
        "the options of views": view is not None and replace(view, size=16, count=1, seed=0) != _PLAIN,
        "`split_by`": run is not None and (split_by is not None or regroup_given),
    }  # fmt: skip
    if (run is not None or cache is not None) and any(described.values()):
        raise UsageError(
            f"{', '.join(field for field, given in described.items() if given)}: the head or the features that you "
            "begin with say so already. Leave it away."
        )
    if normalize == "featurewise" and regroup_given:
        raise UsageError(
            "`regroup_given` does not go with `normalize=featurewise`, whose statistics are bound to one split."
        )
    manifest = index_folder(data, selection or Selection(), progress=named(progress, "reading files"))
    require_classes(manifest)
    quarantined: tuple[Quarantined, ...] = manifest.quarantined
    if run is not None:
        path = _features_of(run, features)
    elif cache is not None:
        path = as_path(cache, "a feature file")
    else:
        wanted = backbone or "densenet121"
        backbone = None  # what is found is what was asked for
        view = replace(view or ViewSpec(size=224), count=1, seed=seed)
        found = find_network(wanted, weights=weights, preprocess=preprocess, size=size, seed=seed)
        # By way of an extraction always: it computes nothing that is there, and groups, labels and splits are today's.
        extraction = extract(
            data, backbone=wanted, weights=weights, preprocess=preprocess, normalize=normalize, size=size, view=view,
            views=_views_cached(found, normalize, view, manifest, features), seed=seed, selection=selection,
            split_spec=SplitSpec(by=split_by, seed=seed) if split_by else None, features=features, runs=runs,
            progress=progress,
        )  # fmt: skip
        path, quarantined = extraction.files[0].path, extraction.quarantined
    with FeatureFile(path) as file:
        chosen = selection.classes if selection is not None and cache is not None else ()
        if run is not None:
            file = as_fitted(file, run) or file
        elif chosen:
            file = file.of_classes(chosen)
        where = find_again(file.spec, file.content.backbone, path=network)
        if backbone is not None:
            _check_backbone(backbone, file, preprocess)
        rows = _rows_of(file, manifest)
        view, masks = file.spec.view, NO_MASKS
        if view.shuffle or view.border_only:
            raise UsageError(f"{path.name} holds features of a control, whose images are spoilt: train on others.")
        if view.mask != "none":
            masks = find_masks(manifest.rows, manifest.root)
            if view.masks is not None and masks_digest(masks) != view.masks:
                raise StaleFeaturesError(f"The lung masks are no longer those of {path.name}. Extract features again.")
        plain = load(file)
        if run is not None:
            split = _split_of(run, file)
        else:
            by = split_by if file.spec.split is None or cache is not None else None  # it is bound to the one asked for
            split = part_images(file, by=by, regroup_given=regroup_given, seed=seed)
            if warm is not None:
                run = fit(
                    path, [replace(warm, seed=seed)], split_by=by, regroup_given=regroup_given, seed=seed,
                    runs=runs, classes=chosen, progress=progress,
                ).runs[0]  # fmt: skip
        spec = replace(spec, head=replace(spec.head, seed=seed))
        if file.spec.backbone == FILE:
            spec = replace(spec, precision="float32")  # a network of one's own computes as it was saved
        head: FittedHead | None = None
        if run is not None:
            head = warm_head(load_head(run)[0], file.dim)
            spec = replace(spec, head=_layers_of(spec.head, head, run))
        identity = identity_of(
            plain, split, finetune=to_dict(spec), head_from=None if run is None else digest8(run.info["identity"])
        )
        job = _Job(
            plain=plain,
            split=split,
            network=where,
            run=run,
            head=head,
            spec=spec,
            identity=identity,
            place=runs / (name or run_name(file.content.dataset, file.content.backbone, "finetune", digest8(identity))),
            audit=ShortAudit(file, split, seed),
            quarantined=quarantined,
        )
        if (standing := existing_run(job.place, identity)) is not None:
            return job.result(standing, reused=True)
        images = Images(
            rows,
            manifest.root,
            view,
            masks=masks,
            budget=int((available_memory() or 2**31) * IMAGE_SHARE) if image_memory is None else image_memory,
        )
        return job.result(_made(job, images, checkpoint_every, progress), reused=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """One fine-tuning, before anything is trained."""

    plain: Data
    """Features of the frozen network, with labels, groups and all that the audit needs."""
    split: Split
    network: Network
    run: Run | None
    """Whose head is warm."""
    head: FittedHead | None
    """The warm head, as layers."""
    spec: FinetuneSpec
    identity: dict[str, Any]
    place: Path
    audit: ShortAudit
    quarantined: tuple[Quarantined, ...]
    """Images that could not be used, as far as this call has seen them."""

    @property
    def findings(self) -> list[Finding]:
        """The short audit; of weights that are trained here it says what they began with."""
        others = [one for one in self.audit.findings if one.check != "weights"]
        if not self.random:
            why = "The network was trained here, on the training part of the split alone."
            return [*others, Finding(check="weights", status=Status.PASS, why=why)]
        return failed_first(
            [
                *others,
                Finding(
                    check="weights",
                    status=Status.WARN,
                    why="RANDOM WEIGHTS: the network was trained here only, and began with weights that know nothing.",
                    do="Fine-tune with `weights=imagenet`.",
                ),
            ]
        )

    @property
    def random(self) -> bool:
        """Whether it begins with random weights where trained ones belong."""
        return self.network.random and self.network.backbone != FROM_SCRATCH

    def result(self, run: Run, *, reused: bool) -> FitResult:
        """What the caller gets."""
        return FitResult(
            runs=(run,),
            reused=(reused,),
            audit=with_tested(self.findings, [run]),
            quarantined=self.quarantined,
            began_with=self.run,
        )


def _made(job: _Job, images: Images, every: float, progress: Progress | None) -> Run:
    """Train, test and write; what was begun before goes on."""
    file, spec = job.plain.file, job.spec
    (fold,) = job.split.folds
    with Lock(job.place) as hold:
        if (standing := existing_run(job.place, job.identity)) is not None:
            return standing  # another process has made it while this one read the images
        checkpoints = Checkpoints(hold.folder, job.identity, {"threads": threads(), "backend": backend()})
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
        made = _write(job, trainable, trained, images, progress)
        checkpoints.clear()
    return made


def _write(job: _Job, trainable: Trainable, trained: Trained, images: Images, progress: Progress | None) -> Run:
    """Test the network that is written as any other, on what it makes of the plain views, and write its run."""
    file, spec, network = job.plain.file, job.spec, job.network
    content = trainable.saved()
    features = replace(
        file.spec, backbone=FILE, weights=keep_network(content), split=job.split.sha256,
        precision="float32", view=replace(file.spec.view, count=1),
    )  # fmt: skip
    engine = KerasEngine(find_again(features, network.name), features)
    tuned = _tuned_features(engine, images, file.images, progress)
    (fold,) = job.split.folds
    head, notes = trained.weights.head, list(trained.notes)
    kept = next(row["epoch"] for row in trained.history if row["kept"])
    if spec.head.calibrate and len(fold.validation) and kept:  # epoch 0 is the frozen network with its head as it was
        temperature = fit_temperature(head.decision(tuned[fold.validation]), file.labels[fold.validation])
        head = replace(head, temperature=temperature)
    if job.random:
        notes.append("Training began with random weights in place of those of ImageNet.")
    fitted = Fit(head=head, history=trained.history, seconds=trained.seconds, notes=notes)
    data = Data(file=file, X=tuned[:, None])
    tested = evaluate(data, spec.head, job.split, [fitted], job.audit.seed)
    tested = examined(tested, spec.head.kind, data, job.audit)
    changed, every = trainable.parameters
    extra = {
        "kind": "finetune",
        "head": f"{head.kind}, fine-tuned",
        "random_weights": job.random,
        "features": {"spec": to_dict(features), "file": None},
        "finetune": {
            "spec": to_dict(spec),
            "network": {"name": network.name, "weights": network.weights},
            "head_from": None if job.run is None else job.run.name,
            "file": file.path.name,
            "unusable": [one["image_id"] for one in file.content.quarantine],
            "kept": kept,
            "trained_parameters": changed,
            "parameters": every,
        },
        "diverged": trained.diverged,
    }
    files = {NETWORK: content}
    audit = with_test(job.findings, tested)
    return write_fitted(data, job.split, spec.head, job.place, job.identity, audit, tested, extra, files)


def _tuned_features(engine: Engine, images: Images, count: int, progress: Progress | None) -> Features:
    """What the network makes of every image's plain view, some at a time."""
    parts = []
    for start in range(0, count, _AT_ONCE):
        views = images.plain(np.arange(start, min(start + _AT_ONCE, count)))
        parts.append(engine.run(views))
        if progress:
            progress("features of the tuned network", min(start + _AT_ONCE, count), count)
    return np.concatenate(parts)


def _features_of(run: Run, folder: Path) -> Path:
    """The feature file that a run's head was fitted on.

    Raises:
        UsageError: If the head has seen every image, or is a fine-tuned one's.
        InputError: If the file is no longer there.
    """
    if not run.info.get("itself_tested", True):
        raise UsageError(
            f"The head of {run.name} was fitted on all images, so none is left to test the network on. "
            "Fit one without `fold_count`: `cxrfeat fit-head` with `head=logreg`."
        )
    if run.info.get("kind") != "head":
        raise UsageError(f"{run.name} is no head of stage two. Make one: `cxrfeat fit-head` with `head=logreg`.")
    wanted = run.info["identity"]["features"], run.info["identity"]["data_sha256"]
    for path in sorted(folder.glob(f"*-{wanted[0][:8]}.h5")):
        with contextlib.suppress(InputError, IntegrityError), FeatureFile(path) as file:
            fitted = as_fitted(file, run)
            if fitted is not None and (fitted.fingerprint, fitted.content.data_sha256) == wanted:
                return path
    raise InputError(
        f"{folder} no longer holds the features that {run.name} was fitted on ({run.info['features'].get('file')}). "
        "Name their folder with `features`, or extract them again."
    )


def _views_cached(network: Network, normalize: Normalize, view: ViewSpec, manifest: Manifest, folder: Path) -> int:
    """How many views per image to take: as many as a feature file of this data set and network has; 1 if none has any.

    Of several files the one with fewest, so that the same command finds its run again after another extraction.
    """
    wanted = (network.backbone, network.weights, normalize, replace(view, size=network.size))
    found = []
    for path in folder.glob(f"{look_up(folder, manifest).manifest.dataset}-*.h5"):
        with contextlib.suppress(InputError, IntegrityError), FeatureFile(path) as file:
            spec = file.spec
            plain = replace(spec.view, count=1, masks=None)
            if (spec.backbone, spec.weights, spec.normalize, plain) == wanted and spec.storage == "float32":
                found.append(file.views)
    return min(found, default=1)


def _check_backbone(asked: str, file: FeatureFile, preprocess: str | None) -> None:
    """Refuse a network other than that of the features."""
    name = file.content.backbone
    if file.spec.backbone == FILE and Path(asked).is_file():
        name = asked if find_network(asked, preprocess=preprocess or "none").weights == file.spec.weights else name
    if asked != name:
        raise StaleFeaturesError(
            f"The head and features that you begin with are those of {name}, not of {asked}. Leave `backbone` away, "
            f"or fit a head on features of {asked}."
        )


def _split_of(run: Run, file: FeatureFile) -> Split:
    """The split of a run, image by image.

    Raises:
        IntegrityError: If it is not of these images, or the run is damaged.
    """
    split = split_of(run, file.content_sha256, file.labels, file.classes)
    if split is None:
        raise IntegrityError(f"{run.path / 'split.csv'} is not the split of {file.path.name}. Fit the head again.")
    check_parts(split.parts, file.labels, file.groups, file.classes)
    return split


def _rows_of(file: FeatureFile, manifest: Manifest) -> list[ImageRow]:
    """The images of a feature file, in its order, where they are now."""
    rows = {row.content_sha256: row for row in manifest.rows}
    lacking = sum(sha not in rows for sha in file.content_sha256)
    if lacking:
        raise InputError(
            f"{manifest.root} lacks {lacking} of the {file.images} images of {file.path.name}. Name the folder that "
            "the features were extracted from, or extract features of this one."
        )
    found = [rows[sha] for sha in file.content_sha256]
    other = [row.path for row, label in zip(found, file.labels, strict=True) if row.label != file.classes[label]]
    if other and len(set(file.content_sha256)) == file.images:  # copies may be labelled unlike, which the audit tells
        raise StaleFeaturesError(
            f"{len(other)} images have another label than when {file.path.name} was made, such as {other[0]!r}. "
            "Extract features again (that computes nothing anew), and fit the head again."
        )
    return found


def _layers_of(protocol: HeadSpec, start: FittedHead, run: Run) -> HeadSpec:
    """The protocol with the layers of a warm head, so that the run says what was trained."""
    stored: Mapping[str, Any] = run.info["identity"].get("head") or {}
    hidden = tuple(start.arrays[name].shape[0] for name in sorted(start.arrays) if name.startswith("bias_"))[:-1]
    return replace(
        protocol,
        kind=start.kind,
        hidden=hidden or None,
        dropout=stored.get("dropout", protocol.dropout) if start.kind == "dropout" else protocol.dropout,
    )
