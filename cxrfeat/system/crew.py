"""Processes that work for the threads of this one, without a common interpreter lock, and never outlive it.

They are joblib's (loky): new interpreters, not copies of this one, whose networks and threads would not survive that,
and the caller's own script is not imported again in them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar, cast

from cxrfeat.system.choice import chose
from cxrfeat.system.process import keep_memory, possible_workers
from cxrfeat.system.shared import Packed, Place, Slots, pack

LEAST_WORKERS = 4
"""Cores from which processes prepare images for a network. On two they prepare a fifth more images of eight views than
threads do, but a network on the same cores takes fifty times as long for them, and each process takes 200 MB. What
many cores gain was not measured: the process that takes the images has 0.2 ms of work for each (`benchmarks/README.md`,
feed)."""

LEAST_STEPS = 4000
"""Views, or what takes as long, that are worth starting and ending processes: two threads work two seconds on them, and
starting and ending two processes takes a third of a second."""

THREADS_EACH = 2
"""Threads that call, for each process: the next thing is there when one is done, which saves a sixth to a fifth of the
time where each takes 4 ms."""

SLOTS = 128
"""Results whose arrays are not sent, at a time: more than wait for their taker, and than it has in use."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def crew_pays(steps: int, workers: int) -> bool:
    """Whether so much work on images, in steps of about one view each, is done sooner by processes than by threads.

    Args:
        steps: All of it.
        workers: Threads, or processes.
    """
    much = workers >= LEAST_WORKERS and steps >= LEAST_STEPS
    pays = much and can_spawn()
    one, many = ("process", "processes") if pays else ("thread", "threads")
    why = (
        "no processes can be started here"
        if much and not pays
        else f"processes are for {LEAST_WORKERS} cores or more and for as much work as {LEAST_STEPS} views are, and "
        f"these images are as much as {steps}"
    )
    if steps:
        chose(f"Images are prepared by {workers} {one if workers == 1 else many}: {why}.")
    return pays


def can_spawn() -> bool:
    """Whether this interpreter can start others that work for it."""
    known = os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)
    return known and possible_workers(2) == 2


class Processes:
    """New interpreters in which functions of modules are called; they never outlive this one, however it ends."""

    def __init__(self, count: int, environment: Mapping[str, str]) -> None:
        """They start with the first call.

        Args:
            count: How many.
            environment: What they have beside what this process has.
        """
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        resource_tracker.ensure_running()  # it unblocks Ctrl-C where it is started, so not where processes are
        # Of the pipe, this process alone has the end that is written to, and nothing ever is: its end is the sign.
        self._leash, self._hand = multiprocessing.Pipe(duplex=False)
        self._pool: Any = ProcessPoolExecutor(count, initializer=_begin, initargs=(self._leash,), env=dict(environment))

    def call(self, function: Callable[..., Any], *given: object) -> Future[Any]:
        """Have whichever is idle call a function.

        Raises:
            BrokenExecutor: If one of them was killed, or there is none to be had.
        """
        # What starts now inherits this: Ctrl-C in a terminal is for the process in front, which ends the others.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            begun: Future[Any] = self._pool.submit(function, *given)
        except OSError as error:
            raise BrokenExecutor from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return begun

    def close(self, *, at_once: bool = False) -> None:
        """End them, and wait for that; what they are at is done before, unless it is to be at once."""
        self._pool.shutdown(wait=True, kill_workers=at_once)
        self._hand.close()  # if the system gave fewer than were wanted, the pool knows of none of them
        self._leash.close()


class Crew(Generic[_T, _R]):
    """A function that is called from threads here, some for each process, and done in processes.

    What it raises is raised here. Where a process is killed, the others end too, and all further work is done in the
    threads that wait for it. The threads also see to it that no more is begun than is worked on, or next: of what is in
    the queue of the processes nothing can be dropped.
    """

    def __init__(self, work: Callable[[_T], _R], count: int) -> None:
        """Note what is to be done; the processes start with the first thing that is given.

        Args:
            work: A function of a module, or a `partial` of such a function; it, what it is given and what it returns go
                to and fro between processes.
            count: Processes.
        """
        self._work, self._lost = work, False
        self._slots = Slots(SLOTS)
        self._processes = Processes(count, {"OPENBLAS_NUM_THREADS": "1"})

    def __call__(self, thing: _T) -> _R:
        """Do the work, in whichever process is idle."""
        if not self._lost:
            place = self._slots.take()
            try:
                made = self._processes.call(_done, self._work, thing, place).result()
            except BrokenExecutor:  # one was killed, or there is none to be had
                self._lost = True  # and no slot is used again: who knows who still writes there
                return self._work(thing)
            except BaseException:  # Ctrl-C too: a slot is nobody's then
                if place is not None:
                    self._slots.give_back(place)
                raise
            if place is not None and isinstance(made, Packed):
                whole: _R = self._slots.unpack(made, place)
                return whole
            if place is not None:
                self._slots.give_back(place)
            return cast(_R, made)
        return self._work(thing)

    def close(self) -> None:
        """End the processes, and wait for them; no thread may be calling any more."""
        self._processes.close()
        self._slots.close()


def _done(work: Callable[[_T], _R], thing: _T, place: Place | None) -> _R | Packed:
    """In a process of a crew: the work, its large arrays in the slot if they fit."""
    made = work(thing)
    packed = None if place is None else pack(made, place)
    return made if packed is None else packed


def _begin(leash: Connection) -> None:
    """In a process of a crew: leave stdout to the one that it works for, and end with it; keep memory."""
    os.dup2(2, 1)  # what a library prints must not stand among a command's results
    keep_memory()

    def watch() -> None:
        leash.poll(None)
        os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()
