"""Stage one: run each network exactly once over the views of every image, and have the feature files built."""

from __future__ import annotations

import shutil
from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.choose import choose_engine, draws, find_engine, tell_batch, usual_batch
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import StorageError
from cxrfeat.feature.beside import Copies
from cxrfeat.feature.claim import claim_name, record
from cxrfeat.feature.committed import Committed, find_files
from cxrfeat.feature.compute import Job, compute
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.finish import finish
from cxrfeat.feature.plan import Settings
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.work import Work
from cxrfeat.image.identity import Identity
from cxrfeat.image.mask import NO_MASKS, Masks, masks_digest
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.choice import chose
from cxrfeat.system.files import check_writable, storing
from cxrfeat.system.process import give_back, threads
from cxrfeat.types import Groups, Progress


def extract_features(
    manifest: Manifest,
    requests: Sequence[Request],
    *,
    features: Path,
    identity: Identity,
    engine: str = "auto",
    make_engine: EngineFactory | None = None,
    batch: int | None = None,
    progress: Progress | None = None,
    masks: Masks = NO_MASKS,
) -> list[Extracted]:
    """Make the feature files of a data set, computing only what no committed file has.

    Args:
        manifest: The images.
        requests: The files that are wanted; each image is decoded once for all of them.
        features: Folder of the files.
        identity: Salts the ids.
        engine: `auto`, `keras`, `openvino` or `onnx`.
        make_engine: Makes the engine in place of the one of that name; for tests.
        batch: Views per batch; `None` is 16 on a CPU, and 256 on a GPU, halved until it fits.
        progress: Told after every batch.
        masks: From `find_masks`, where a request's views use masks: those whose digest is in its spec.

    Returns:
        One record for each request, in their order.

    Raises:
        InputError: If no image can be used.
        LockedError: If another process is making one of the files.
        StorageError: If the disk refuses; what was committed is kept, and the same call continues.
        IntegrityError: If a committed file that would be replaced is damaged.
    """
    assert all(one.spec.view.masks in (None, masks_digest(masks)) for one in requests), "masks that no spec names"
    check_writable(features)
    claim = claim_name(features, manifest, identity)
    manifest = claim.manifest
    paths = {row.content_sha256: manifest.root / row.path for row in manifest.rows}
    contents = set(paths)
    places = [feature_path(features, manifest.dataset, one.network.name, one.spec) for one in requests]
    with ExitStack() as stack:
        tasks: list[_Task] = []
        for path in sorted(set(places)):  # one order, so no two runs wait for each other; a network named twice, once
            request = requests[places.index(path)]
            work = stack.enter_context(Work(path))
            files = [stack.enter_context(file) for file in find_files(path, request.spec, manifest.dataset)]
            committed = Committed(work, files)
            network, spec = request.network, request.spec
            todo = contents - committed.contents
            chosen = engine if make_engine else choose_engine(engine, network, spec, len(todo) * spec.view.count)
            settings = Settings(engine=chosen, batch=batch or usual_batch(chosen), threads=threads())
            plan = work.plan(todo, views=spec.view.count, settings=settings, any_engine=engine == "auto")
            if plan.todo:
                if plan.settings.engine != chosen:
                    chose(f"{network.name} is run by the engine {plan.settings.engine}: what was interrupted had it.")
                tell_batch(network, plan.settings.batch, plan.settings.threads)
            job = Job(
                network=network,
                spec=spec,
                make_engine=make_engine or find_engine(plan.settings.engine),
                work=work,
                plan=plan,
                missing=work.missing(plan),
                computed=set(),
                draws=make_engine is None and draws(plan.settings.engine),
            )
            tasks.append(_Task(request=request, committed=committed, job=job))
        _check_space(features, tasks, len(manifest.rows), paths)
        groups = _compute_and_group(manifest, tasks, paths, progress, masks)
        give_back()
        lines = record(features, claim, groups, identity, _failed(manifest, tasks))
        told = {line.image_id: line.path for line in lines}
        done = {
            task.committed.path: finish(task.request, task.job, task.committed, claim, groups, identity, told)
            for task in tasks
        }
    return [done[path] for path in places]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A request on its way, between taking the lock and building the file."""

    request: Request
    committed: Committed
    job: Job


def _compute_and_group(
    manifest: Manifest, tasks: Sequence[_Task], paths: Mapping[str, Path], progress: Progress | None, masks: Masks
) -> Groups:
    """Compute the missing shards, and look for copies beside it; what that took of memory is free afterwards."""
    contents = set(paths)
    coming = {sha for task in tasks for index in task.job.missing for sha in task.job.plan.shard(index)}
    with Copies(manifest.rows) as copies:
        copies.tell({**dict.fromkeys(contents - coming), **_looks(contents, tasks)})
        for together in _alike([task.job for task in tasks]):
            compute(together, paths, progress, masks=masks, looked=copies.tell)
        return copies.groups(_looks(contents, tasks))


def _alike(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs over the same shards belong together, so that each image is decoded once for all of them."""
    together: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        if job.missing:
            together.setdefault((job.plan.todo, job.plan.shard_images), []).append(job)
    return list(together.values())


def _check_space(folder: Path, tasks: Sequence[_Task], images: int, contents: Container[str]) -> None:
    """Refuse before hours of work what cannot fit.

    The files are built one after the other, each from its shards, which are deleted once it stands. How long the rows
    of a network of the user's own are is known only once there is a file of it.
    """
    shards, files = [], []
    for task in tasks:
        job = task.job
        row = TABLE.get(job.network.backbone)
        dim = row.dim if row is not None else next((file.dim for file in task.committed.files), 0)
        image_bytes = job.spec.view.count * dim * (2 if job.spec.storage == "float16" else 4)
        shards.append(image_bytes * sum(len(job.plan.shard(index)) for index in job.missing))
        files.append(image_bytes * images if job.plan.todo else 0)
        own = task.committed.own
        files[-1] += image_bytes * sum(sha not in contents for sha in (own.content_sha256 if own else ()))
    needed = max((sum(files[: k + 1]) + sum(shards[k:]) for k in range(len(tasks))), default=0)
    with storing("measure the free space of", folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder} has {free // 2**20} MB free, and this extraction needs {-(-needed // 2**20)} MB. "
            "Free some space, choose another folder with `features`, or take fewer `views`, or numbers of half the "
            "size (float16)."
        )


def _looks(contents: set[str], tasks: Sequence[_Task]) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """How the images look, which was learnt with the features, as far as their shards are committed."""
    looks: dict[str, tuple[NDArray[np.uint8], int]] = {}
    for task in tasks:
        for keys, columns in task.committed.columns(contents):
            for row, sha in enumerate(keys):
                if sha in contents:
                    looks.setdefault(sha, (columns["portrait"][row], int(columns["pixel_digest"][row])))
    return looks


def _failed(manifest: Manifest, tasks: Sequence[_Task]) -> tuple[Quarantined, ...]:
    """Images that one network at least could not be given."""
    failures = {sha: one for task in tasks for sha, one in task.committed.failures.items()}
    found = ((row.path, failures.get(row.content_sha256)) for row in manifest.rows)
    return tuple(Quarantined(path=path, stage=one.stage, reason=one.reason) for path, one in found if one is not None)
