"""Stage one: run each network exactly once over the views of every image, and build the feature files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import EngineFactory
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import InputError, IntegrityError, StorageError
from cxrfeat.feature.claim import Claim, claim_name, record
from cxrfeat.feature.compute import Job, compute
from cxrfeat.feature.decoded import AND, earlier, joined, unchanged
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import CODED, COLUMNS, PARTS, Content, code
from cxrfeat.feature.plan import Settings
from cxrfeat.feature.shard import FEATURES, LOOKS, Failure, Shard
from cxrfeat.feature.spare import Spare
from cxrfeat.feature.split import Split
from cxrfeat.feature.store import write_features
from cxrfeat.feature.versions import versions
from cxrfeat.feature.work import Work
from cxrfeat.image.decode import decoders
from cxrfeat.image.group import group, group_copies, group_keys
from cxrfeat.image.identity import Identity
from cxrfeat.image.mask import NO_MASKS, Masks, masks_digest
from cxrfeat.image.note import Note, tell
from cxrfeat.image.note import number as counted
from cxrfeat.image.row import ImageRow, Manifest, Quarantined
from cxrfeat.image.split import NO_PART
from cxrfeat.spec import FeatureSpec, fingerprint
from cxrfeat.system.files import check_writable, storing
from cxrfeat.system.process import threads
from cxrfeat.types import Groups, Part, Progress

FROM_PIXELS = ("view_params", "crc32", *LOOKS)
"""Columns that come with the features, not from the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One feature file that is wanted."""

    network: Network
    spec: FeatureSpec
    bound_split: Split | None = None
    """Of the manifest's images, where the spec is bound to a split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Images that a feature file had and has no more; their rows are kept beside it."""

    images: int = 0
    gone: int = 0
    """Not in the data folder any more."""
    changed: int = 0
    """In their place, with other bytes."""
    classes: tuple[str, ...] = ()
    """Those of which no image is left."""

    def notes(self, path: Path) -> list[Note]:
        """What there is to say about it, of the file at `path`."""
        if not self.images:
            return []
        left = self.images - self.gone - self.changed
        whole = f" ({'class' if len(self.classes) == 1 else 'classes'} {', '.join(self.classes)} as a whole)"
        parts = [
            f"{self.gone} {'is' if self.gone == 1 else 'are'} gone" if self.gone else "",
            f"{self.changed} {'has' if self.changed == 1 else 'have'} other bytes now" if self.changed else "",
            f"{left} {'is' if left == 1 else 'are'} not among the chosen" if left else "",
        ]
        said = (
            f"{path.name} had {counted(self.images, 'image')} that it has no more{whole if self.classes else ''}: "
            f"{', '.join(part for part in parts if part)}. Their features are kept in {Spare.folder_of(path).name}, "
            "for when the images come back; delete it if they will not."
        )
        return [Note(text=said)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One feature file that stands, and what it took."""

    backbone: str
    path: Path
    images: int
    views: int
    dim: int
    rows_computed: int
    rows_reused: int
    quarantined: tuple[Quarantined, ...]
    seconds: float
    """Of the extraction itself: start-up apart."""
    views_per_second: float
    engine: str
    random: bool
    """Whether the weights are random, so that scores mean nothing."""
    dataset: str
    """The data set's name in the features folder."""
    dropped: Dropped
    """Images that the file had before this call."""
    rows_kept: int
    """Rows beside the file, of images that are not in it any more."""
    mixed: str = ""
    """The decoders that changed between the runs that the rows are from, such as `pillow 12.3.0 and 13.0.0`."""

    def __fspath__(self) -> str:
        """Its path, so that it can stand where a path can."""
        return str(self.path)

    def to_dict(self) -> dict[str, Any]:
        """The file in plain values, for JSON."""
        return {**asdict(self), "path": str(self.path)}


def feature_path(features: Path, dataset: str, backbone: str, spec: FeatureSpec) -> Path:
    """The place of a feature file, the only function that builds it."""
    return features / f"{dataset}-{backbone}-{fingerprint(spec)[:8]}.h5"


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
    places = [feature_path(features, manifest.dataset, one.network.name, one.spec) for one in requests]
    with ExitStack() as stack:
        tasks = []
        for path in sorted(set(places)):  # one order, so no two runs wait for each other; a network named twice, once
            request = requests[places.index(path)]
            work = stack.enter_context(Work(path))
            files = [stack.enter_context(file) for file in _committed(path, request.spec, manifest.dataset)]
            tasks.append(_Task(request, work, files))
        for task in tasks:
            committed = {sha for keys in task.keys for sha in keys} | task.spare.contents
            todo, network, spec = set(paths) - committed, task.request.network, task.request.spec
            views = len(todo) * spec.view.count
            chosen = engine if make_engine else choose_engine(engine, network, spec, views)
            settings = Settings(engine=chosen, batch=batch or usual_batch(chosen), threads=threads())
            plan = task.work.plan(todo, views=spec.view.count, settings=settings, any_engine=engine == "auto")
            task.job = Job(
                network=network,
                spec=spec,
                make_engine=make_engine or find_engine(plan.settings.engine),
                work=task.work,
                plan=plan,
                missing=task.work.missing(plan),
                computed=set(),
            )
        _check_space(features, tasks, len(manifest.rows), paths)
        for together in _alike([task.job for task in tasks]):
            compute(together, paths, progress, masks=masks)
        groups = _groups(manifest, tasks)
        lines = record(features, claim, groups, identity, _failed(manifest, tasks))
        told = {line.image_id: line.path for line in lines}
        done = {task.work.path: _finish(task, claim, groups, identity, told) for task in tasks}
    return [done[path] for path in places]


class _Task:
    """A request on its way, between taking the lock and building the file."""

    job: Job

    def __init__(self, request: Request, work: Work, files: list[FeatureFile]) -> None:
        self.request = request
        self.work = work
        self.files = files
        self.keys = [_keys(file) for file in files]
        """Of each file, the content hash of each row; empty for a row that would be another today."""
        self.spare = Spare(work.path)


def _keys(file: FeatureFile) -> list[str]:
    return [sha if same else "" for sha, same in zip(file.content_sha256, unchanged(file).tolist(), strict=True)]


def _committed(path: Path, spec: FeatureSpec, dataset: str) -> list[FeatureFile]:
    """Every readable file with features of this description, the wanted one first; any of their `_keys` will do.

    Raises:
        InputError: If something else stands in the place of the wanted one.
        IntegrityError: If that is damaged.
    """
    names = [fingerprint(one) for one in (spec, earlier(spec)) if one is not None]
    files = [FeatureFile(path)] if path.exists() else []
    if files and (files[0].content.dataset, files[0].fingerprint) != (dataset, names[0]):
        files[0].close()
        raise InputError(
            f"{path} would be replaced, and it holds other features: those of the data set "
            f"{files[0].content.dataset!r}. Move it away, or choose another folder with `features`."
        )
    for other in [place for name in names for place in sorted(path.parent.glob(f"*-{name[:8]}.h5"))]:
        if other != path:
            try:
                files.append(FeatureFile(other))
            except (InputError, IntegrityError):
                continue  # another data set's damaged file is no business of this run
    alike = [file for file in files if file.fingerprint in names]
    for file in files:
        if file not in alike:
            file.close()
    return alike


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
        dim = row.dim if row is not None else next((file.dim for file in task.files), 0)
        image_bytes = job.spec.view.count * dim * (2 if job.spec.storage == "float16" else 4)
        shards.append(image_bytes * sum(len(job.plan.shard(index)) for index in job.missing))
        files.append(image_bytes * images if job.plan.todo else 0)
        files[-1] += image_bytes * sum(
            file.path == task.work.path and sha not in contents for file in task.files for sha in file.content_sha256
        )
    needed = max((sum(files[: k + 1]) + sum(shards[k:]) for k in range(len(tasks))), default=0)
    with storing("measure the free space of", folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder} has {free // 2**20} MB free, and this extraction needs {-(-needed // 2**20)} MB. "
            "Free some space, choose another folder with `features`, or take fewer `views`, or numbers of half the "
            "size (float16)."
        )


def _groups(manifest: Manifest, tasks: Sequence[_Task]) -> Groups:
    """Groups with the copies among them that only pixels show: how the images look was learnt with the features."""
    contents = {row.content_sha256 for row in manifest.rows}
    looks: dict[str, tuple[NDArray[np.uint8], np.uint64]] = {}
    for task in tasks:
        if contents <= looks.keys():
            break
        sources = [(keys, file.content.columns) for keys, file in zip(task.keys, task.files, strict=True)]
        shards = chain(task.work.shards(), task.spare.shards(contents))
        for keys, columns in chain(sources, ((shard.content_sha256, shard.arrays) for shard in shards)):
            for row, sha in enumerate(keys):
                if sha in contents:
                    looks.setdefault(sha, (columns["portrait"][row], columns["pixel_digest"][row]))
    if not looks:
        return group(manifest.rows)
    portraits, digests = zip(*looks.values(), strict=True)
    return group_copies(manifest.rows, list(looks), np.stack(portraits), np.array(digests, dtype=np.uint64))


def _failed(manifest: Manifest, tasks: Sequence[_Task]) -> tuple[Quarantined, ...]:
    """Images that one network at least could not be given."""
    failures = {one.content_sha256: one for task in tasks for shard in task.work.shards() for one in shard.failures}
    found = ((row.path, failures.get(row.content_sha256)) for row in manifest.rows)
    return tuple(Quarantined(path=path, stage=one.stage, reason=one.reason) for path, one in found if one is not None)


def _finish(task: _Task, claim: Claim, groups: Groups, identity: Identity, told: Mapping[str, str]) -> Extracted:
    job, request, path, manifest = task.job, task.request, task.work.path, claim.manifest
    failures = {failure.content_sha256: failure for shard in task.work.shards() for failure in shard.failures}
    contents = {row.content_sha256 for row in manifest.rows}
    sources = _Sources(task, contents)
    rows = [index for index, row in enumerate(manifest.rows) if row.content_sha256 in sources.where]
    quarantined = _quarantined(manifest, failures, sources)
    known = sources.where.keys() | failures.keys()
    lost = [row for row in manifest.rows if row.content_sha256 not in known]
    if lost:  # never a file without rows that nobody was told of
        raise StorageError(
            f"{len(lost)} of the {len(manifest.rows)} computed rows cannot be read back from {task.work.folder}, so "
            f"{path} was not built. Check the disk, then run the same command again: what is missing is computed again."
        )
    own = next((file for file in task.files if file.path == path), None)
    dropped = Dropped() if own is None else _dropped(own, manifest, told)
    task.spare.keep(_unwanted(own, task, contents))
    if not rows:
        task.work.clear()  # what failed now is tried again next time
        first = "; ".join(f"{one.path}: {one.reason}" for one in quarantined[:3])
        raise InputError(f"None of the {len(manifest.rows)} images can be used ({first}). Check the files.")
    content = _content(request, manifest, rows, groups, identity, sources, quarantined)
    dim = sources.dim
    if own is not None and own.content.same(content):
        content = own.content  # nothing to change: the file stays as it is
    else:
        write_features(path, content, dim, sources.rows([manifest.rows[index].content_sha256 for index in rows]))
    tell(dropped.notes(path))
    task.work.clear()
    task.spare.forget({manifest.rows[index].content_sha256 for index in rows})
    computed = sum(manifest.rows[index].content_sha256 in job.computed for index in rows)
    views = request.spec.view.count
    return Extracted(
        backbone=request.network.name,
        path=path,
        images=len(rows),
        views=views,
        dim=dim,
        rows_computed=computed,
        rows_reused=len(rows) - computed,
        quarantined=quarantined,
        seconds=round(job.seconds, 3),
        views_per_second=round(len(job.computed) * views / job.seconds, 2) if job.computed and job.seconds else 0.0,
        engine=content.engine,
        random=request.network.random,
        mixed=", ".join(f"{name} {told}" for name, told in sources.decoders.items() if AND in told),
        dataset=manifest.dataset,
        dropped=dropped,
        rows_kept=len(task.spare.contents - contents),
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


def _unwanted(file: FeatureFile | None, task: _Task, contents: set[str]) -> Iterator[Shard]:
    """The rows that the file and the shards hold and the new file will not: of images that may come back."""
    if file is not None:
        shas = file.content_sha256
        for part, stored in file.checked_blocks() if not contents >= set(shas) else ():
            arrays = {name: file.content.columns[name][part] for name in FROM_PIXELS} | {FEATURES: stored}
            told = {name: file.content.versions[name] for name in decoders() if name in file.content.versions}
            whole = Shard(content_sha256=tuple(shas[part]), arrays=arrays, engine=file.content.engine, decoders=told)
            yield from _apart(whole, task.spare, contents)
    for shard in task.work.shards():
        yield from _apart(shard, task.spare, contents)


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


class _Sources:
    """Where the computed rows lie: in committed files, and in shards."""

    def __init__(self, task: _Task, wanted: set[str]) -> None:
        files = self._files = task.files
        self._keys, self._work, self._spare, self._wanted = task.keys, task.work, task.spare, wanted
        self.where: dict[str, tuple[int, int]] = {}
        """Content hash to (place among the sources, row there); the first that has it."""
        self.dim = next((file.dim for file in files), 0)
        self._offset = len(files)
        for number, keys, arrays in self._each():
            for row, sha in enumerate(keys):
                if sha:
                    self.where.setdefault(sha, (number, row))
            if FEATURES in arrays and len(keys):
                self.dim = arrays[FEATURES].shape[2]
        used = {number for number, _ in self.where.values()}
        told = [(one.content.engine, one.content.versions) for number, one in enumerate(files) if number in used]
        told += [(shard.engine, shard.decoders) for shard in self._shards() if shard.content_sha256]
        engines = {name for engine, _ in told for name in engine.split(AND)}
        self.engine = AND.join(sorted(engines))
        """What computed the rows; more than one where engines changed between runs."""
        self.decoders = joined({name: one[name] for name in decoders() if name in one} for _, one in told)
        """Versions of what decoded the images of the rows, likewise."""

    def _shards(self) -> Iterator[Shard]:
        yield from self._work.shards()
        yield from self._spare.shards(self._wanted)

    def columns(self, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The columns that come from pixels, for the wanted contents in their order."""
        places = _places(wanted)
        columns: dict[str, NDArray[Any]] = {}
        for number, keys, arrays in self._each():
            for row, sha in enumerate(keys):
                if sha in places and self.where[sha] == (number, row):
                    for name in FROM_PIXELS:
                        if name not in columns:
                            columns[name] = np.zeros((len(wanted), *arrays[name].shape[1:]), COLUMNS[name][0])
                        columns[name][places[sha]] = arrays[name][row]
        return columns

    def rows(self, wanted: Sequence[str]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """The features of the wanted contents, source by source."""
        places = _places(wanted)
        for number, (file, keys) in enumerate(zip(self._files, self._keys, strict=True)):
            for part, stored in file.checked_blocks():
                yield from self._chosen(number, part.start, keys[part], stored, places)
        for number, shard in enumerate(self._shards(), self._offset):
            yield from self._chosen(number, 0, shard.content_sha256, shard.arrays[FEATURES], places)

    def _chosen(
        self, number: int, offset: int, keys: Sequence[str], stored: NDArray[Any], places: dict[str, list[int]]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        to, rows = [], []
        for row, sha in enumerate(keys):
            if sha in places and self.where[sha] == (number, offset + row):
                to += places[sha]
                rows += [row] * len(places[sha])
        if to:
            yield np.array(to, dtype=np.intp), stored[rows]

    def _each(self) -> Iterator[tuple[int, Sequence[str], dict[str, NDArray[Any]]]]:
        for number, (file, keys) in enumerate(zip(self._files, self._keys, strict=True)):
            yield number, keys, file.content.columns
        for number, shard in enumerate(self._shards(), self._offset):
            yield number, shard.content_sha256, shard.arrays


def _places(wanted: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, sha in enumerate(wanted):
        places.setdefault(sha, []).append(place)
    return places


def _quarantined(manifest: Manifest, failures: dict[str, Failure], sources: _Sources) -> tuple[Quarantined, ...]:
    bad = list(manifest.quarantined)
    for row in manifest.rows:
        failure = failures.get(row.content_sha256)
        if failure is not None and row.content_sha256 not in sources.where:
            bad.append(Quarantined(path=row.path, stage=failure.stage, reason=failure.reason))
    return tuple(sorted(bad, key=lambda one: one.path))


def _content(
    request: Request,
    manifest: Manifest,
    rows: Sequence[int],
    groups: Groups,
    identity: Identity,
    sources: _Sources,
    quarantined: Sequence[Quarantined],
) -> Content:
    kept: list[ImageRow] = [manifest.rows[index] for index in rows]
    keys = group_keys(manifest.rows, groups)
    texts: dict[str, Callable[[ImageRow], str | None]] = {
        "source": lambda row: row.source,
        "sex": lambda row: row.sex,
        "view_position": lambda row: row.view_position,
        "container/format": lambda row: row.header.format,
        "container/suffix": lambda row: row.header.suffix,
        "container/mode": lambda row: row.header.mode,
        "container/jpeg_tables": lambda row: row.header.jpeg_tables or None,
    }
    coded = {name: code([texts[name](row) for row in kept]) for name in CODED}
    split = request.bound_split
    bound = [-1] * len(rows) if split is None else [_part(split.parts[index]) for index in rows]
    plain: dict[str, Sequence[Any]] = {
        "image_id": [identity.image_id(row.path, row.content_sha256).encode() for row in kept],
        "content_sha256": [row.content_sha256.encode() for row in kept],
        "label": [manifest.classes.index(row.label) for row in kept],
        "group": [identity.group_id(keys[groups[index]]).encode() for index in rows],
        "known_patient": [row.patient is not None for row in kept],
        "split": [-1 if row.split is None else _part(row.split) for row in kept],
        "bound_split": bound,
        "date": [(row.date or "").encode() for row in kept],
        "age": [np.nan if row.age is None else row.age for row in kept],
        "container/width": [row.header.width for row in kept],
        "container/height": [row.header.height for row in kept],
        "container/bits": [row.header.bits for row in kept],
        "container/file_bytes": [row.header.file_bytes for row in kept],
    }
    columns = sources.columns([row.content_sha256 for row in kept])
    columns |= {name: np.array(values, dtype=COLUMNS[name][0]) for name, values in plain.items()}
    columns |= {name: numbers for name, (numbers, _) in coded.items()}
    return Content(
        spec=request.spec,
        backbone=request.network.name,
        dataset=manifest.dataset,
        classes=manifest.classes,
        columns=columns,
        values={name: values for name, (_, values) in coded.items()},
        quarantine=[
            {"image_id": identity.image_id(one.path), "stage": one.stage, "reason": one.reason} for one in quarantined
        ],
        engine=sources.engine,
        versions=versions() | sources.decoders,
    )


def _part(name: str) -> int:
    return -1 if name == NO_PART else PARTS.index(Part(name))
