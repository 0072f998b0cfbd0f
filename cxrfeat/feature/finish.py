"""The end of an extraction: committed rows become the feature file, and rows that it leaves out are kept next to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from cxrfeat.errors import InputError
from cxrfeat.feature.claim import Claim
from cxrfeat.feature.committed import FROM_PIXELS, Committed, ComputedRows, unreadable
from cxrfeat.feature.compute import Job
from cxrfeat.feature.content import content_of
from cxrfeat.feature.decoded import AND
from cxrfeat.feature.extracted import Dropped, Extracted
from cxrfeat.feature.file import FeatureFile
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
    told: Mapping[str, str],
) -> Extracted:
    """Build a feature file from committed rows, once all of them are there, and clear what it was built from.

    Args:
        request: The file that is wanted.
        job: What this run computed of it.
        committed: The rows.
        claim: The data set.
        groups: Groups of its images.
        identity: Salts the ids.
        told: The path of each image id, those of before too.

    Raises:
        InputError: If no image can be used.
        StorageError: If the disk refuses, or computed rows cannot be read back.
        IntegrityError: If a committed file is damaged.
    """
    path, manifest = committed.path, claim.manifest
    failures = committed.failures
    contents = {row.content_sha256 for row in manifest.rows}
    computed = ComputedRows(committed, contents)
    rows = [index for index, row in enumerate(manifest.rows) if row.content_sha256 in computed.where]
    quarantined = _quarantined(manifest, failures, computed)
    known = computed.where.keys() | failures.keys()
    if lost := sum(row.content_sha256 not in known for row in manifest.rows):
        raise unreadable(committed, lost, len(manifest.rows))
    own, spare = committed.own, committed.spare
    dropped = Dropped() if own is None else _dropped(own, manifest, told)
    spare.keep(_unwanted(committed, contents))
    if not rows:
        committed.work.clear()  # what failed now is tried again next time
        first = "; ".join(f"{one.path}: {one.reason}" for one in quarantined[:3])
        raise InputError(f"None of the {len(manifest.rows)} images can be used ({first}). Check the files.")
    kept = [manifest.rows[index].content_sha256 for index in rows]
    content = content_of(request, manifest, rows, groups, identity, computed, quarantined)
    computed.forget_columns()
    give_back()
    if own is not None and own.content.same(content):
        content = own.content  # nothing to change: the file stays as it is
    else:
        write_features(path, content, computed.dim, computed.features(kept))
    tell(dropped.notes(path))
    committed.work.clear()
    spare.forget(set(kept))
    fresh = sum(sha in job.computed for sha in kept)
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
        views_per_second=round(len(job.computed) * views / job.seconds, 2) if job.computed and job.seconds else 0.0,
        engine=content.engine,
        random=request.network.random,
        mixed=", ".join(f"{name} {told}" for name, told in computed.decoders.items() if AND in told),
        dataset=manifest.dataset,
        dropped=dropped,
        workers=job.workers if fresh else "",
        rows_kept=len(spare.contents - contents),
    )


def _dropped(file: FeatureFile, manifest: Manifest, told: Mapping[str, str]) -> Dropped:
    """What a file had that is not among the images any more.

    Args:
        file: As it stands.
        manifest: The images.
        told: The path of each image id.
    """
    contents, places = {row.content_sha256 for row in manifest.rows}, {row.path for row in manifest.rows}
    rows = list(zip(file.image_ids, file.content_sha256, file.labels.tolist(), strict=True))
    lost = [told.get(image) for image, sha, _ in rows if sha not in contents]
    left, there = {label for _, sha, label in rows if sha in contents}, set(manifest.classes)
    return Dropped(
        images=len(lost),
        gone=sum(place is None or not (manifest.root / place).exists() for place in lost),
        changed=sum(place in places for place in lost),
        classes=tuple(name for label, name in enumerate(file.classes) if label not in left and name not in there),
    )


def _unwanted(committed: Committed, contents: set[str]) -> Iterator[Shard]:
    """The rows that the file and the shards hold and the new file will not: of images that may come back."""
    file, spare = committed.own, committed.spare
    if file is not None:
        shas = file.content_sha256
        for part, stored in file.checked_blocks() if not contents >= set(shas) else ():
            arrays = {name: file.content.columns[name][part] for name in FROM_PIXELS} | {FEATURES: stored}
            told = {name: file.content.versions[name] for name in decoders() if name in file.content.versions}
            whole = Shard(content_sha256=tuple(shas[part]), arrays=arrays, engine=file.content.engine, decoders=told)
            yield from _apart(whole, spare, contents)
    for path, note in committed.work.shards().items():
        if not contents.issuperset(note.content_sha256) and (shard := read_shard(path)) is not None:
            yield from _apart(shard, spare, contents)


def _apart(shard: Shard, spare: Spare, contents: set[str]) -> Iterator[Shard]:
    keys, kept = shard.content_sha256, spare.contents | contents
    rows = [row for row, sha in enumerate(keys) if sha not in kept and sha not in keys[:row]]
    if rows:
        yield replace(
            shard,
            content_sha256=tuple(keys[row] for row in rows),
            arrays={name: values[rows] for name, values in shard.arrays.items()},
            failures=(),
        )


def _quarantined(manifest: Manifest, failures: dict[str, Failure], computed: ComputedRows) -> tuple[Quarantined, ...]:
    bad = list(manifest.quarantined)
    for row in manifest.rows:
        failure = failures.get(row.content_sha256)
        if failure is not None and row.content_sha256 not in computed.where:
            bad.append(Quarantined(path=row.path, stage=failure.stage, reason=failure.reason))
    return tuple(sorted(bad, key=lambda one: one.path))
