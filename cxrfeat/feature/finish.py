"""The end of an extraction: committed rows become the feature file, and rows that it leaves out are kept next to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError
from cxrfeat.feature.claim import Claim
from cxrfeat.feature.committed import FROM_PIXELS, Committed, ComputedRows, unreadable
from cxrfeat.feature.compute import Job
from cxrfeat.feature.content import content_of
from cxrfeat.feature.decoded import AND
from cxrfeat.feature.extracted import Dropped, Extracted
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.keys import Keys, column, texts
from cxrfeat.feature.request import Request
from cxrfeat.feature.shard import FEATURES, Failure, Shard, read_shard
from cxrfeat.feature.spare import Spare
from cxrfeat.feature.store import write_features
from cxrfeat.image.decode import decoders
from cxrfeat.image.identity import Identity
from cxrfeat.image.note import tell
from cxrfeat.image.row import Manifest, Quarantined
from cxrfeat.system.process import give_back
from cxrfeat.types import Groups


def finish(
    request: Request,
    job: Job,
    committed: Committed,
    claim: Claim,
    groups: Groups,
    identity: Identity,
    told: Callable[[Collection[str]], Mapping[str, str]],
) -> Extracted:
    """Build a feature file from committed rows, once all of them are there, and clear what it was built from.

    Args:
        request: The file that is wanted.
        job: What this run computed of it.
        committed: The rows.
        claim: The data set.
        groups: Groups of its images.
        identity: Salts the ids.
        told: Finds the paths of image ids, those of before too.

    Raises:
        InputError: If no image can be used.
        StorageError: If the disk refuses, or computed rows cannot be read back.
        IntegrityError: If a committed file is damaged.
    """
    path, manifest = committed.path, claim.manifest
    failures = committed.failures
    hashes = manifest.contents
    contents = job.plan.todo.again(hashes)
    computed = ComputedRows(committed, contents)
    there = computed.found.places(hashes) >= 0
    rows = np.flatnonzero(there)
    quarantined = _quarantined(manifest, failures, there)
    if lost := int((~there & (Keys(failures).places(hashes) < 0)).sum()):
        raise unreadable(committed, lost, len(manifest.rows))
    own, spare = committed.own, committed.spare
    dropped = Dropped() if own is None else _dropped(own, manifest, told)
    spare.keep(_unwanted(committed, contents))
    if not len(rows):
        committed.work.clear()  # what failed now is tried again next time
        first = "; ".join(f"{one.path}: {one.reason}" for one in quarantined[:3])
        raise InputError(f"None of the {len(manifest.rows)} images can be used ({first}). Check the files.")
    kept = hashes if there.all() else hashes[there]  # 64 MB of a million
    content = content_of(request, manifest, rows, groups, identity, computed, quarantined)
    give_back()
    if own is not None and own.content.same(content):
        content = own.content  # nothing to change: the file stays as it is
    else:
        write_features(path, content, computed.dim, computed.features(kept))
    tell(dropped.notes(path))
    committed.work.clear()
    spare.forget(Keys(kept))
    fresh = int((Keys(np.concatenate([column(()), *job.computed])).places(kept) >= 0).sum())
    views = request.spec.view.count
    return Extracted(
        backbone=request.network.name,
        path=path,
        images=len(rows),
        views=views,
        dim=computed.dim,
        rows_computed=fresh,
        rows_reused=len(rows) - fresh,
        quarantined=quarantined,
        seconds=round(job.seconds, 3),
        views_per_second=round(job.images_computed * views / job.seconds, 2) if job.seconds else 0.0,
        engine=content.engine,
        random=request.network.random,
        mixed=", ".join(f"{name} {told}" for name, told in computed.decoders.items() if AND in told),
        dataset=manifest.dataset,
        dropped=dropped,
        workers=job.workers if fresh else "",
        rows_kept=len(spare.contents - contents),
    )


def _dropped(file: FeatureFile, manifest: Manifest, told: Callable[[Collection[str]], Mapping[str, str]]) -> Dropped:
    """What a file had that is not among the images any more.

    Args:
        file: As it stands.
        manifest: The images.
        told: Finds the paths of image ids.
    """
    gone = Keys(manifest.contents).places(file.content.columns["content_sha256"]) < 0
    ids = [one.decode() for one in file.content.columns["image_id"][gone].tolist()]
    places = told(ids) if ids else {}
    lost = [places.get(one) for one in ids]
    left, there = set(file.labels[~gone].tolist()), set(manifest.classes)
    known, everything = {place for place in lost if place is not None}, np.arange(len(manifest.rows))
    changed = {path for path in manifest.held.paths(everything) if path in known} if known else set()
    return Dropped(
        images=len(lost),
        gone=sum(place is None or not (manifest.root / place).exists() for place in lost),
        changed=sum(place in changed for place in lost),
        classes=tuple(name for label, name in enumerate(file.classes) if label not in left and name not in there),
    )


def _unwanted(committed: Committed, contents: Keys) -> Iterator[Shard]:
    """The rows that the file and the shards hold and the new file will not: of images that may come back."""
    file, spare = committed.own, committed.spare
    if file is not None:
        shas = file.content.columns["content_sha256"]
        for part, stored in file.checked_blocks() if (contents.places(shas) < 0).any() else ():
            arrays = {name: file.content.columns[name][part] for name in FROM_PIXELS} | {FEATURES: stored}
            told = {name: file.content.versions[name] for name in decoders() if name in file.content.versions}
            whole = Shard(content_sha256=texts(shas[part]), arrays=arrays, engine=file.content.engine, decoders=told)
            yield from _apart(whole, spare, contents)
    shards = committed.work.shards()
    sizes = [len(note.keys) for note in shards.values()]
    gone = contents.places(np.concatenate([column(()), *(note.keys for note in shards.values())])) < 0
    some = set(np.unique(np.repeat(np.arange(len(sizes)), sizes)[gone]).tolist())
    for place, path in enumerate(shards):
        if place in some and (shard := read_shard(path)) is not None:
            yield from _apart(shard, spare, contents)


def _apart(shard: Shard, spare: Spare, contents: Keys) -> Iterator[Shard]:
    keys = shard.content_sha256
    there = (contents.places(column(keys)) >= 0) | (spare.contents.places(column(keys)) >= 0)
    rows = [row for row, sha in enumerate(keys) if not there[row] and sha not in keys[:row]]
    if rows:
        yield replace(
            shard,
            content_sha256=tuple(keys[row] for row in rows),
            arrays={name: values[rows] for name, values in shard.arrays.items()},
            failures=(),
        )


def _quarantined(
    manifest: Manifest, failures: Mapping[str, Failure], there: NDArray[np.bool_]
) -> tuple[Quarantined, ...]:
    """The images that have no features, and why: those of the manifest, and of its rows those that are not there."""
    bad = list(manifest.quarantined)
    for place in np.flatnonzero(~there).tolist():
        row = manifest.rows[place]
        failure = failures.get(row.content_sha256)
        if failure is not None:
            bad.append(Quarantined(path=row.path, stage=failure.stage, reason=failure.reason))
    return tuple(sorted(bad, key=lambda one: one.path))
