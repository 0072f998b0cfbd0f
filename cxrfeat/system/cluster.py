"""Where there are workers on a Ray cluster: one that is there, or one that is started here and gone afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from cxrfeat.errors import InputError, StorageError, UsageError
from cxrfeat.system.choice import chose
from cxrfeat.system.joining import answers, first_line, found_at, joined, where
from cxrfeat.system.team import DeadError, Start, load_here

CORES_EACH = 4
"""Cores of a worker at most, where nobody says how many workers there are; not measured, for want of cores."""

_PATIENCE = 20.0
"""Seconds for which the head of a cluster may be silent: it can come back, and Ray ends the process after 60."""

_GONE = (
    "The cluster is gone, or all of its machines are. What was finished is kept; run the same command again to "
    "continue."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """Which cluster, and the number and size of its workers."""

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


class Cluster:
    """A connection to a cluster, where there are workers; use it as a context manager."""

    def __init__(self, spec: ClusterSpec, cores: int | None = None) -> None:
        """Note what is wanted; nothing is connected yet.

        Args:
            spec: Which cluster, and who works there.
            cores: Of each worker; `None` is as many as the cluster has for each, or up to four where nobody says how
                many workers there are.
        """
        self._spec, self._each = spec, cores
        self._held = ExitStack()
        self._shared: list[Any] = []
        self._asked = self._heard = time.monotonic()
        self._there = True
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
            self._place = found_at(self._ray, self._spec.address)
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
        if wanted is None or self._each:
            size = self._each or min(CORES_EACH, max(cores))
            return wanted or sum(one // size for one in cores), size
        return wanted, next(size for size in range(max(cores), 0, -1) if sum(one // size for one in cores) >= wanted)

    def share(self, value: object) -> None:
        """Put a value into the memory that the cluster has for such, once; each worker hired later starts with it.

        Raises:
            StorageError: If there is no room for it.
        """
        try:
            self._shared.append(self._ray.put(value))
        except (self._ray.exceptions.RayError, MemoryError, OSError) as error:
            raise StorageError(
                f"The cluster has no room for what all of its workers need ({first_line(error)}). Give it more memory "
                "for objects, or omit `runner`."
            ) from error

    def hire(self, start: Start) -> tuple[Any, Any]:
        """A new worker, as soon as there is room; its threads are those of a process with as many cores.

        Raises:
            InputError: If the cluster is gone.
        """
        while not self._answers():  # Ray would ask the head, and end the process when that stays silent
            time.sleep(1.0)
        environment = threads_of(self.cores)
        if self._each == 1:
            # scikit-learn-intelex takes a limit that equals the count of cores for none, and uses all that there are.
            del environment["LOKY_MAX_CPU_COUNT"]
        remote = self._ray.remote(_Worker).options(
            num_cpus=self.cores,
            num_gpus=self._spec.gpus_per_worker,
            max_restarts=0,
            runtime_env={"env_vars": environment},
        )
        worker = remote.remote(start, *self._shared)
        return worker, worker.load.remote()

    def give(self, worker: Any, thing: object) -> Any:  # noqa: ANN401  # Ray has no types
        """Have it do a thing; the mark."""
        return worker.work.remote(thing)

    def wait(self, marks: Sequence[Any]) -> Any:  # noqa: ANN401  # Ray has no types
        """One of these that is done.

        Raises:
            InputError: If the cluster is gone: nothing would be done ever.
        """
        while True:  # Ctrl-C is heard in between
            done, _ = self._ray.wait(list(marks), num_returns=1, timeout=1.0)
            if time.monotonic() - self._asked > 1.0 and self._answers():
                try:
                    self._there = any(node["Alive"] for node in self._ray.nodes())
                except (self._ray.exceptions.RayError, ConnectionError, RuntimeError):
                    self._there = False
                if not self._there:
                    raise InputError(_GONE)
            if done:
                return done[0]

    def _answers(self) -> bool:
        """Whether its head does.

        Raises:
            InputError: If it has not for too long.
        """
        there = answers(self._place)
        self._asked = time.monotonic()
        if there:
            self._heard = self._asked
        elif self._asked - self._heard > _PATIENCE:
            self._there = False
            raise InputError(_GONE)
        return there

    def take(self, mark: Any) -> Any:  # noqa: ANN401  # Ray has no types
        """What was made.

        Raises:
            DeadError: If the worker is gone.
            Exception: What the work raised.
        """
        try:
            return self._ray.get(mark)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except self._ray.exceptions.RayError as error:
            raise DeadError(first_line(error)) from None

    def end(self, worker: Any) -> None:  # noqa: ANN401  # Ray has no types
        """Let a worker go at once."""
        if self._there:
            with contextlib.suppress(Exception):  # it may be gone, or the cluster
                self._ray.kill(worker)


def threads_of(cores: int) -> dict[str, str]:
    """The environment of a worker that is to compute as a process with so many cores does, whatever its machine has."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return dict.fromkeys(variables, str(cores)) | {"LOKY_MAX_CPU_COUNT": str(cores)}


class _Worker:
    """In a process of the cluster: what is loaded once, and does one thing after the other."""

    def __init__(self, start: Start, *shared: object) -> None:
        self._start, self._shared = start, shared  # values of the cluster's memory: Ray looks them up
        self._work: Callable[[Any], Any] | None = None

    def load(self) -> str:
        self._work, version = load_here(self._start, self._shared)
        return version

    def work(self, thing: Any) -> Any:  # noqa: ANN401  # whatever there is to do
        assert self._work is not None
        return self._work(thing)
