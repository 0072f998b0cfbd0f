"""How many cores there are, and who may use them: the only place that asks the system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from threadpoolctl import ThreadpoolController


def threads() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def small_products() -> Iterator[None]:
    """NumPy's and SciPy's products by one thread, in the whole process; for many small ones.

    OpenBLAS parts products from about 40 rows on among all cores, and its threads wait for each other by turning in
    circles. Where something else takes a core, such as a network or another program, the same work then takes up
    to twenty times as long. Libraries that are loaded inside are not reached.

    Example:
        >>> with small_products():
        ...     pass
    """
    with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
        yield
