"""The lock of a feature file: one writer, on one machine and across machines, and no dead owner in the way."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxrfeat.errors import LockedError
from cxrfeat.feature.work import Work
from cxrfeat.system.lock import BEAT, SILENCE

HOLD = """
import sys, time
from pathlib import Path
from cxrfeat.feature.work import Work
with Work(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path: Path, **environment: str) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("locking", ["TRUE", "FALSE"])
def test_a_second_writer_is_refused_at_once_and_a_killed_owner_leaves_no_lock(tmp_path: Path, locking: str) -> None:
    path = tmp_path / "features" / "set-net-01234567.h5"
    owner = hold(path, HDF5_USE_FILE_LOCKING=locking)
    try:
        start = time.monotonic()
        with pytest.raises(LockedError, match=rf"process {owner.pid} on .*same command again"), Work(path):
            pass
        assert time.monotonic() - start < 2.0
    finally:
        owner.kill()
        owner.wait()
        assert owner.stdout is not None
        owner.stdout.close()
    start = time.monotonic()
    with Work(path):
        assert time.monotonic() - start < SILENCE + 4.0


def test_two_files_of_one_folder_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with Work(tmp_path / "a.h5"), Work(tmp_path / "b.h5"):
        assert {path.name for path in tmp_path.glob(".*.owner")} == {".a.owner", ".b.owner"}
    assert not list(tmp_path.glob(".*.owner"))


def owner_elsewhere(path: Path, *, silent_for: float) -> Path:
    """The mark of an owner on another machine, whose last beat was a while ago."""
    owner = path.with_name(f".{path.stem}.owner")
    owner.write_text('{"host":"elsewhere","pid":1}')
    beat = time.time() - silent_for
    os.utime(owner, (beat, beat))
    return owner


def test_an_owner_on_another_machine_that_beats_keeps_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    owner_elsewhere(path, silent_for=BEAT)
    with pytest.raises(LockedError, match="process 1 on elsewhere"), Work(path):
        pass


def test_an_owner_on_another_machine_that_fell_silent_is_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    owner = owner_elsewhere(path, silent_for=SILENCE + 1)
    with Work(path):
        assert platform.node() in owner.read_text()


def test_an_owner_beats(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with Work(path):
        owner = path.with_name(".a.owner")
        os.utime(owner, (0, 0))
        deadline = time.monotonic() + 10 * BEAT
        while owner.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert time.time() - owner.stat().st_mtime < 10 * BEAT
