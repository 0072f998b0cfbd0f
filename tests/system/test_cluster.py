"""Workers on a real cluster of this machine: slow, and only where Ray is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.system.cluster import Cluster, ClusterSpec, Lost

IN_RAY = pytest.mark.slow


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray, and these tests where its workers can import them."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))


def start() -> Callable[[int], tuple[int, int, str]]:
    return work


def work(number: int) -> tuple[int, int, str]:
    time.sleep(0.2)
    if number == 3:
        raise ValueError("three is none")
    if number == 4:
        os._exit(1)
    return number, os.getpid(), os.environ["OMP_NUM_THREADS"]


def refuse() -> Callable[[int], int]:
    raise InputError("The network is not here.")


def listening_elsewhere() -> list[str]:
    """What Ray listens at that is not loopback."""
    said = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    ours = [
        line for line in said.splitlines() if "ray" in line or "gcs_server" in line or f"pid={os.getpid()}," in line
    ]
    return [line for line in ours if "127.0.0.1" not in line.split()[3]]


def ray_processes() -> set[str]:
    """Those of all clusters of this machine."""
    command = ["pgrep", "-f", "raylet|gcs_server|ray::"]
    return set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"gpus_per_worker": -1.0}, {"gpus_per_worker": float("nan")}])
def test_what_no_cluster_has_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"workers|gpus_per_worker"):
        ClusterSpec(**wrong)  # type: ignore[arg-type]  # whichever of them


@IN_RAY
@pytest.mark.usefixtures("ray")
def test_workers_that_fail_or_die_are_replaced_and_the_cluster_is_gone_afterwards() -> None:
    made: dict[int, object] = {}
    killed: list[int] = []
    before = ray_processes()

    def kill(worker: int) -> None:
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    with Cluster[int, tuple[int, int, str]](ClusterSpec(workers=2)) as cluster:
        assert listening_elsewhere() == []
        for number, one in cluster.each(start, list(range(12)), ready=lambda: None):
            made[number] = one
            if isinstance(one, tuple) and len(killed) < 2:
                threading.Thread(target=kill, args=(one[1],)).start()
    assert sorted(made) == list(range(12))
    assert made[3] == Lost("three is none")
    assert isinstance(made[4], Lost)
    assert all(one[2] == str(cluster.cores) for one in made.values() if isinstance(one, tuple))
    assert len(killed) == 2
    assert ray_processes() <= before


@IN_RAY
@pytest.mark.usefixtures("ray")
def test_what_is_wrong_with_what_they_are_given_is_said_as_it_stands_and_more_than_there_is_is_refused() -> None:
    with (
        pytest.raises(InputError, match=r"^The network is not here\.$"),
        Cluster[int, int](ClusterSpec(workers=1)) as cluster,
    ):
        list(cluster.each(refuse, [1, 2], ready=lambda: None))
    with (
        pytest.raises(UsageError, match=r"cores on 1 machine, too few for `workers=999`"),
        Cluster(ClusterSpec(workers=999)),
    ):
        pass
