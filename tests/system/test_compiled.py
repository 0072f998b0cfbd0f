from __future__ import annotations

import errno
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.system import compiled
from cxrfeat.system.compiled import LEAST_STEPS, Compiled, want_compiled
from cxrfeat.system.files import is_private, make_folder, user_cache

_TEXT = """
from cxrfeat.system.compiled import compiled

@compiled("int64(int64)")
def doubled(number: int) -> int:
    return number + number
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that can be imported, and has one compiled function."""
    monkeypatch.setattr(compiled, "_wanted", threading.Event())
    monkeypatch.setattr(compiled, "_folder", lambda: user_cache() / "kernels")  # other tests share theirs
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"kernel_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(_TEXT)
    return name


def again(module: str) -> Compiled:
    """As in a new process."""
    sys.modules.pop(module, None)
    return Compiled(module)


def begun(made: Compiled) -> bool:
    return made._loading is not None


def kept() -> list[Path]:
    return sorted((user_cache() / "kernels").rglob("*.nbc"))


def test_few_images_are_not_worth_it_and_many_are(module: str) -> None:
    made = Compiled(module)
    assert not made.functions(1)
    want_compiled(LEAST_STEPS - 1)
    assert not made.functions(1)
    assert not [thread for thread in threading.enumerate() if thread.name == "compile"]
    want_compiled(LEAST_STEPS)
    until = time.monotonic() + 60
    while (functions := made.functions(0)) is None and time.monotonic() < until:  # nobody waits for it
        time.sleep(0.01)
    assert functions is not None
    assert functions.doubled(21) == 42
    assert len(kept()) == 1


def test_what_is_done_without_them_counts_too(module: str) -> None:
    made, other = Compiled(module), Compiled("cxrfeat.view.kernel")
    assert made.functions(LEAST_STEPS / 2) is None
    assert made.functions(LEAST_STEPS / 3) is None
    assert not begun(made)
    made.functions(LEAST_STEPS / 3)
    assert begun(made)
    assert made.load().doubled(3) == 6
    assert other.functions(1) is None, "each counts for itself"
    assert not begun(other)


def test_what_was_compiled_is_not_compiled_again(module: str) -> None:
    Compiled(module).load()
    before = [(path, path.stat().st_mtime_ns) for path in kept()]
    functions = again(module).load()
    assert functions.doubled.stats.cache_hits
    assert functions.doubled(4) == 8
    assert [(path, path.stat().st_mtime_ns) for path in kept()] == before


def test_another_text_is_compiled_anew(module: str, tmp_path: Path) -> None:
    Compiled(module).load()
    (tmp_path / f"{module}.py").write_text(_TEXT.replace("number + number", "3 * number"))
    assert again(module).load().doubled(5) == 15


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_is_damaged_costs_one_run_its_speed(module: str, suffix: str) -> None:
    Compiled(module).load()
    for path in (user_cache() / "kernels").rglob(f"*{suffix}"):
        path.write_bytes(path.read_bytes()[:7])
    made = again(module)
    made._begin().join()
    assert made.functions(LEAST_STEPS) is None, "whoever does not wait works without it"
    assert not kept()
    assert made.load().doubled(2) == 4, "whoever waits has it compiled again"
    assert again(module).load().doubled(2) == 4


def test_a_full_disk_keeps_nothing_and_stops_nothing(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    caching = pytest.importorskip("numba.core.caching")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    assert Compiled(module).load().doubled(2) == 4
    assert not kept()


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_nothing_is_loaded_from_where_others_write(module: str) -> None:
    folder = user_cache() / "kernels"
    make_folder(folder, private=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert is_private(folder)
    folder.chmod(0o770)
    assert not is_private(folder)
    assert Compiled(module).load().doubled(2) == 4
    assert not kept()


def test_a_cache_that_cannot_be_made_stops_nothing(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path / "file"))
    assert Compiled(module).load().doubled(2) == 4


def test_where_numba_must_not_compile_other_ways_are_left(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.DISABLE_JIT", True)
    made = Compiled(module)
    want_compiled(LEAST_STEPS)
    with pytest.raises(RuntimeError, match="could not be compiled"):
        made.load()
    assert made.functions(LEAST_STEPS) is None


def test_numbas_own_folder_is_left_as_the_user_has_it(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", "elsewhere")
    Compiled(module).load()
    assert sys.modules["numba.core.config"].__dict__["CACHE_DIR"] == "elsewhere"


def test_they_leave_the_interpreters_lock() -> None:
    kernel = Compiled("cxrfeat.image.kernel").load()
    grey, sums = np.zeros((10_000, 10_000), np.uint8), np.empty((40, 40))
    times: list[float] = []

    def add() -> None:
        for _ in range(5):
            times.append(time.perf_counter())
            kernel.add_cells(grey, sums)
            times.append(time.perf_counter())

    thread, turns = threading.Thread(target=add), []
    thread.start()
    while thread.is_alive():
        turns.append(time.perf_counter())
    middle = [(5 * start + 4 * end) / 9 for start, end in zip(times[::2], times[1::2], strict=True)]
    meanwhile = [sum(start < turn < one for turn in turns) for start, one in zip(times[::2], middle, strict=True)]
    assert sum(count > 10 for count in meanwhile) >= 3, meanwhile
