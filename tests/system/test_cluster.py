"""Workers on a real cluster of this machine: slow, and only where Ray is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from cxrfeat.errors import InputError, UsageError
from cxrfeat.system.cluster import Cluster, ClusterSpec
from cxrfeat.system.team import Lost, Team
from tests.clusters import left, with_ray


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


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"gpus_per_worker": -1.0}, {"gpus_per_worker": float("nan")}])
def test_what_no_cluster_has_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"workers|gpus_per_worker"):
        ClusterSpec(**wrong)  # type: ignore[arg-type]  # whichever of them


@pytest.mark.slow
def test_workers_that_fail_or_die_are_replaced_and_the_cluster_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_ray(monkeypatch)
    made: dict[int, object] = {}
    killed: list[int] = []
    before = left()

    def kill(worker: int) -> None:
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    with Cluster(ClusterSpec(workers=2)) as cluster, Team[int, tuple[int, int, str]](cluster, start) as team:
        assert listening_elsewhere() == []
        for number, one in team.each(range(12)):
            made[number] = one
            if isinstance(one, tuple) and len(killed) < 2:
                threading.Thread(target=kill, args=(one[1],)).start()
    assert sorted(made) == list(range(12))
    assert made[3] == Lost("three is none")
    assert isinstance(made[4], Lost)
    assert all(one[2] == str(cluster.cores) for one in made.values() if isinstance(one, tuple))
    assert len(killed) == 2
    assert left() <= before


@pytest.mark.slow
def test_what_is_wrong_with_what_they_are_given_is_said_as_it_stands_and_more_than_there_is_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_ray(monkeypatch)
    with (
        pytest.raises(InputError, match=r"^The network is not here\.$"),
        Cluster(ClusterSpec(workers=1)) as cluster,
        Team[int, int](cluster, refuse) as team,
    ):
        list(team.each([1, 2]))
    with (
        pytest.raises(UsageError, match=r"cores on 1 machine, too few for `workers=999`"),
        Cluster(ClusterSpec(workers=999)),
    ):
        pass
