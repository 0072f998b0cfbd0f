"""The recipe of stage one: find the networks, index the images, and have the features made."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cxrfeat.backbone.choose import stored_precision
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import find_network
from cxrfeat.bar import with_bar
from cxrfeat.errors import UsageError
from cxrfeat.feature.bound import split_before
from cxrfeat.feature.extract import extract_features
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.look import look_and_group
from cxrfeat.feature.plan import read_share
from cxrfeat.feature.request import Request, name_masks
from cxrfeat.feature.share import Shared, compute_share
from cxrfeat.feature.split import Split
from cxrfeat.feature.statistics import pixel_statistics
from cxrfeat.feature.task import Computing
from cxrfeat.finetuning.tuned import find_tuned, seen_split, tuned_features
from cxrfeat.image.identity import Identity
from cxrfeat.image.index import index_folder, require_classes
from cxrfeat.image.mask import NO_MASKS, find_masks, mask_notes
from cxrfeat.image.merge import UNLABELLED
from cxrfeat.image.note import Note, tell
from cxrfeat.image.row import Manifest, Quarantined, Selection
from cxrfeat.notebook import brief
from cxrfeat.reporting.table import tables_html
from cxrfeat.spec import Normalize, Precision, SplitSpec, Storage, ViewSpec
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.devices import find_devices
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.system.joining import check_answers
from cxrfeat.types import Finding, Progress, named


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What one call of `extract` made."""

    files: tuple[Extracted, ...]
    manifest: Manifest
    """Under the name that the data set has in the features folder."""
    quarantined: tuple[Quarantined, ...]
    shares: tuple[Shared, ...] = ()
    """In place of files, what was done for them, where only a share was wanted."""
    audit: tuple[Finding, ...] = ()
    """What is wrong with the split that features are bound to: groups that it tears, and images in no part of it."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the files, and the images that could not be used."""
        from cxrfeat.reporting.inventory import extract_table, quarantine_table, share_table

        return tables_html(
            extract_table([one.to_dict() for one in self.files]) if self.files else None,
            share_table([one.to_dict() for one in self.shares]) if self.shares else None,
            quarantine_table([asdict(one) for one in self.quarantined]),
        )


@with_bar("views")
def extract(
    data: PathLike,
    *,
    backbone: PathLike | Iterable[PathLike] = "densenet121",
    views: int = 8,
    weights: PathLike = "imagenet",
    preprocess: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: str | None = None,
    pool: str | None = None,
    normalize: Normalize = "backbone",
    size: int | None = None,
    view: ViewSpec | None = None,
    storage: Storage = "float32",
    precision: Precision = "float32",
    engine: str = "auto",
    batch: int | None = None,
    seed: int = 0,
    split_spec: SplitSpec | None = None,
    selection: Selection | None = None,
    features: PathLike = "features",
    runs: PathLike = "runs",
    shard: str | None = None,
    cluster: ClusterSpec | None = None,
    devices: str | None = None,
    make_engine: EngineFactory | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """Turn every view of every image into cached features.

    Args:
        data: Folder of images (see `index`).
        backbone: One name of the table, the path of a Keras model or of an ONNX file, or a fine-tuned run; or several.
        views: Views per image, the plain one included.
        weights: `imagenet`, `random`, or a path.
        preprocess: How a network of your own expects its pixels: `tf`, `torch`, `caffe`, `none` or `xrv`.
        mean: In its place: what your own network removes from pixels from 0 to 1; one number, or one of each channel.
        std: What it then divides by, likewise.
        output: Which output of an ONNX file to take, by name; `None` is its only one.
        pool: How that becomes features: `mean`, `cls` or `none`; `None` chooses where only one is possible.
        normalize: `backbone`, `featurewise` or `none`.
        size: Height and width of the views in pixels; `None` is each network's own.
        view: How views are drawn; its size, count and seed are taken from the other arguments, and the digest of the
            masks from the data.
        storage: `float32` or `float16`.
        precision: Arithmetic of the network: `float32`; for GPUs `tf32`, `float16` or `bfloat16`; for CPUs that have it
            `bfloat16`, which OpenVINO computes.
        engine: `auto`, `keras`, `openvino` or `onnx`.
        batch: Views per batch; `None` is the engine's own.
        seed: Seed of the drawn views and of random weights.
        split_spec: The split whose training part gives the `featurewise` statistics.
        selection: Which images to take.
        features: Folder for the files.
        runs: Folder of the runs, among which fine-tuned ones are looked for.
        shard: Compute only this share of what is missing, such as `2/7`, and build no file: `merge` does, from all
            shares.
        cluster: Compute by workers on this Ray cluster; `None` is this process.
        devices: Compute by a process for each of some GPUs of this machine: `all`, or numbers such as `0,1`.
        make_engine: Loads a network; for tests and other engines.
        progress: Called with what is being done, how much of it is done, and out of how much.

    Returns:
        One record per backbone, the manifest, and the images that could not be used.

    Raises:
        UsageError: If a backbone, a device or an option does not exist.
        InputError: If the data, or a network, cannot be used; if most images of a class have no mask where only
            lungs are kept.
        LockedError: If another process is making one of the files.
        StorageError: If the disk refuses; what was finished is kept.
    """
    data, features, weights = as_path(data, "the data folder"), as_path(features), os.fspath(weights)
    share = None if shard is None else read_share(shard)
    if cluster is not None:
        if share is not None:
            raise UsageError("`shard` is for processes that do not know of each other: omit it, or omit `runner`.")
        check_answers(cluster.address)
    if devices is not None and (share is not None or cluster is not None):
        raise UsageError("`devices` are the GPUs of one machine: omit them, or omit `shard` and `runner`.")
    computing = Computing(
        engine=engine,
        make_engine=make_engine,
        batch=batch,
        cluster=cluster,
        devices=() if devices is None else find_devices(devices),
    )
    each: list[PathLike] = one_or_many(backbone)
    names = list(dict.fromkeys(os.fspath(one) for one in each))
    if not names:
        raise UsageError("Name at least one backbone.")
    view = replace(view or ViewSpec(size=224), count=views, seed=seed)
    tuned = {one: run for one in names if (run := find_tuned(one, as_path(runs))) is not None}
    pixels = preprocess, mean, std, output, pool, size
    described = weights != "imagenet" or normalize != "backbone" or any(one is not None for one in pixels)
    if tuned and (described or precision != "float32"):
        raise UsageError(
            f"{next(iter(tuned))} is a fine-tuned network, whose pixels are prepared as in its training: omit "
            "`weights`, `preprocess`, `mean`, `std`, `output`, `pool`, `normalize`, `size` and `precision`."
        )
    frozen = {
        one: find_network(
            one,
            weights=weights,
            preprocess=preprocess,
            size=size,
            seed=seed,
            mean=mean,
            std=std,
            output=output,
            pool=pool,
        )
        for one in names
        if one not in tuned
    }
    wanted = {
        one: (
            network,
            network.described(
                view,
                normalize="none" if normalize == "featurewise" else normalize,
                precision=stored_precision(
                    precision, "keras" if computing.gpus and engine == "auto" else engine, network
                ),
            ),
        )
        for one, network in frozen.items()
    }
    wanted |= {one: tuned_features(run, view) for one, run in tuned.items()}
    check_writable(features)
    manifest = index_folder(data, selection or Selection(), progress=named(progress, "reading files"))
    asks = manifest.finding_names or manifest.kept_names or manifest.classes == (UNLABELLED,)
    require_classes(manifest, 1 if asks else 2)  # else heads could learn nothing of them
    masked = any(spec.view.mask != "none" for _, spec in wanted.values())
    masks = find_masks(manifest.rows, manifest.root) if masked else NO_MASKS
    tell(Note(text=line) for line in mask_notes(masks, None))  # images whose mask cannot be used are quarantined
    found = {
        one: (network, replace(spec, view=name_masks(spec.view, manifest, masks), storage=storage))
        for one, (network, spec) in wanted.items()
    }
    seen: dict[str, Split | None] = {one: seen_split(run, manifest, Identity.load()) for one, run in tuned.items()}
    leaks: list[Finding] = []
    if normalize == "featurewise" and frozen:
        from cxrfeat.auditing.short import check_split  # features that are bound to no split need none of the audit

        groups, usable = look_and_group(manifest, progress)
        bound = split_before(manifest, groups, usable, split_spec, seed)
        leaks = [one for one in (check_split(bound, groups, bound=True),) if one.refused]
        training = [manifest.rows[row] for row in bound.folds[0].train.tolist()]
        statistics = {
            view: pixel_statistics(training, manifest.root, view, progress, masks=masks)
            for view in {found[one][1].view for one in frozen}
        }
        for one, network in frozen.items():
            spec = found[one][1]
            mean, std = statistics[spec.view]
            found[one] = (network, replace(spec, normalize="featurewise", mean=mean, std=std, split=bound.sha256))
            seen[one] = bound
    requests = [
        Request(network=network, spec=replace(spec, split=spec.split if seen.get(one) is not None else None),
                bound_split=seen.get(one))
        for one, (network, spec) in ((one, found[one]) for one in names)
    ]  # fmt: skip
    given: Any = {"features": features, "identity": Identity.load(), "progress": progress, "masks": masks}
    if share is not None:
        shares = compute_share(manifest, requests, share, computing=computing, **given)
        return Extraction(files=(), shares=tuple(shares), manifest=manifest, quarantined=manifest.quarantined)
    files = extract_features(manifest, requests, computing=computing, **given)
    mixed = sorted({one.mixed for one in files if one.mixed})
    tell(Note(text=f"Some rows were decoded by other libraries than the rest: {one}.") for one in mixed)
    quarantined = {one.path: one for file in files for one in file.quarantined}
    return Extraction(
        files=tuple(files),
        manifest=replace(manifest, dataset=files[0].dataset),
        quarantined=tuple(quarantined[p] for p in sorted(quarantined)),
        audit=(*leaks, *_left_out([one for one in seen.values() if one is not None], manifest, quarantined)),
    )


def _left_out(bound: Sequence[Split], manifest: Manifest, bad: Container[str]) -> tuple[Finding, ...]:
    """Which images are in no part of the splits that features are bound to, each thing said once."""
    if not bound:
        return ()
    from cxrfeat.auditing.short import check_left_out  # as above

    good = np.array([row.path not in bad for row in manifest.rows])
    contents = [row.content_sha256 for row, usable in zip(manifest.rows, good, strict=True) if usable]
    labels, classes = manifest.labels[good], manifest.classes
    of_good = [Split.of(one.parts[good], contents, labels, classes, by="bound", seed=one.seed) for one in bound]
    return tuple({one.why: one for split in of_good for one in check_left_out(split)}.values())
