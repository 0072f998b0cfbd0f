"""This process: how many cores it may use, who uses them, what memory it keeps, and how often it looks for garbage."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

_LIMITED = threading.Lock()
"""Held while products are by one thread."""


@functools.cache
def threads() -> int:
    """Cores this process may use; a container's share of time counts as so many."""
    import joblib

    return int(joblib.cpu_count())


def possible_workers(wanted: int) -> int:
    """How many of this many processes can work for this one: 1 without semaphores, or where it may have no child."""
    import joblib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that all is done here is no news to the user
        return int(joblib.effective_n_jobs(wanted))


def keep_memory() -> None:
    """Let what is freed stay with this process, some 8 MB in each thread, for whatever asks next; sizes come and go.

    glibc's malloc gives memory back to the system beyond twice the largest block that was freed, and each page of it
    that is asked for again is a fault: 150 for eight views of an image of 299 pixels, and 20 where some is kept. Freed
    once, a block of 4 MB raises that bound. More saves hardly a fault, also of images of a megapixel, and each thread
    keeps its own: with the most that malloc knows, 32 MB, an extraction of 4,000 small images took 20 MB more. Other
    systems' memory knows no such thing.
    """
    import numpy as np

    np.empty(2**22, np.uint8)


def give_back() -> None:
    """Give the system what was freed and kept, where no more such work follows.

    Each thread's memory is apart from the others', so that what was freed by one kind of work is not there for
    the next, which other threads do. Where the system's memory knows no such thing, nothing happens.
    """
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(ctypes.c_size_t(0))


@contextlib.contextmanager
def small_products() -> Iterator[None]:
    """NumPy's and SciPy's products by one thread, in the whole process; for many small ones.

    OpenBLAS parts products from about 40 rows on among all cores, and its threads wait for each other by turning in
    circles. Where something else takes a core, such as a network or another program, the same work then takes up
    to twenty times as long. Libraries that are loaded inside are not reached.

    Inside another one, or while another thread is in one, it does nothing. So a thread that works for one does not
    look for the libraries that are loaded, which must not be while another thread loads one: each would wait for the
    other.

    Example:
        >>> with small_products():
        ...     pass
    """
    if not _LIMITED.acquire(blocking=False):
        yield
        return
    try:
        with _blas_now().limit(limits=1, user_api="blas"):
            yield
    finally:
        _LIMITED.release()


_found: tuple[int, Any] = (0, None)
"""How many modules were loaded when BLAS was last looked for, and what was found. Changed with `_LIMITED` held."""


def _blas_now() -> Any:  # noqa: ANN401  # threadpoolctl has no types
    """The libraries that are loaded; looked for again once a module was imported, for it takes 5 ms with TensorFlow."""
    global _found
    if _found[0] != len(sys.modules):
        from threadpoolctl import ThreadpoolController

        _found = len(sys.modules), ThreadpoolController()
    return _found[1]


def collect_rarely() -> None:
    """Look for cycles after 20,000 new objects in place of 700: a sixth of the looking while libraries load.

    For commands and workers on features; not for what goes through images or networks, where a cycle may hold much.
    """
    gc.set_threshold(20_000, 20, 20)


@contextlib.contextmanager
def collecting_later() -> Iterator[None]:
    """Look for no cycles inside: while libraries load, whose objects stay, that takes a tenth of the time.

    Example:
        >>> with collecting_later():
        ...     gc.isenabled()
        False
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def leave() -> None:
    """Do not look once more at exit, which would take a tenth of a second and free what goes anyway."""
    gc.freeze()
