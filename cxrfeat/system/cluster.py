"""Workers on a Ray cluster that keep what they have loaded.

The cluster is one that is there, or one that is started here, on loopback alone, and gone afterwards. Whatever a worker
dies of, another takes its place and its work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from cxrfeat.errors import CxrFeatError, InputError, StorageError, UsageError
from cxrfeat.system.attempt import Attempts
from cxrfeat.system.choice import chose
from cxrfeat.system.joining import first_line, joined, where
from cxrfeat.version import __version__

CORES_EACH = 4
"""Cores of a worker at most, where nobody says how many workers there are; not measured, for want of cores."""

_STARTS = 3
"""Times that as many workers as there are may die before one is ready, until the cluster is given up."""

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Which cluster, and how many workers of which size on it."""

    address: str | None = None
    """`HOST:PORT`, `ray://HOST:PORT`, or `auto` for this machine's; `None` is `$RAY_ADDRESS`, else a new one."""
    workers: int | None = None
    """`None` is one for each GPU if they take any, else one for each four cores."""
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no cluster has."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"`workers` is at least 1; got {self.workers}.")
        if not 0 <= self.gpus_per_worker <= 64:
            raise UsageError(f"`gpus_per_worker` is from 0 to 64, such as 1 or 0.5; got {self.gpus_per_worker}.")


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of a thing that is set aside."""

    why: str


class Cluster(Generic[_T, _R]):
    """A connection to a cluster; use it as a context manager."""

    def __init__(self, spec: ClusterSpec) -> None:
        """Note what is wanted; nothing is connected yet."""
        self._spec = spec
        self._held = ExitStack()
        self.workers = self.cores = 0
        """How many, and the cores of each, once it is entered."""

    @property
    def described(self) -> str:
        """Who works, in words."""
        workers = "worker" if self.workers == 1 else "workers"
        return f"{self.workers} {workers} of {self.cores} {'core' if self.cores == 1 else 'cores'} on a cluster"

    def __enter__(self) -> Self:
        """Connect, or start a cluster.

        Raises:
            MissingExtraError: If Ray is not installed.
            InputError: If the cluster cannot be reached.
            UsageError: If it has fewer cores or GPUs than were asked for.
        """
        self._ray = self._held.enter_context(joined(self._spec.address))
        try:
            self.workers, self.cores = self._sizes()
        except BaseException:  # Ctrl-C too: no cluster is left
            self._held.close()
            raise
        chose(f"Work is done by {self.described} ({where(self._spec.address)}).")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the cluster, or end the one that was started here."""
        self._held.close()

    def _sizes(self) -> tuple[int, int]:
        """Workers, and cores of each."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cores = [int(node.get("CPU", 0)) for node in alive]
        gpus, each = [float(node.get("GPU", 0)) for node in alive], self._spec.gpus_per_worker
        places = [int(count / each) for count in gpus] if each else cores
        most = sum(places)
        wanted = self._spec.workers
        if not most or (wanted or 0) > most:
            what = f"{sum(gpus):g} GPUs" if each else f"{sum(cores)} cores"
            raise UsageError(
                f"The cluster has {what} on {len(alive)} machine{'s' * (len(alive) != 1)}, too few for "
                f"`workers={wanted or 1}`{f' with `gpus_per_worker={each:g}`' if each else ''}."
            )
        if each:
            count = wanted or most
            shares = [one // max(1, place) for one, place in zip(cores, places, strict=True) if place]
            return count, max(1, min(shares))
        if wanted is None:
            size = min(CORES_EACH, max(cores))
            return sum(one // size for one in cores), size
        return wanted, next(size for size in range(max(cores), 0, -1) if sum(one // size for one in cores) >= wanted)

    def each(
        self, start: Callable[[], Callable[[_T], _R]], things: Sequence[_T], *, ready: Callable[[], object]
    ) -> Iterator[tuple[int, _R | Lost]]:
        """Have things done by workers, in no order.

        Args:
            start: Called once in each worker; loads what the work takes, and gives what does it. Of a module that the
                cluster's machines have, or a `partial` of such a function.
            things: Each is given to one worker, and to another where that fails.
            ready: Called here whenever a worker has started.

        Yields:
            The number of a thing, and what was made of it; or why it is set aside.

        Raises:
            InputError: If no worker gets ready; or whatever the work says is wrong with what it was given.
        """
        attempts, busy, unready = Attempts(len(things)), _Busy(self._ray, self._worker), 0
        try:
            for _ in range(min(self.workers, len(things))):
                busy.hire(start)
            while busy.refs:
                worker, thing, made, error = busy.wait()
                if error is not None and thing is None:
                    unready += 1
                    if unready >= _STARTS * self.workers:
                        raise InputError(
                            f"The workers of the cluster end before they are ready ({first_line(error)}). Its "
                            "machines need cxrfeat, the data and the network in the same places as this one, and the "
                            "memory for it."
                        )
                if error is None and thing is None:
                    if made != __version__:
                        raise InputError(
                            f"The cluster's machines have cxrfeat {made}, and this is {__version__}: features would be "
                            "of two versions. Install the same one everywhere."
                        )
                    unready = 0
                    ready()
                elif error is None:
                    assert thing is not None  # else it had got ready
                    yield thing, made
                elif thing is not None:
                    alive = busy.is_alive(error)
                    if attempts.failed(thing) if alive else attempts.died(thing):
                        yield thing, Lost(first_line(error))
                if error is None or busy.is_alive(error):
                    following = attempts.next()
                    if following is not None:
                        busy.give(worker, following, things[following])
                while attempts.waiting > busy.coming and len(busy.refs) < self.workers:
                    busy.hire(start)
        finally:
            busy.dismiss()

    def _worker(self, start: Callable[[], Callable[[_T], _R]]) -> Any:  # noqa: ANN401  # Ray has no types
        """A new worker, as soon as the cluster has room; its threads are those of a process with as many cores."""
        cores = str(self.cores)
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = dict.fromkeys(variables, cores) | {"LOKY_MAX_CPU_COUNT": cores}
        remote = self._ray.remote(_Worker).options(
            num_cpus=self.cores,
            num_gpus=self._spec.gpus_per_worker,
            max_restarts=0,
            runtime_env={"env_vars": environment},
        )
        return remote.remote(start)


class _Worker:
    """In a process of the cluster: what is loaded once, and does one thing after the other."""

    def __init__(self, start: Callable[[], Callable[[Any], Any]]) -> None:
        self._start = start
        self._work: Callable[[Any], Any] | None = None

    def load(self) -> str:
        self._work = self._start()
        return __version__

    def work(self, thing: Any) -> Any:  # noqa: ANN401  # whatever there is to do
        assert self._work is not None
        return self._work(thing)


class _Busy:
    """The workers, and what each is at."""

    def __init__(self, ray: Any, make: Callable[[Any], Any]) -> None:  # noqa: ANN401  # Ray has no types
        self._ray, self._make = ray, make
        self.refs: dict[Any, tuple[Any, int | None]] = {}
        """What is on its way: the worker, and the number of the thing, `None` while it gets ready."""

    @property
    def coming(self) -> int:
        """Workers that will take something once they are ready."""
        return sum(thing is None for _, thing in self.refs.values())

    def hire(self, start: object) -> None:
        worker = self._make(start)
        self.refs[worker.load.remote()] = (worker, None)

    def give(self, worker: Any, number: int, thing: object) -> None:  # noqa: ANN401  # as above
        self.refs[worker.work.remote(thing)] = (worker, number)

    def wait(self) -> tuple[Any, int | None, Any, Exception | None]:
        """The next that is done: its worker, its number, and what was made of it, or the error."""
        done: list[Any] = []
        while not done:
            done, _ = self._ray.wait(list(self.refs), num_returns=1, timeout=1.0)
        worker, number = self.refs.pop(done[0])
        try:
            return worker, number, self._ray.get(done[0]), None
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, CxrFeatError) and not isinstance(cause, StorageError):
                raise cause from None  # what is wrong is wrong everywhere; one machine's disk is not
            if number is None:
                self._ray.kill(worker)
                return worker, number, None, _DeadError(first_line(cause))
            return worker, number, None, cause
        except self._ray.exceptions.RayError as error:
            return worker, number, None, _DeadError(first_line(error))

    @staticmethod
    def is_alive(error: Exception) -> bool:
        """Whether a worker that met this goes on."""
        return not isinstance(error, _DeadError)

    def dismiss(self) -> None:
        for worker, _ in self.refs.values():
            with contextlib.suppress(Exception):  # it may be gone, or the cluster
                self._ray.kill(worker)
        self.refs.clear()


class _DeadError(Exception):
    """A worker is gone."""
