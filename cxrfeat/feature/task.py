"""One feature file on its way: what there is of it, what is to be computed, and whether there is room for it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cxrfeat.backbone.choose import choose_engine, draws, find_engine, tell_batch, usual_batch
from cxrfeat.backbone.engine import GPU_BATCH, EngineFactory
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import StorageError, UsageError
from cxrfeat.feature.committed import Committed, find_files
from cxrfeat.feature.compute import Job
from cxrfeat.feature.keys import Keys
from cxrfeat.feature.plan import SHARD_VIEWS, Settings, Share, shard_views
from cxrfeat.feature.request import Request
from cxrfeat.feature.work import Work
from cxrfeat.system.choice import chose
from cxrfeat.system.cluster import Cluster, ClusterSpec
from cxrfeat.system.devices import Devices
from cxrfeat.system.files import storing
from cxrfeat.system.process import threads

SHARD_BATCHES = 8
"""Batches of a shard at most where workers have GPUs: of one alone, nothing is prepared while another is computed."""


@dataclass(frozen=True, slots=True)
class Computing:
    """Who computes, as far as the caller says it."""

    engine: str = "auto"
    """`auto`, `keras`, `openvino` or `onnx`."""
    make_engine: EngineFactory | None = None
    """Makes the engine in place of the one of that name; for tests."""
    batch: int | None = None
    """Views per batch; `None` is the engine's own."""
    cluster: ClusterSpec | None = None
    """Whose workers compute; `None` is this process."""
    devices: tuple[str, ...] = ()
    """Of this machine, as `find_devices` gives them: each has a worker that computes. None of them is this process."""

    @property
    def gpus(self) -> bool:
        """Whether workers have GPUs, of which this process need not know."""
        return bool(self.devices) or (self.cluster is not None and self.cluster.gpus_per_worker > 0)

    @property
    def meant(self) -> str:
        """The engine as asked for; that of GPUs, where workers have some and nobody asks for another."""
        return "keras" if self.gpus and self.engine == "auto" else self.engine

    def place(self) -> Cluster | Devices | None:
        """Where there are workers that compute, to be entered; `None` where this process does."""
        if self.devices:
            return Devices(self.devices)
        return None if self.cluster is None else Cluster(self.cluster)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A request on its way, between taking the lock and building the file."""

    request: Request
    committed: Committed
    job: Job


def begin(
    work: Work,
    request: Request,
    dataset: str,
    contents: Keys,
    computing: Computing,
    stack: ExitStack,
    share: Share | None = None,
) -> Task:
    """Find out what there is of a file, and plan what there is not.

    Args:
        work: The file's, held.
        request: The file that is wanted.
        dataset: The data set's name in the features folder.
        contents: Content hashes of all images.
        computing: Who computes.
        stack: Holds the files that are opened.
        share: Of the plan, where others take the rest of it.

    Raises:
        InputError: If something else stands in the file's place.
        IntegrityError: If that is damaged.
    """
    network, spec = request.network, request.spec
    files = [stack.enter_context(file) for file in find_files(work.path, spec, dataset)]
    committed = Committed(work, files)
    todo = contents - committed.contents
    engine, make_engine = computing.engine, computing.make_engine
    chosen = engine if make_engine else _engine(computing, request, len(todo))
    settings = Settings(
        engine=chosen,
        batch=computing.batch or (GPU_BATCH if computing.gpus else usual_batch(chosen)),
        threads=threads(),
        shard_views=_shard_views(computing, len(todo) * spec.view.count),
    )
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
        missing=work.missing(plan, share),
        computed=[],
        draws=make_engine is None and computing.place() is None and draws(plan.settings.engine),
    )
    return Task(request=request, committed=committed, job=job)


def _engine(computing: Computing, request: Request, images: int) -> str:
    """The engine; where workers have GPUs, this process does not ask for any, nor take memory of them."""
    if computing.gpus and computing.meant == "keras" and not request.network.onnx:
        chose(f"{request.network.name} is run by the engine keras: the workers have GPUs.")
        return "keras"
    if computing.devices and computing.engine == "openvino":
        raise UsageError("`engine=openvino` computes on the cores, and `devices` are GPUs: omit one of them.")
    return choose_engine(computing.engine, request.network, request.spec, images * request.spec.view.count)


def _shard_views(computing: Computing, views: int) -> int:
    """Views per shard; 0 is the usual number, for this process."""
    if computing.cluster is None and not computing.devices:
        return 0
    workers = len(computing.devices) or (computing.cluster and computing.cluster.workers) or threads()
    return shard_views(views, workers, SHARD_BATCHES * GPU_BATCH if computing.gpus else SHARD_VIEWS)


def alike(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs over the same shards belong together, so that each image is decoded once for all of them."""
    together: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        if job.missing:
            together.setdefault((job.plan.todo, job.plan.shard_images), []).append(job)
    return list(together.values())


def check_room(folder: Path, tasks: Sequence[Task], images: int, contents: Keys) -> None:
    """Refuse before hours of work what cannot fit.

    The files are built one after the other, each from its shards, which are deleted once it stands. How long the rows
    of a network of the user's own are is known only once there is a file of it.

    Args:
        folder: Of the features.
        tasks: The files that are wanted.
        images: Rows of each, once it stands; 0 where only shards are written.
        contents: Content hashes of the images.

    Raises:
        StorageError: If it does not.
    """
    shards, files = [], []
    for task in tasks:
        job = task.job
        row = TABLE.get(job.network.backbone)
        dim = row.dim if row is not None else next((file.dim for file in task.committed.files), 0)
        image_bytes = job.spec.view.count * dim * (2 if job.spec.storage == "float16" else 4)
        shards.append(image_bytes * sum(job.plan.images(index) for index in job.missing))
        files.append(image_bytes * images if job.plan.todo else 0)
        own = task.committed.own
        if images:
            gone = 0 if own is None else int((contents.places(own.content.columns["content_sha256"]) < 0).sum())
            files[-1] += image_bytes * gone
    needed = max((sum(files[: k + 1]) + sum(shards[k:]) for k in range(len(tasks))), default=0)
    with storing("measure the free space of", folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder} has {free // 2**20} MB free, and this extraction needs {-(-needed // 2**20)} MB. "
            "Free some space, choose another folder with `features`, or take fewer `views`, or numbers of half the "
            "size (float16)."
        )
