"""From image files to committed shards of features: each image is prepared once for all networks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.engine import Engine, EngineFactory
from cxrfeat.backbone.network import Network
from cxrfeat.errors import BadImageError, InputError
from cxrfeat.feature.beside import Told
from cxrfeat.feature.flow import Flow, Rows
from cxrfeat.feature.keys import Column, Keys, column
from cxrfeat.feature.plan import Plan
from cxrfeat.feature.shard import FEATURES, Failure, Shard, row_crc32
from cxrfeat.image.appearance import PORTRAIT, Look
from cxrfeat.image.decode import decoders
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.process import collecting_later
from cxrfeat.types import Progress
from cxrfeat.view.draw import draw_views, to_array
from cxrfeat.view.prepare import ImageFile, Prepared, Wanted
from cxrfeat.view.stream import Outcome, stream

Outcomes = Mapping[str, Outcome]
"""What became of a shard's images, by content hash."""


class Keeper(Protocol):
    """Where the shards go."""

    def commit(self, plan: Plan, index: int, shard: Shard) -> None:
        """Keep a computed shard."""
        ...


@dataclass(slots=True, kw_only=True)
class Job:
    """One network's share of a call: what it has to compute, and how far it is."""

    network: Network
    spec: FeatureSpec
    make_engine: EngineFactory
    """Loads the network, when the first of its shards needs it."""
    work: Keeper
    plan: Plan
    missing: list[int]
    computed: list[Column]
    """Content hashes computed in this run, shard by shard."""
    draws: bool = False
    """Whether the engine draws views itself, where they come as tables."""
    seconds: float = 0.0
    """Computing and committing, loading apart."""
    engine: Engine | None = None
    workers: str = ""
    """Who prepared the images, such as `2 threads`."""

    @property
    def coming(self) -> Keys:
        """Content hashes of the missing shards."""
        here = np.zeros(self.plan.count, bool)
        here[self.missing] = True
        return self.plan.todo.where(np.repeat(here, self.plan.shard_images)[: len(self.plan.todo)])

    @property
    def images_computed(self) -> int:
        """How many rows were computed in this run."""
        return sum(map(len, self.computed))


def compute(
    jobs: Sequence[Job],
    paths: Mapping[str, Path],
    progress: Progress | None = None,
    *,
    masks: Masks = NO_MASKS,
    looked: Callable[[Mapping[str, Told]], None] | None = None,
) -> None:
    """Compute and commit the missing shards of jobs that share one list of images.

    Args:
        jobs: With plans over the same contents in the same shards.
        paths: A file for each content hash.
        progress: Called after every batch.
        masks: The mask files of the images that have one, by content hash.
        looked: Called with how a shard's images look once they are prepared, while features are on their way; `None` of
            one that no job can use.
    """
    sets = [set(job.missing) for job in jobs]
    indices = sorted(set().union(*sets))
    plan = jobs[0].plan
    undrawn = {job.spec.view for job in jobs if job.draws} - {job.spec.view for job in jobs if not job.draws}
    wanted = Wanted(views=tuple({job.spec.view for job in jobs}), undrawn=tuple(undrawn), look=True)
    shas = (sha for index in indices for sha in plan.shard(index))
    files = (ImageFile(path=paths[sha], content_sha256=sha, mask=masks.get(sha)) for sha in shas)
    # A shard ahead: its images are prepared while the networks are busy with the one before it.
    with ExitStack() as stack:
        committer = stack.enter_context(_Committer())
        count = sum(map(plan.images, indices))
        images = stack.enter_context(stream(files, wanted, ahead=plan.shard_images, images=count))
        each = [_Computing(job, progress, committer, stack) for job in jobs]
        clock = _Clock()
        for job in jobs:
            job.workers = images.workers
        for index in indices:
            shard = plan.shard(index)
            lacking = [one for one, missing in zip(each, sets, strict=True) if index in missing]
            for one in lacking:
                one.open(index, len(shard))
            told: dict[str, Told] = {}
            for sha in shard:
                made = next(images)
                for one in lacking:
                    clock.of(one.job, one.take(sha, made))
                told[sha] = _told(made, [one.job for one in lacking])
            if looked:
                looked(told)
        for one in each:
            one.finish()
            clock.of(one.job)
    for job in jobs:  # the last commits
        job.seconds += clock.passed() / len(jobs)


class _Clock:
    """Shares time among jobs that take turns."""

    def __init__(self) -> None:
        self._before = time.perf_counter()

    def passed(self) -> float:
        before, self._before = self._before, time.perf_counter()
        return self._before - before

    def of(self, job: Job, loading: float = 0.0) -> None:
        """Say that a job has had the time since this was last asked, some of it for loading."""
        job.seconds += self.passed() - loading


@dataclass(slots=True, kw_only=True)
class _Begun:
    """A shard whose images are on their way through the network."""

    index: int
    images: int
    rows: Rows | None = None
    """From the first image that can be used."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Without the views."""

    @property
    def whole(self) -> bool:
        return len(self.outcomes) == self.images and (self.rows is None or self.rows.whole)


class _Computing:
    """A job on its way: its shards are committed in their order, as soon as they are whole."""

    def __init__(self, job: Job, progress: Progress | None, committer: _Committer, stack: ExitStack) -> None:
        self.job, self._progress, self._committer, self._stack = job, progress, committer, stack
        self._tell = _teller(job, progress)
        self._begun: deque[_Begun] = deque()
        self._flow: Flow | None = None

    def open(self, index: int, images: int) -> None:
        """Say that the images of a shard follow."""
        self._begun.append(_Begun(index=index, images=images))

    def take(self, sha: str, made: Outcome) -> float:
        """The next image; gives the seconds that loading the network took, if it is the first that can be used."""
        view, shard, loading = self.job.spec.view, self._begun[-1], 0.0
        one = made.failures.get(view, made) if isinstance(made, Prepared) else made
        if isinstance(one, BadImageError):
            shard.outcomes[sha] = one
            self._tell(view.count)
        else:
            if self._flow is None:
                loading = _load(self.job, self._progress)
                assert self.job.engine is not None  # just loaded
                self._flow = self._stack.enter_context(Flow(self.job.engine, self._tell))
            if shard.rows is None:
                assert self.job.engine is not None  # as above
                shard.rows = Rows(shard.images * view.count, self.job.engine.dim)
            shard.outcomes[sha] = replace(one, views={}, undrawn={})
            self._flow.add(shard.rows, one.undrawn.get(view) or one.views[view])
        self._commit()
        return loading

    def finish(self) -> None:
        """Wait for the last features, and commit what was left."""
        if self._flow is not None:
            self._flow.finish()
        self._commit()
        assert not self._begun, "a shard without its features"

    def _commit(self) -> None:
        while self._begun and self._begun[0].whole:
            shard, view = self._begun.popleft(), self.job.spec.view
            if shard.rows is None:
                features = np.empty((0, view.count, 0), dtype=self.job.spec.storage)
            else:
                computed = shard.rows.features
                features = _stored(computed.reshape(-1, view.count, computed.shape[1]), self.job)
            self._committer.put(self.job, shard.index, shard.outcomes, features)


def _load(job: Job, progress: Progress | None) -> float:
    """Load a job's network; the seconds it took."""
    began = time.perf_counter()
    if progress:
        progress(f"loading {job.network.name}", 0, 1)
    with collecting_later():
        job.engine = job.make_engine(job.network, job.spec, job.plan.settings.batch, job.plan.settings.threads)
    if progress:
        progress(f"loading {job.network.name}", 1, 1)
    return time.perf_counter() - began


def _teller(job: Job, progress: Progress | None) -> Callable[[int], None]:
    total = sum(map(job.plan.images, job.missing)) * job.spec.view.count
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
        job.computed.append(column(shard.content_sha256))


def _told(made: Outcome, jobs: Sequence[Job]) -> Told:
    if isinstance(made, BadImageError) or made.look is None or all(job.spec.view in made.failures for job in jobs):
        return None
    return made.look.portrait, made.look.pixel_digest


def _looks(outcomes: Outcomes) -> dict[str, Look]:
    found = {sha: one.look for sha, one in outcomes.items() if isinstance(one, Prepared)}
    return {sha: look for sha, look in found.items() if look is not None}


def _shard(job: Job, prepared: Outcomes, features: NDArray[Any]) -> Shard:
    view = job.spec.view
    good = {sha: one for sha, one in prepared.items() if isinstance(one, Prepared)}
    bad = {sha: one for sha, one in prepared.items() if isinstance(one, BadImageError)}
    params = [to_array(draw_views(view, sha)) for sha in good]
    looks = list(_looks(prepared).values())
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
