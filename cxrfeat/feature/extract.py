"""Stage one: run each network exactly once over the views of every image, and have the feature files built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.beside import Copies, Told
from cxrfeat.feature.claim import Claim, claim_name, record
from cxrfeat.feature.compute import compute
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.finish import finish
from cxrfeat.feature.remote import compute_on_cluster
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.task import Computing, Task, alike, begin, check_room
from cxrfeat.feature.work import Work
from cxrfeat.image.identity import Identity
from cxrfeat.image.mask import NO_MASKS, Masks, masks_digest
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.files import check_writable
from cxrfeat.system.process import give_back
from cxrfeat.types import Groups, Progress


def extract_features(
    manifest: Manifest,
    requests: Sequence[Request],
    *,
    features: Path,
    identity: Identity,
    computing: Computing = Computing(),  # noqa: B008  # a value that nobody changes
    progress: Progress | None = None,
    masks: Masks = NO_MASKS,
) -> list[Extracted]:
    """Make the feature files of a data set, computing only what no committed file has.

    Args:
        manifest: The images.
        requests: The files that are wanted; each image is decoded once for all of them.
        features: Folder of the files.
        identity: Salts the ids.
        computing: Who computes.
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
    places = [feature_path(features, manifest.dataset, one.network.name, one.spec) for one in requests]
    with ExitStack() as stack:
        tasks = []
        for path in sorted(set(places)):  # one order, so no two runs wait for each other; a network named twice, once
            request, work = requests[places.index(path)], stack.enter_context(Work(path))
            tasks.append(begin(work, request, manifest.dataset, set(paths), computing, stack))
        check_room(features, tasks, len(manifest.rows), paths)

        def compute_all(looked: Looked) -> None:
            for together in alike([task.job for task in tasks]):
                if computing.cluster is None:
                    compute(together, paths, progress, masks=masks, looked=looked)
                else:
                    compute_on_cluster(together, paths, computing, progress, masks=masks, looked=looked)

        done = conclude(tasks, claim, identity, compute_all)
    return [done[path] for path in places]


Looked = Callable[[Mapping[str, Told]], None]
"""Told how some images look, by content hash."""


def conclude(
    tasks: Sequence[Task],
    claim: Claim,
    identity: Identity,
    compute_all: Callable[[Looked], None] | None = None,
) -> dict[Path, Extracted]:
    """Have what is missing computed, look for copies beside it, and build the files.

    Args:
        tasks: The files that are wanted, held.
        claim: The data set.
        identity: Salts the ids.
        compute_all: Computes what is missing; nothing is unless given.

    Returns:
        Of each file, by its path, what there is to tell.
    """
    manifest, features = claim.manifest, tasks[0].committed.path.parent
    groups = _group(manifest, tasks, compute_all)
    give_back()
    lines = record(features, claim, groups, identity, _failed(manifest, tasks))
    told = {line.image_id: line.path for line in lines}
    return {
        task.committed.path: finish(task.request, task.job, task.committed, claim, groups, identity, told)
        for task in tasks
    }


def _group(manifest: Manifest, tasks: Sequence[Task], compute_all: Callable[[Looked], None] | None) -> Groups:
    """Look for copies beside the computing; what that took of memory is free afterwards."""
    contents = {row.content_sha256 for row in manifest.rows}
    coming = {sha for task in tasks for index in task.job.missing for sha in task.job.plan.shard(index)}
    with Copies(manifest.rows) as copies:
        copies.tell({**dict.fromkeys(contents - coming), **_looks(contents, tasks)})
        if compute_all is not None:
            compute_all(copies.tell)
        return copies.groups(_looks(contents, tasks))


def _looks(contents: set[str], tasks: Sequence[Task]) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """How the images look, which was learnt with the features, as far as their shards are committed."""
    looks: dict[str, tuple[NDArray[np.uint8], int]] = {}
    for task in tasks:
        for keys, columns in task.committed.columns(contents):
            for row, sha in enumerate(keys):
                if sha in contents:
                    looks.setdefault(sha, (columns["portrait"][row], int(columns["pixel_digest"][row])))
    return looks


def _failed(manifest: Manifest, tasks: Sequence[Task]) -> tuple[Quarantined, ...]:
    """Images that one network at least could not be given."""
    failures = {sha: one for task in tasks for sha, one in task.committed.failures.items()}
    found = ((row.path, failures.get(row.content_sha256)) for row in manifest.rows)
    return tuple(Quarantined(path=path, stage=one.stage, reason=one.reason) for path, one in found if one is not None)
