"""From image files to committed shards of features: each image is prepared once for all networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.engine import Engine, EngineFactory
from cxrfeat.backbone.network import Network
from cxrfeat.errors import BadImageError, InputError
from cxrfeat.feature.plan import Plan
from cxrfeat.feature.shard import FEATURES, Failure, Shard, row_crc32
from cxrfeat.feature.work import Work
from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.image.decode import decoders
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Features, Progress, Views
from cxrfeat.view.draw import draw_views, to_array
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted
from cxrfeat.view.stream import Outcome, stream

Outcomes = Mapping[str, Outcome]
"""What became of a shard's images, by content hash."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One network's share of a call: what it has to compute, and how far it is."""

    network: Network
    spec: FeatureSpec
    make_engine: EngineFactory
    """Loads the network, when the first of its shards needs it."""
    work: Work
    plan: Plan
    missing: list[int]
    computed: set[str]
    """Content hashes computed in this run."""
    seconds: float = 0.0
    """Computing and committing, loading apart."""
    engine: Engine | None = None


def compute(
    jobs: Sequence[Job],
    paths: Mapping[str, Path],
    progress: Progress | None = None,
    *,
    masks: Masks = NO_MASKS,
) -> None:
    """Compute and commit the missing shards of jobs that share one list of images.

    Args:
        jobs: With plans over the same contents in the same shards.
        paths: A file for each content hash.
        progress: Told after every batch.
        masks: The mask files of the images that have one, by content hash.
    """
    indices = sorted({index for job in jobs for index in job.missing})
    shards = [jobs[0].plan.shard(index) for index in indices]
    wanted = Wanted(views=tuple({job.spec.view for job in jobs}), look=True)
    files = (ImageFile(path=paths[sha], content_sha256=sha, mask=masks.get(sha)) for shard in shards for sha in shard)
    lacking = [set(job.missing) for job in jobs]
    tells = [_teller(job, progress) for job in jobs]
    start = time.perf_counter()
    # A shard ahead: its images are prepared while the networks are busy with the one before it.
    with _Committer() as committer, stream(files, wanted, ahead=jobs[0].plan.shard_images) as images:
        for index, shard in zip(indices, shards, strict=True):
            all_views = dict(zip(shard, images.take(len(shard)), strict=True))
            for job, missing, tell in zip(jobs, lacking, tells, strict=True):
                if index not in missing:
                    continue
                prepared = _of_spec(all_views, job.spec.view)
                loading = 0.0
                if job.engine is None and any(isinstance(one, Prepared) for one in prepared.values()):
                    loading = _load(job, progress)
                features = _features(job, prepared, tell)
                committer.put(job, index, prepared, features)
                now = time.perf_counter()
                job.seconds += now - start - loading
                start = now
    for job in jobs:  # the last commits
        job.seconds += (time.perf_counter() - start) / len(jobs)


def _load(job: Job, progress: Progress | None) -> float:
    """Load a job's network; the seconds it took."""
    began = time.perf_counter()
    if progress:
        progress(f"loading {job.network.name}", 0, 1)
    job.engine = job.make_engine(job.network, job.spec, job.plan.settings.batch, job.plan.settings.threads)
    if progress:
        progress(f"loading {job.network.name}", 1, 1)
    return time.perf_counter() - began


def _teller(job: Job, progress: Progress | None) -> Callable[[int], None]:
    total = sum(len(job.plan.shard(index)) for index in job.missing) * job.spec.view.count
    done = 0

    def tell(views: int) -> None:
        nonlocal done
        done += views
        if progress:
            progress(job.network.name, done, total)

    return tell


class _Committer:
    """Writes shards behind the networks' back, one at a time and at most one ahead, so that memory stays bounded."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True)
        if error is None and self._last is not None:
            self._last.result()

    def put(self, job: Job, index: int, prepared: Outcomes, features: NDArray[Any]) -> None:
        """Commit a shard soon; raises what the one before it met."""
        if self._last is not None:
            self._last.result()
        self._last = self._pool.submit(self._commit, job, index, prepared, features)

    @staticmethod
    def _commit(job: Job, index: int, prepared: Outcomes, features: NDArray[Any]) -> None:
        shard = _shard(job, prepared, features)
        job.work.commit(job.plan, index, shard)
        job.computed.update(shard.content_sha256)


def _of_spec(prepared: Outcomes, spec: ViewSpec) -> Outcomes:
    """What became of the images for one spec: some may have no views of it alone."""
    return {sha: one.failures.get(spec, one) if isinstance(one, Prepared) else one for sha, one in prepared.items()}


def _features(job: Job, prepared: Outcomes, tell: Callable[[int], None]) -> NDArray[Any]:
    """Features of a shard's usable images, `(n, views, dim)` as they are stored."""
    view = job.spec.view
    good = [one.views[view] for one in prepared.values() if isinstance(one, Prepared)]
    if good:
        assert job.engine is not None  # made by the caller for the first good image
        computed = _run(job.engine, np.concatenate(good), tell).reshape(len(good), view.count, job.engine.dim)
        features = _stored(computed, job)
    else:
        features = np.empty((0, view.count, 0), dtype=job.spec.storage)
    tell((len(prepared) - len(good)) * view.count)
    return features


def _shard(job: Job, prepared: Outcomes, features: NDArray[Any]) -> Shard:
    view = job.spec.view
    good = {sha: one for sha, one in prepared.items() if isinstance(one, Prepared)}
    bad = {sha: one for sha, one in prepared.items() if isinstance(one, BadImageError)}
    params = [to_array(draw_views(view, sha)) for sha in good]
    looks = [one.look for one in good.values() if one.look is not None]
    return Shard(
        content_sha256=tuple(good),
        arrays={
            FEATURES: features,
            "crc32": row_crc32(features),
            "view_params": np.array(params, dtype=np.float64).reshape(len(good), view.count, 3),
            "mean_grey": np.array([one.mean_grey for one in looks], dtype=np.float32),
            "black_border": np.array([one.black_border for one in looks], dtype=np.float32),
            "thumbnail": np.array([one.thumbnail for one in looks], dtype=np.uint8).reshape(len(good), 8, 8),
            "portrait": np.array([one.portrait for one in looks], np.uint8).reshape(len(good), PORTRAIT, PORTRAIT),
            "pixel_digest": np.array([one.pixel_digest for one in looks], dtype=np.uint64),
        },
        engine=job.plan.settings.engine,
        decoders=decoders(),
        failures=tuple(
            Failure(content_sha256=sha, stage=error.stage, reason=error.reason) for sha, error in bad.items()
        ),
    )


def _stored(computed: NDArray[np.float32], job: Job) -> NDArray[Any]:
    """Features in the type they are stored in.

    Raises:
        InputError: If they are not finite, which no head could use.
    """
    with np.errstate(over="ignore"):
        features = computed.astype(job.spec.storage, copy=False)
    if not np.isfinite(computed).all():
        raise InputError(
            f"{job.network.name} gives NaN or infinity for some images, so its features are of no use. "
            "Check its weights, and that `preprocess` and `normalize` are those it was trained with."
        )
    if not np.isfinite(features).all():
        raise InputError(
            f"{job.network.name} gives features up to {np.abs(computed).max():.3g}, and float16 ends at 65504. "
            "Extract them as float32."
        )
    return features


def _run(engine: Engine, pixels: Views, tell: Callable[[int], None]) -> Features:
    parts = []
    for start in range(0, len(pixels), engine.batch):
        part = engine.run(pixels[start : start + engine.batch])
        parts.append(part)
        tell(len(part))
    return np.concatenate(parts)
