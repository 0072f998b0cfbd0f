"""Where there is a worker for each GPU of this machine: a process of its own, which sees no other one.

Found are NVIDIA's, whose own tool lists them. A worker is a new interpreter, and ends with this process.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from types import TracebackType
from typing import Any, Self

from cxrfeat.errors import UsageError
from cxrfeat.system.choice import chose
from cxrfeat.system.cluster import threads_of
from cxrfeat.system.crew import Processes
from cxrfeat.system.joining import first_line
from cxrfeat.system.process import threads
from cxrfeat.system.team import DeadError, Start, load_here

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The variable by which CUDA is told which devices there are for a process."""

_SECONDS = 20
"""For the tool that lists devices."""


def find_devices(asked: str) -> tuple[str, ...]:
    """The devices that are meant, as `VISIBLE` names them.

    Args:
        asked: `all`, or some, such as `0,2`: counted from 0 among those that are there for this process.

    Raises:
        UsageError: If there are none, or not these.
    """
    there = _visible()
    if not there:
        raise UsageError(
            "`devices` is for NVIDIA GPUs, and none is found here (`nvidia-smi -L` lists them). Omit it: the "
            "cores of a machine are used by one process."
        )
    if asked.strip() == "all":
        return there
    names = [one.strip() for one in asked.split(",")]
    numbers = [int(one) for one in names if re.fullmatch(r"\d{1,4}", one)]
    if len(numbers) < len(names) or len(set(numbers)) < len(numbers) or max(numbers) >= len(there):
        last = len(there) - 1
        raise UsageError(
            f"`devices` is all, or numbers {f'from 0 to {last}, each once, such as 0,{last}' if last else '(0)'}: "
            f"{len(there)} GPU{'s are' if last else ' is'} there; got {asked!r}."
        )
    return tuple(there[number] for number in numbers)


def _visible() -> tuple[str, ...]:
    """Those that this process may use."""
    told = os.environ.get(VISIBLE)
    if told is not None:
        return tuple(one.strip() for one in told.split(",") if one.strip() not in ("", "-1"))
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ()
    return _listed(said.stdout)


def _listed(said: str) -> tuple[str, ...]:
    r"""The devices of `nvidia-smi -L`; where one is parted, its parts.

    Example:
        >>> _listed('GPU 0: A (UUID: GPU-a)\n  MIG 1g Device 0: (UUID: MIG-b)\nGPU 1: A (UUID: GPU-c)\n')
        ('MIG-b', 'GPU-c')
    """
    found: list[str] = []
    for kind, name in re.findall(r"^\s*(GPU|MIG)\b.*\(UUID: ([^)]+)\)", said, re.MULTILINE):
        if kind == "MIG" and found and found[-1].startswith("GPU-"):
            found.pop()
        found.append(name)
    return tuple(found)


class Devices:
    """A worker for each of some devices; use it as a context manager."""

    def __init__(self, devices: Sequence[str]) -> None:
        """Note the devices; nothing is started yet.

        Args:
            devices: As `find_devices` gives them.
        """
        self._free = list(devices)
        self.workers = len(devices)
        self.cores = max(1, threads() // self.workers)

    @property
    def described(self) -> str:
        """Who works, in words."""
        one = self.workers == 1
        return f"{self.workers} {'worker' if one else 'workers'}, one a device"

    def __enter__(self) -> Self:
        """Say who works."""
        chose(f"Work is done by {self.described}, with {self.cores} of this machine's cores each.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left: the workers were let go."""

    def hire(self, start: Start) -> tuple[_Process, Future[Any]]:
        """A new worker on a device that has none."""
        worker = _Process(self._free.pop(0), threads_of(self.cores))
        return worker, worker.begin(_load, start)

    def give(self, worker: _Process, thing: object) -> Future[Any]:
        """Have it do a thing; the mark."""
        return worker.begin(_work, thing)

    def wait(self, marks: Sequence[Future[Any]]) -> Future[Any]:
        """One of these that is done."""
        return next(iter(wait(marks, return_when=FIRST_COMPLETED).done))

    def take(self, mark: Future[Any]) -> Any:  # noqa: ANN401  # whatever was made
        """What was made.

        Raises:
            DeadError: If the worker is gone.
            Exception: What the work raised.
        """
        try:
            return mark.result()
        except BrokenExecutor as error:
            raise DeadError(first_line(error)) from None

    def end(self, worker: _Process) -> None:
        """Let a worker go at once; its device is free again."""
        worker.end()
        self._free.append(worker.device)


class _Process:
    """The worker of a device."""

    def __init__(self, device: str, environment: Mapping[str, str]) -> None:
        self.device = device
        self._processes = Processes(1, {**environment, VISIBLE: device})

    def begin(self, function: Callable[..., Any], *given: object) -> Future[Any]:
        try:
            return self._processes.call(function, *given)
        except BrokenExecutor as error:  # it died while it had nothing to do
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken

    def end(self) -> None:
        self._processes.close(at_once=True)


_LOADED: list[Callable[[Any], Any]] = []
"""In a worker: what does its work."""


def _load(start: Start) -> str:
    work, version = load_here(start, ())
    _LOADED.append(work)
    return version


def _work(thing: object) -> Any:  # noqa: ANN401  # whatever was made
    return _LOADED[0](thing)
