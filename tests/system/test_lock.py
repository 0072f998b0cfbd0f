"""A lock has one owner, whoever waits gets it in turn, and nobody who is gone keeps it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cxrfeat.errors import LockedError
from cxrfeat.system.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from cxrfeat.system.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_owner_at_a_time_and_nothing_of_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "thing"
    with Lock(path):
        owner = json.loads((path.parent / ".thing.owner").read_text())
        assert owner["pid"] == os.getpid()
        with pytest.raises(LockedError, match=rf"process {os.getpid()} on .*same command again"), Lock(path):
            pass
    assert not (path.parent / ".thing.owner").exists()
    with Lock(path) as lock:
        assert lock.folder == path.parent / ".thing.work"
        assert not lock.folder.exists(), "it is made by whoever needs it"


def test_locks_of_other_things_do_not_know_each_other(tmp_path: Path) -> None:
    with Lock(tmp_path / "a"), Lock(tmp_path / "b"), Lock(tmp_path / "a", "c"):
        pass


def test_whoever_waits_takes_over_when_the_owner_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    first = Lock(tmp_path / "thing")
    first.__enter__()

    def wait() -> None:
        with Lock(tmp_path / "thing", wait=30):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    order.append("first")
    first.__exit__(None, None, None)
    thread.join(30)
    assert order == ["first", "second"]


def test_waiting_ends(tmp_path: Path) -> None:
    with Lock(tmp_path / "thing"):
        began = time.monotonic()
        with pytest.raises(LockedError), Lock(tmp_path / "thing", wait=0.2):
            pass
        assert time.monotonic() - began >= 0.2


def test_an_owner_that_was_killed_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {owner.pid} on"), Lock(path):
            pass
    finally:
        owner.kill()
        owner.communicate()
    with Lock(path):
        assert json.loads((tmp_path / ".thing.owner").read_text())["pid"] == os.getpid()


def test_an_error_inside_lets_it_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(tmp_path / "thing"):
        raise ZeroDivisionError
    with Lock(tmp_path / "thing"):
        pass
