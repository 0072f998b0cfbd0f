"""Cores that there are, and one thread for small products with as many as before afterwards."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy  # noqa: F401  # its library is the one that is meant
import pytest
from threadpoolctl import ThreadpoolController

from cxrfeat.system.process import collecting_later, possible_workers, small_products, threads


def test_small_products_take_one_thread_and_give_the_others_back() -> None:
    def now() -> list[int]:
        return [one.num_threads for one in ThreadpoolController().select(internal_api="openblas").lib_controllers]

    ours = ThreadpoolController().select(internal_api="openblas")
    with ours.limit(limits=2):
        before = now()
        with small_products():
            assert set(now()) <= {1}
        assert now() == before


def test_small_products_inside_others_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    class Controller(ThreadpoolController):  # type: ignore[misc]  # threadpoolctl has no types
        def __init__(self) -> None:
            looked.append(1)
            super().__init__()

    def inside() -> set[int]:
        with small_products():
            return {one.num_threads for one in ours.lib_controllers}

    ours = ThreadpoolController().select(internal_api="openblas")
    monkeypatch.setattr("threadpoolctl.ThreadpoolController", Controller)
    monkeypatch.setattr("cxrfeat.system.process._found", (0, None))
    with ours.limit(limits=2), ThreadPoolExecutor(1) as other:
        before = [one.num_threads for one in ours.lib_controllers]
        for number in range(2):
            monkeypatch.setitem(sys.modules, f"another{number}", sys)
            with small_products():
                assert inside() <= {1}
                assert other.submit(inside).result() <= {1}
                assert inside() <= {1}
            assert [one.num_threads for one in ours.lib_controllers] == before
            inside()
    assert len(looked) == 2, (
        "outer ones alone look for libraries (another thread may be loading one), and after imports"
    )


def test_cores_are_those_that_the_environment_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    threads.cache_clear()
    most = threads()
    assert 1 <= most <= (os.cpu_count() or 1)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert threads() == most, "it is looked up once"
    threads.cache_clear()
    assert threads() == 1
    threads.cache_clear()


def test_a_process_that_may_have_no_child_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert possible_workers(3) == 3
    monkeypatch.setattr(multiprocessing.current_process(), "daemon", True)
    assert possible_workers(3) == 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc gives memory back in this way")
@pytest.mark.parametrize("keep", [False, True])
def test_memory_that_is_kept_is_not_asked_for_again_page_by_page(*, keep: bool) -> None:
    program = f"""
import resource
import numpy as np
from cxrfeat.system.process import keep_memory
if {keep}:
    keep_memory()
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def image():
    return [np.ones(2**19, np.uint8) for _ in range(8)]
image()
before = pages()
for _ in range(20):
    image()
print(pages() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 100) is keep, done.stdout


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or sys.platform != "linux", reason="only glibc's malloc gives back what is kept"
)
@pytest.mark.parametrize("give", [False, True])
def test_memory_that_was_kept_can_be_given_back(*, give: bool) -> None:
    program = f"""
from pathlib import Path
from threading import Thread
import numpy as np
from cxrfeat.system.process import give_back, keep_memory
keep_memory()
held = []
def work():
    some = [np.ones(2**16, np.uint8) for _ in range(500)]
    held.extend(some[::50])  # so that none of it is at the end, which is given back in any case
thread = Thread(target=work)
def resident():
    return int(next(one for one in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in one).split()[1])
before = resident()
thread.start()
thread.join()
if {give}:
    give_back()
print(resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (int(done.stdout) < 8000) is give, done.stdout  # kB, of 31 MB


def test_garbage_is_looked_for_again_afterwards() -> None:
    with contextlib.suppress(ImportError), collecting_later():
        with collecting_later():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer one goes on"
        raise ImportError
    assert gc.isenabled()
