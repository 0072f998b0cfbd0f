from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky.backend import fork_exec

from cxrfeat.errors import BadImageError
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.crew import LEAST_STEPS, LEAST_WORKERS, Crew, can_spawn, crew_pays
from tests.system.work import die, filled, pages, refuse, slowly

pytestmark = pytest.mark.skipif(not can_spawn(), reason="no other interpreter can be started here")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pids: Iterator[int] | set[int]) -> bool:
    """Whether processes end within some seconds."""
    wanted = set(pids)
    for _ in range(200):
        multiprocessing.active_children()  # asks after those that have ended, which are there until then
        wanted = {pid for pid in wanted if alive(pid)}
        if not wanted:
            return True
        time.sleep(0.05)
    return False


def test_results_come_in_order_from_other_processes_and_are_the_same() -> None:
    sizes = [1, 0, 5000, 20, 3, 20_000, 1, 7]
    work = partial(filled, 2)
    with Ahead(work, sizes, workers=2, processes=True) as results:
        assert results.workers == "2 processes"
        made = list(results)
    pids = {pid for pid, _, _ in made}
    assert os.getpid() not in pids
    assert len(pids) <= 2
    for size, (_, large, small) in zip(sizes, made, strict=True):
        _, expected, few = filled(2, size)
        np.testing.assert_array_equal(large, expected, strict=True)
        np.testing.assert_array_equal(small, few, strict=True)
        large[...] = 0  # it is the taker's own
    assert gone(pids)


def test_what_the_work_raises_is_raised_here_and_costs_no_process() -> None:
    crew = Crew(refuse, 1)
    try:
        assert crew(1) == 1
        with pytest.raises(BadImageError, match="three") as raised:
            crew(3)
        assert (raised.value.stage, raised.value.reason) == ("decode", "three")
        with pytest.raises(ValueError, match="four in") as other:
            crew(4)
        assert str(os.getpid()) not in str(other.value)
        with pytest.raises(FileNotFoundError, match="five"):  # as the system raises it where there is no process
            crew(5)
        with pytest.raises(ValueError, match="four in") as other:
            crew(4)
        assert str(os.getpid()) not in str(other.value)
    finally:
        crew.close()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by rules of their own")
def test_memory_of_one_image_is_kept_for_the_next() -> None:
    crew = Crew(pages, 1)
    try:
        _, *others = [crew(10**6) for _ in range(5)]
    finally:
        crew.close()
    assert min(others) < 100  # of 1200 and more


def test_the_work_of_a_killed_process_is_done_here() -> None:
    here = os.getpid()
    work = partial(die, here)
    with Ahead(work, range(6), ahead=1, workers=1, processes=True) as results:
        pids = list(results)
    assert here not in pids[:3]
    assert pids[3:] == [here] * 3


def test_an_error_of_the_taker_leaves_no_process() -> None:
    pids = set()

    def take() -> None:
        with Ahead(slowly, range(100), workers=2, processes=True) as results:
            pids.update(results.take(4))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take()
    assert pids
    assert gone(pids)


def test_processes_are_ended_where_the_system_has_fewer_than_were_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    start = fork_exec.fork_exec

    def one_at_most(*given: Any, **named: Any) -> int:
        if begun:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        begun.append(start(*given, **named))
        return begun[0]

    crew = Crew(slowly, 2)
    with monkeypatch.context() as patched:
        patched.setattr(fork_exec, "fork_exec", one_at_most)
        assert crew(1) == os.getpid()
    assert alive(begun[0])
    crew.close()
    assert gone(set(begun))


def started(end: str) -> subprocess.Popen[str]:
    """Another process that has a crew, and says so."""
    program = f"""
from cxrfeat.system.ahead import Ahead
from tests.system.work import slowly
with Ahead(slowly, range(10_000), workers=2, processes=True) as results:
    {end}
    list(results)
"""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_process_that_is_ended(end: signal.Signals) -> None:
    process = started("print(*set(results.take(6)), flush=True)")
    assert process.stdout is not None
    pids = {int(pid) for pid in process.stdout.readline().split()}
    assert pids
    process.send_signal(end)
    _, said = process.communicate()
    assert gone(pids)
    assert said.count("Traceback") == (1 if end is signal.SIGINT else 0), said


@pytest.mark.few(1)
@pytest.mark.parametrize("after", [0.2, 0.0])
def test_ctrl_c_in_a_terminal_is_not_told_by_processes_that_begin(after: float) -> None:
    process = started("print(flush=True)")
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1, said


@pytest.mark.parametrize(
    ("steps", "workers", "pays"),
    [
        (LEAST_STEPS, LEAST_WORKERS, True),
        (LEAST_STEPS - 1, LEAST_WORKERS, False),  # done before the last process had started
        (LEAST_STEPS, LEAST_WORKERS - 1, False),  # threads do as well
        (0, 64, False),  # nobody knows how much
    ],
)
def test_processes_are_for_much_work_on_many_cores(steps: int, workers: int, pays: bool) -> None:
    assert crew_pays(steps, workers) is pays


@pytest.mark.parametrize(
    ("steps", "workers", "spawn", "said"),
    [
        (LEAST_STEPS, LEAST_WORKERS, True, f"by {LEAST_WORKERS} processes: processes are for {LEAST_WORKERS} cores"),
        (LEAST_STEPS, LEAST_WORKERS, False, f"by {LEAST_WORKERS} threads: no processes can be started here"),
        (LEAST_STEPS, 1, True, f"by 1 thread: processes are for {LEAST_WORKERS} cores or more"),
        (12, LEAST_WORKERS, True, "these images are as much as 12"),
        (0, LEAST_WORKERS, True, ""),  # files are read, and nothing is made of them
    ],
)
def test_who_prepares_images_is_told_with_the_reason(
    steps: int,
    workers: int,
    spawn: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("cxrfeat.system.crew.can_spawn", lambda: spawn)
    with caplog.at_level(logging.INFO, logger="cxrfeat.choice"):
        crew_pays(steps, workers)
    assert said in caplog.text
    assert bool(caplog.records) is bool(said)
