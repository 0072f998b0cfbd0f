"""A share of an extraction: shards that one process of an array computes, for whoever merges them later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxrfeat.feature.claim import claim_name
from cxrfeat.feature.compute import compute
from cxrfeat.feature.order import Order
from cxrfeat.feature.paths import Paths
from cxrfeat.feature.plan import Share
from cxrfeat.feature.request import Request, feature_path
from cxrfeat.feature.task import Computing, alike, begin, check_room
from cxrfeat.feature.work import SharedWork
from cxrfeat.image.identity import Identity
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import Manifest
from cxrfeat.system.files import check_writable
from cxrfeat.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What one process did for one feature file, which others make with it."""

    backbone: str
    path: Path
    """Of the file, once it is merged."""
    shard: str
    """Which share, such as `2/7`."""
    images: int
    """In the share, as far as no feature file had them."""
    views: int
    rows_computed: int
    """Rows computed now; the others were there, or cannot be."""
    others: int
    """Images in the other shares."""
    seconds: float
    views_per_second: float
    engine: str
    random: bool
    workers: str

    def to_dict(self) -> dict[str, Any]:
        """In plain values, for JSON."""
        return {**asdict(self), "path": str(self.path)}


def compute_share(
    manifest: Manifest,
    requests: Sequence[Request],
    share: Share,
    *,
    features: Path,
    identity: Identity,
    computing: Computing,
    progress: Progress | None = None,
    masks: Masks = NO_MASKS,
) -> list[Shared]:
    """Compute the missing shards of a share of each wanted file, and leave them, and what is to be made, in a folder.

    Args:
        manifest: The images.
        requests: The files that are wanted; each image is decoded once for all of them.
        share: Which shards.
        features: Folder of the files, of this process alone or of all of them.
        identity: Salts the ids in the manifest; the shards hold none.
        computing: Who computes.
        progress: Called after every batch.
        masks: As in `extract_features`.

    Returns:
        One record for each request, in their order.

    Raises:
        InputError: If something else stands in the place of a wanted file.
        LockedError: If another process is building one of the files.
        StorageError: If the disk refuses; what was committed is kept, and the same call continues.
        IntegrityError: If a file in the place of a wanted one is damaged.
    """
    check_writable(features)
    dataset = claim_name(features, manifest, identity).manifest.dataset
    paths = Paths(manifest)
    places = [feature_path(features, dataset, one.network.name, one.spec) for one in requests]
    with ExitStack() as stack:
        tasks = []
        for path in sorted(set(places)):
            request, work = requests[places.index(path)], stack.enter_context(SharedWork(path))
            work.tell(Order(request=request, manifest=manifest, shares=share.count).to_bytes())
            tasks.append(begin(work, request, dataset, paths.contents, computing, stack, share))
        check_room(features, tasks, 0, paths.contents)
        for together in alike([task.job for task in tasks]):
            compute(together, paths, progress, masks=masks)
    made = {}
    for task in tasks:
        job, views = task.job, task.request.spec.view.count
        mine = sum(map(job.plan.images, share.of(range(job.plan.count))))
        made[task.committed.path] = Shared(
            backbone=task.request.network.name,
            path=task.committed.path,
            shard=str(share),
            images=mine,
            views=views,
            rows_computed=job.images_computed,
            others=len(job.plan.todo) - mine,
            seconds=round(job.seconds, 3),
            views_per_second=round(job.images_computed * views / job.seconds, 2) if job.computed else 0.0,
            engine=job.plan.settings.engine,
            random=task.request.network.random,
            workers=job.workers,
        )
    return [made[path] for path in places]
