"""Missing shards computed by workers on a cluster or on the devices of this machine, and committed here.

A worker is given one shard at a time and sends back the bytes that would lie on disk, which say by their digest whether
they arrived whole. So the workers need the images and the network, and nothing of the features folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cxrfeat.backbone.choose import draws, find_engine
from cxrfeat.backbone.engine import Engine, EngineFactory
from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.feature.beside import Told
from cxrfeat.feature.compute import Job, compute
from cxrfeat.feature.keys import Keys, column
from cxrfeat.feature.plan import Plan, Settings
from cxrfeat.feature.shard import Shard, shard_bytes, shard_of
from cxrfeat.image.mask import NO_MASKS, MaskFile, Masks
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.team import Lost, Place, Team
from cxrfeat.types import Progress

_SHOWN = 5
"""Images that a message names of a shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """What a worker loads."""

    network: Network
    spec: FeatureSpec
    settings: Settings
    make_engine: EngineFactory | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """One shard to be computed."""

    index: int
    paths: dict[str, Path]
    masks: dict[str, MaskFile]
    networks: tuple[int, ...]
    """By number: those that lack it."""


def compute_by_workers(
    jobs: Sequence[Job],
    paths: Mapping[str, Path],
    place: Place,
    make_engine: EngineFactory | None,
    progress: Progress | None = None,
    *,
    masks: Masks = NO_MASKS,
    looked: Callable[[Mapping[str, Told]], None] | None = None,
) -> None:
    """As `compute`, by workers.

    Args:
        jobs: With plans over the same contents in the same shards.
        paths: A file for each content hash, the same on every machine of a cluster.
        place: Where the workers are, entered.
        make_engine: As in `Computing`.
        progress: Called after every shard.
        masks: As in `compute`.
        looked: As in `compute`.

    Raises:
        InputError: If no worker gets ready, or shards had to be set aside; what is committed is kept.
    """
    _Dispatch(jobs, paths, masks, progress, looked).run(place, make_engine)


class _Dispatch:
    """Shards on their way to workers and back."""

    def __init__(
        self,
        jobs: Sequence[Job],
        paths: Mapping[str, Path],
        masks: Masks,
        progress: Progress | None,
        looked: Callable[[Mapping[str, Told]], None] | None,
    ) -> None:
        self._jobs, self._progress, self._looked = jobs, progress, looked
        self._paths = paths
        self._parcels = [self._parcel(index, masks) for index in sorted({one for job in jobs for one in job.missing})]
        self._done = [0] * len(jobs)
        self._aside: list[tuple[_Parcel, str]] = []
        self._began: float | None = None

    def _parcel(self, index: int, masks: Masks) -> _Parcel:
        shas = self._jobs[0].plan.shard(index)
        lacking = tuple(number for number, job in enumerate(self._jobs) if index in job.missing)
        return _Parcel(
            index=index,
            paths={sha: self._paths[sha].absolute() for sha in shas},
            masks={sha: masks[sha] for sha in shas if sha in masks},
            networks=lacking,
        )

    def run(self, place: Place, make_engine: EngineFactory | None) -> None:
        """Have all of them computed.

        Raises:
            InputError: If some had to be set aside.
        """
        networks = tuple(
            _Network(network=job.network, spec=job.spec, settings=job.plan.settings, make_engine=make_engine)
            for job in self._jobs
        )
        for job in self._jobs:
            job.workers = place.described
            if self._progress:
                self._progress(f"loading {job.network.name}", 0, 1)
        team: Team[_Parcel, list[bytes]] = Team(place, partial(_start, networks))
        with team:
            for number, made in team.each(self._parcels, ready=self._ready):
                if isinstance(made, Lost):
                    self._aside.append((self._parcels[number], made.why))
                else:
                    self._keep(self._parcels[number], made)
        if self._began is not None:
            for job in self._jobs:
                job.seconds += (time.perf_counter() - self._began) / len(self._jobs)
        if self._aside:
            raise InputError(self._what_is_aside())

    def _ready(self) -> None:
        if self._began is None:
            self._began = time.perf_counter()
            for job in self._jobs:
                if self._progress:
                    self._progress(f"loading {job.network.name}", 1, 1)

    def _keep(self, parcel: _Parcel, made: Sequence[bytes]) -> None:
        told: dict[str, Told] = dict.fromkeys(parcel.paths)
        for number, content in zip(parcel.networks, made, strict=True):
            job, shard = self._jobs[number], shard_of(content)
            assert shard is not None, "a worker sent something else than a shard"
            job.work.commit(job.plan, parcel.index, shard)
            job.computed.append(column(shard.content_sha256))
            portraits, digests = shard.arrays["portrait"], shard.arrays["pixel_digest"].tolist()
            told |= dict(zip(shard.content_sha256, zip(portraits, digests, strict=True), strict=True))
            self._done[number] += len(parcel.paths)
            if self._progress:
                views = job.spec.view.count
                total = sum(len(job.plan.shard(index)) for index in job.missing)
                self._progress(job.network.name, self._done[number] * views, total * views)
        if self._looked:
            self._looked(told)

    def _what_is_aside(self) -> str:
        images = [path for parcel, _ in self._aside for path in parcel.paths.values()]
        shown = ", ".join(repr(str(path)) for path in images[:_SHOWN])
        more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
        count = len(self._aside)
        return (
            f"{count} shard{'s' * (count > 1)} of {len(images)} images failed each time, the last time with: "
            f"{self._aside[-1][1]}. The file is not built; the others are kept. The images: {shown}{more}. Take those "
            "out that cannot be used, or repair the machines, then run the same command again."
        )


def _start(networks: Sequence[_Network]) -> Callable[[_Parcel], list[bytes]]:
    """In a worker: load the networks."""
    return _Computer(networks)


class _Computer:
    """In a worker: computes one shard after the other with networks that stay loaded."""

    def __init__(self, networks: Sequence[_Network]) -> None:
        self._networks = networks
        self._engines = [_load(one) for one in networks]

    def __call__(self, parcel: _Parcel) -> list[bytes]:
        """The shard of each network that lacks it."""
        kept: list[_Kept] = []
        jobs = []
        for number in parcel.networks:
            one = self._networks[number]
            kept.append(_Kept())
            job = Job(
                network=one.network,
                spec=one.spec,
                make_engine=_given(self._engines[number]),
                work=kept[-1],
                plan=Plan(settings=one.settings, todo=Keys(parcel.paths), shard_images=len(parcel.paths)),
                missing=[0],
                computed=[],
                draws=one.make_engine is None and draws(one.settings.engine),
            )
            jobs.append(job)
        compute(jobs, parcel.paths, masks=parcel.masks)
        return [shard_bytes(one.shard) for one in kept]


class _Kept:
    """Where a worker's shard goes: nowhere yet."""

    shard: Shard

    def commit(self, plan: Plan, index: int, shard: Shard) -> None:
        """Keep it."""
        del plan, index
        self.shard = shard


def _load(one: _Network) -> Engine:
    make_engine = one.make_engine or find_engine(one.settings.engine)
    from cxrfeat.system.process import threads

    return make_engine(one.network, one.spec, one.settings.batch, threads())


def _given(engine: Engine) -> EngineFactory:
    return lambda *_: engine
