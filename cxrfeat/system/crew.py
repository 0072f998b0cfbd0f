"""Processes that work for the threads of this one, without a common interpreter lock, and never outlive it.

They are new interpreters, not copies of this one, whose networks and threads would not survive that. Each has two pipes
and a piece of memory to itself, which has no name: the kernel frees it with the last process that holds it, and a pipe
whose other end is gone ends a process, so there is nothing to clear away after a kill.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_IN_MEMORY = 1 << 14
"""Bytes from which an array goes by way of the shared memory, not through the pipe."""

_LAUNCH = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from cxrfeat.system.crew import serve; serve(int(sys.argv[2]))"
)

_T = TypeVar("_T")
_R = TypeVar("_R")


def can_spawn() -> bool:
    """Whether this interpreter can start others that share memory with it."""
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)


class Crew(Generic[_T, _R]):
    """A function that is called from threads here and done in processes, one for each thread.

    What it raises is raised here. Where a process is killed, its work is done in the thread that waits for it, and so
    is all further work of that thread.
    """

    def __init__(self, work: Callable[[_T], _R], count: int) -> None:
        """Note what is to be done; a process starts with the first thing that it is given.

        Args:
            work: Of a module, or a `partial` of such a function; it, what it is given and what it returns are pickled.
            count: Processes, and threads that may call at the same time.
        """
        self._workers = [_Worker(work) for _ in range(count)]
        self._idle = SimpleQueue[_Worker[_T, _R]]()
        for worker in self._workers:
            self._idle.put(worker)

    def __call__(self, thing: _T) -> _R:
        """Do the work, in whichever process is idle."""
        worker = self._idle.get()
        try:
            return worker.do(thing)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the processes, and wait for them; no thread may be calling any more."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.close()


class _Worker(Generic[_T, _R]):
    """One process, seen from here."""

    def __init__(self, work: Callable[[_T], _R]) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._memory = -1
        self._lost = False

    def do(self, thing: _T) -> _R:
        if self._lost:
            return self._work(thing)
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, thing)
            raised, body, sizes = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):  # no process to be had, or killed
            self._lost = True
            return self._work(thing)
        answer = pickle.loads(body, buffers=_taken(self._memory, sizes))
        if raised:
            raise answer
        result: _R = answer
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        self._memory = _nameless_memory()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, json.dumps(sys.path), str(self._memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._memory],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            process_group=0,  # Ctrl-C is for the process in front, which ends this one
        )
        assert self._process.stdin is not None
        _send(self._process.stdin, self._work)
        return self._process

    def dismiss(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdout is not None
            self._process.stdout.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._memory >= 0:
            os.close(self._memory)


def serve(memory: int) -> None:
    """Be a process of a crew: do what comes in until nothing can come any more.

    Args:
        memory: File descriptor of the memory that is shared with who sends the work.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not stand among the answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        work = pickle.load(sys.stdin.buffer)
        while True:
            thing = pickle.load(sys.stdin.buffer)
            _send(answers, _answer(work, thing, memory))


def _answer(work: Callable[[Any], Any], thing: object, memory: int) -> tuple[bool, bytes, list[int]]:
    """Whether work raised, and the pickle of what came of it, whose arrays lie in the memory, in so many bytes each."""
    raised = False
    try:
        made = work(thing)
    except Exception as error:  # noqa: BLE001  # it is raised again, where the work was asked for
        raised, made = True, error
    arrays: list[memoryview] = []

    def aside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _IN_MEMORY:
            return True
        arrays.append(raw)
        return False

    body = pickle.dumps(made, protocol=5, buffer_callback=aside)
    place = 0
    for array in arrays:
        written = 0
        while written < array.nbytes:
            written += os.pwrite(memory, array[written:], place + written)
        place += array.nbytes
    return raised, body, [array.nbytes for array in arrays]


def _taken(memory: int, sizes: list[int]) -> list[NDArray[np.uint8]]:
    """Copies of what lies in the memory."""
    place, taken = 0, []
    for size in sizes:
        array = np.empty(size, np.uint8)
        read = 0
        while read < size:
            read += os.preadv(memory, [array[read:].data], place + read)
        taken.append(array)
        place += size
    return taken


def _send(pipe: IO[bytes], thing: object) -> None:
    pipe.write(pickle.dumps(thing, protocol=5))
    pipe.flush()


def _nameless_memory() -> int:
    """A file descriptor of memory that can be passed on and grows as it is written."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("cxrfeat")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
