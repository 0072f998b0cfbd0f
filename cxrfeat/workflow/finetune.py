"""The recipe of fine-tuning: warm a head, train network and head together, test what came of it, and keep the run."""

from __future__ import annotations

import os
from dataclasses import replace

from cxrfeat.auditing.short import ShortAudit
from cxrfeat.auditing.tested import examined, with_test
from cxrfeat.backbone.network import FILE, find_again, find_network, is_onnx
from cxrfeat.bar import with_bar
from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.of_run import as_fitted
from cxrfeat.feature.parting import part_images
from cxrfeat.finetuning.basis import (
    check_backbone,
    file_of_head,
    masks_of,
    refuse_onnx,
    rows_of,
    split_of_head,
    views_cached,
)
from cxrfeat.finetuning.images import Images
from cxrfeat.finetuning.job import Job, Tuned, carried_out
from cxrfeat.finetuning.memory import available_memory
from cxrfeat.finetuning.recipe import DEFAULT
from cxrfeat.finetuning.start import check_warm, warm_head, with_layers
from cxrfeat.finetuning.train import CHECKPOINT_EVERY
from cxrfeat.finetuning.tuned import find_tuned
from cxrfeat.head.data import load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.of_run import load_head
from cxrfeat.head.record import document_of, existing_run, identity_of, write_fitted
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.row import Quarantined, Selection
from cxrfeat.reporting.summary import with_tested
from cxrfeat.run.folder import Run, RunLike, check_name, find_run, run_name
from cxrfeat.run.record import digest8
from cxrfeat.spec import FinetuneSpec, HeadSpec, Normalize, SplitBy, SplitSpec, ViewSpec
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Progress, named
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import FitResult, fit

WARM = HeadSpec(kind="logreg", strength=0.01)
"""The head that is fitted on the spot where none is given: a softer one than stage two's own, since steep weights make
the network's first steps long ones."""

IMAGE_SHARE = 0.25
"""Share of the free memory that decoded images may take."""

_PLAIN = ViewSpec(size=16, count=1)
"""What no option of views gives."""


@with_bar("images")
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
    """Train a network and its head together, from a warm start, and test the result.

    If it is killed, the same call continues; on a CPU it ends with the weights of an uninterrupted run, bit for bit.

    Args:
        data: Folder of images (see `index`).
        backbone: One name of the table, `scratch`, or the path of a Keras model; `None` is that of `head_from` or
            `cache`, else densenet121.
        weights: `imagenet`, `random`, or a path.
        preprocess: How a Keras model of your own expects its pixels: `tf`, `torch`, `caffe` or `none`.
        normalize: `backbone`, `featurewise` or `none`.
        size: Height and width of the views in pixels; `None` is the network's own.
        view: How views are drawn; size, count and seed are taken from the other arguments.
        spec: The protocol; its head gives the layers only if the start is not warm.
        head_from: A run of stage two, its name or folder: its head, network and split are taken.
        warm: The head to fit on cached features where none is given; `None` starts from a random one.
        cache: A feature file: its network, pixels and split are taken.
        network: Where the file of the network is, if it has moved.
        split_by: As in `fit`; not with `head_from`.
        regroup_given: As in `fit`.
        selection: Which images to take.
        image_memory: Bytes of decoded images to keep; `None` is a quarter of the free memory.
        checkpoint_every: Seconds between checkpoints within an epoch.
        seed: Seed of the views, the split, the order of images, drawn weights and intervals.
        features: Folder of the feature files.
        runs: Folder for the runs.
        name: The run's name.
        progress: Called as the work proceeds.

    Returns:
        The run of the tuned network, and the audit. Where training diverged, the run's document says so, and the
        last good weights are those of the run.

    Raises:
        UsageError: If options contradict each other, a layer does not exist, or a batch does not fit into memory.
        InputError: If data, network, head and features do not belong together.
        SplitError: If the images cannot be split as asked, or the network has seen another split.
        LockedError: If another process is making the same run.
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
            f"features, and start from that head: `cxrfeat extract` with `backbone={backbone}`, then `head_from`."
        )
    if backbone is not None and is_onnx(backbone):
        raise refuse_onnx(backbone)
    described = {
        "`weights`": weights != "imagenet", "`normalize`": normalize != "backbone", "`size`": size is not None,
        "`preprocess`": preprocess is not None and backbone is None, "`cache`": run is not None and cache is not None,
        "the options of views": view is not None and replace(view, size=16, count=1, seed=0) != _PLAIN,
        "`split_by`": run is not None and (split_by is not None or regroup_given),
    }  # fmt: skip
    if (run is not None or cache is not None) and any(described.values()):
        raise UsageError(
            f"{', '.join(field for field, given in described.items() if given)}: already set by the head or the "
            "features that you start from. Omit it."
        )
    if normalize == "featurewise" and regroup_given:
        raise UsageError(
            "`regroup_given` cannot be combined with `normalize=featurewise`, whose statistics are bound to one split."
        )
    manifest = index_folder(data, selection or Selection(), progress=named(progress, "reading files"))
    require_classes(manifest)
    quarantined: tuple[Quarantined, ...] = manifest.quarantined
    if run is not None:
        path = file_of_head(run, features)
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
            views=views_cached(found, normalize, view, manifest, features), seed=seed, selection=selection,
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
        if where.onnx:
            raise refuse_onnx(where.name)
        if backbone is not None:
            check_backbone(backbone, file, preprocess)
        rows, view = rows_of(file, manifest), file.spec.view
        if view.shuffle or view.border_only:
            raise UsageError(
                f"{path.name} holds features of a control, whose images are spoilt on purpose: train on other features."
            )
        masks = masks_of(file, manifest)
        plain = load(file)
        if run is not None:
            split = split_of_head(run, file)
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
            fitted, _ = load_head(run)
            head = warm_head(fitted, file.dim)
            spec = replace(spec, head=with_layers(spec.head, head, run))
        identity = identity_of(plain, split, finetune=spec, head_from=None if run is None else run.document.identity)
        job = Job(
            plain=plain,
            split=split,
            network=where,
            run=run,
            head=head,
            spec=spec,
            identity=identity,
            place=runs / (name or run_name(file.content.dataset, file.content.backbone, "finetune", digest8(identity))),
        )
        audit = ShortAudit(file, split, seed)
        findings = job.findings(audit.findings)

        def result(made: Run, *, reused: bool) -> FitResult:
            return FitResult(
                runs=(made,),
                reused=(reused,),
                audit=with_tested(findings, [made]),
                quarantined=quarantined,
                began_with=run,
            )

        def keep(tuned: Tuned) -> Run:
            tested = evaluate(tuned.data, spec.head, split, [tuned.fit], seed)
            test = examined(tested, spec.head.kind, tuned.data, audit)
            of_head = document_of(tuned.data, spec.head, identity, with_test(findings, test), tested, test)
            return write_fitted(job.place, tuned.document(of_head), tuned.data, split, tested, tuned.files)

        if (standing := existing_run(job.place, identity)) is not None:
            return result(standing, reused=True)
        images = Images(
            rows,
            manifest.root,
            view,
            masks=masks,
            budget=int((available_memory() or 2**31) * IMAGE_SHARE) if image_memory is None else image_memory,
        )
        return result(carried_out(job, images, keep, every=checkpoint_every, progress=progress), reused=False)
