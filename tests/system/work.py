"""What the processes of tests do: here, so that they load no more than they need."""

from __future__ import annotations

import os
import resource
import signal
import time

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError


def filled(factor: int, thing: int) -> tuple[int, NDArray[np.int64], NDArray[np.uint8]]:
    """A process, a large array, and a small one."""
    return os.getpid(), np.full((thing, 100), factor * thing), np.full(3, thing % 256, np.uint8)


def refuse(thing: int) -> int:
    print("words of a library, on stdout")
    if thing == 3:
        raise BadImageError("decode", "three")
    if thing == 4:
        raise ValueError(f"four in {os.getpid()}")
    if thing == 5:
        raise FileNotFoundError("five")
    return thing


def die(here: int, thing: int) -> int:
    """Its process is killed by the third; the pid of whoever did the work."""
    if thing == 3 and os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def slowly(thing: int) -> int:
    time.sleep(0.05)
    return os.getpid() + 0 * thing


def pages(size: int) -> int:
    """How many pages the system is asked for while arrays are made, filled and dropped together."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    assert sum(int(one[-1]) for one in [np.full(size, 1, np.uint8) for _ in range(5)]) == 5
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def made(count: int, thing: int) -> tuple[int, NDArray[np.uint8]]:
    return os.getpid(), np.full(count + thing, thing, np.uint8)
