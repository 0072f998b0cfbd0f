"""Stage one: run each network exactly once over the views of every image, and have the feature files built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial, reduce
from operator import or_
from pathlib import Path

import numpy as np

from cxrfeat.feature.beside import Copies, Told
from cxrfeat.feature.claim import Claim, claim_name, record
from cxrfeat.feature.committed import ComputedRows, LostError
from cxrfeat.feature.compute import compute
from cxrfeat.feature.extracted import Extracted
from cxrfeat.feature.finish import finish
from cxrfeat.feature.keys import Keys
from cxrfeat.feature.paths import Paths
from cxrfeat.feature.remote import compute_by_workers
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.task import Computing, Task, alike, begin, check_room
from cxrfeat.feature.work import Work
from cxrfeat.image.identity import Identity
from cxrfeat.image.manifest_file import manifest_path, read_places
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
        progress: Called after every batch.
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
    paths = Paths(manifest)
    places = [feature_path(features, manifest.dataset, one.network.name, one.spec) for one in requests]
    with ExitStack() as stack:
        tasks = []
        for path in sorted(set(places)):  # one order, so no two runs wait for each other; a network named twice, once
            request, work = requests[places.index(path)], stack.enter_context(Work(path))
            tasks.append(begin(work, request, manifest.dataset, paths.contents, computing, stack))
        check_room(features, tasks, len(manifest.rows), paths.contents)

        def compute_all(looked: Looked) -> None:
            parts = alike([task.job for task in tasks])
            place = computing.place() if parts else None
            if place is None:
                for together in parts:
                    compute(together, paths, progress, masks=masks, looked=looked)
                return
            with place:
                for together in parts:
                    compute_by_workers(
                        together, paths, place, computing.make_engine, progress, masks=masks, looked=looked
                    )

        done = conclude(tasks, claim, identity, compute_all)
    return [done[path] for path in places]


_LOOKS_AT_ONCE = 2048

Looked = Callable[[Mapping[str, Told]], None]
"""Called with how some images look, by content hash."""


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
        Of each file, by its path, what there is to report.
    """
    manifest, features = claim.manifest, tasks[0].committed.path.parent
    groups = grouped(manifest, tasks, compute_all)
    give_back()
    record(features, claim, groups, identity, _failed(manifest, tasks))
    told = partial(read_places, manifest_path(features, manifest.dataset))
    done: dict[Path, Extracted] = {}
    for task in tasks:
        given = task.request, task.job, task.committed, claim, groups, identity, told
        try:
            done[task.committed.path] = finish(*given)
        except LostError:  # what was damaged is deleted: once more
            lost = task.committed.work.missing(task.job.plan)
            if compute_all is None or not lost:
                raise
            for one in tasks:
                one.job.missing = lost if one is task else []
            compute_all(_tell_nobody)
            done[task.committed.path] = finish(*given)
    return done


def _tell_nobody(_: Mapping[str, Told]) -> None:
    """How images look is known already."""


def grouped(manifest: Manifest, tasks: Sequence[Task], compute_all: Callable[[Looked], None] | None = None) -> Groups:
    """Which images belong together: copies are looked for beside the computing, and what that took is free afterwards.

    Args:
        manifest: The images.
        tasks: The files that are wanted, held.
        compute_all: As in `conclude`.
    """
    coming = reduce(or_, (task.job.coming for task in tasks))
    with Copies(manifest.rows, tasks[0].committed.path.parent, tasks[0].job.plan.todo) as copies:
        contents = copies.contents
        rows = [ComputedRows(task.committed, contents) for task in tasks]
        for some in _looks(contents - coming, rows):
            copies.tell(some)
        if compute_all is not None:
            compute_all(copies.tell)
        if coming:
            rows = [ComputedRows(task.committed, contents) for task in tasks]
        return copies.groups(partial(_looks, contents, rows))


def _looks(contents: Keys, rows: Sequence[ComputedRows]) -> Iterator[dict[str, Told]]:
    """How images look, some at a time in their order, as far as features of them are committed; else `None`."""
    for start in range(0, len(contents), _LOOKS_AT_ONCE):
        lacking = Keys(contents.array[start : start + _LOOKS_AT_ONCE])
        told: dict[str, Told] = dict.fromkeys(lacking)
        for one in rows:
            found = one.looks(lacking)
            told |= found
            lacking -= Keys(found)
        yield told


def _failed(manifest: Manifest, tasks: Sequence[Task]) -> tuple[Quarantined, ...]:
    """Images that one network at least could not be given."""
    failures = {sha: one for task in tasks for sha, one in task.committed.failures.items()}
    rows = [manifest.rows[row] for row in np.flatnonzero(Keys(failures).places(manifest.contents) >= 0).tolist()]
    found = ((row.path, failures[row.content_sha256]) for row in rows)
    return tuple(Quarantined(path=path, stage=one.stage, reason=one.reason) for path, one in found)
