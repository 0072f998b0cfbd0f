"""Shards by workers: ones that are called here, processes, and those of a real cluster, where some are killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cxrfeat
from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.feature import remote
from cxrfeat.feature.task import Computing
from cxrfeat.image.row import Selection
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.attempt import DEATHS
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.devices import VISIBLE
from cxrfeat.system.process import threads
from tests.clusters import Killer, Twice, beheaded, left, with_ray
from tests.feature.images import break_image, extract, make_data
from tests.places import Here
from tests.stub import StubEngine, stub_request


def on_cluster(data: Path, features: Path, **options: Any) -> Any:
    requests = [stub_request("one"), stub_request("two", weights="1" * 64, storage="float16")]
    return extract(data, features, *requests, cluster=ClusterSpec(workers=2), **options)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    monkeypatch.setattr(Computing, "place", lambda self: self.cluster and Here())
    return make_data(tmp_path / "data")


def test_the_files_are_those_of_this_process_with_bad_images_and_progress(tmp_path: Path, data: Path) -> None:
    break_image(data / "A" / "image0.png")
    told: list[tuple[str, int, int]] = []
    made = on_cluster(data, tmp_path / "f", progress=lambda *one: told.append(one))
    local = extract(data, tmp_path / "l", stub_request("one"), stub_request("two", weights="1" * 64, storage="float16"))
    assert [one.path.read_bytes() for one in made] == [one.path.read_bytes() for one in local]
    assert [one.path for one in made[0].quarantined] == ["A/image0.png"]
    assert told[-1] == ("two", 24, 24)
    assert made[0].workers == Here.described
    assert made[0].rows_computed == 11


def test_a_shard_that_is_set_aside_names_its_images_and_the_rest_is_kept(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer = remote._Computer.__call__

    def fails(self: Any, parcel: Any) -> list[bytes]:
        if parcel.index == 1:
            raise OSError("it fell over")
        return computer(self, parcel)

    monkeypatch.setattr(remote._Computer, "__call__", fails)
    with pytest.raises(InputError, match=r"1 shard of 4 images failed each time.*it fell over.*image\d.png"):
        on_cluster(data, tmp_path / "f", batch=4)
    assert not list((tmp_path / "f").glob("*.h5"))
    monkeypatch.setattr(remote._Computer, "__call__", computer)
    made = on_cluster(data, tmp_path / "f", batch=4)
    assert made[0].rows_computed == 4


class Noting(StubEngine):
    """Says which device it sees."""

    def __init__(self, network: Network, spec: FeatureSpec, batch: int, threads: int) -> None:
        super().__init__(network, spec, batch, threads, pause=0.1)
        assert network.path is not None
        with (network.path / "seen").open("a") as file:
            file.write(f"{os.environ[VISIBLE]} {os.getpid()}\n")


def test_devices_have_a_process_each_and_whoever_dies_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    data = make_data(tmp_path / "data", 10)
    request = stub_request()
    there = replace(request, network=replace(request.network, path=tmp_path))
    killed: list[int] = []

    def kill(what: str, done: int, total: int) -> None:
        del what, total
        if done > 1 and not killed:
            killed.append(int((tmp_path / "seen").read_text().split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    computing = Computing("stub", Noting, 4, devices=("GPU-a", "GPU-b"))
    (made,) = extract(data, tmp_path / "f", there, computing=computing, progress=kill)
    (plain,) = extract(data, tmp_path / "plain")
    assert killed
    assert made.path.read_bytes() == plain.path.read_bytes()
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    assert {device for device, _ in seen} == {"GPU-a", "GPU-b"}
    again = [device for device, process in seen[2:]]  # where the other was not done with the rest before
    assert again in ([], [next(device for device, process in seen if int(process) == killed[0])])
    assert made.workers == "2 workers, one a device"


@pytest.mark.slow
def test_shards_of_a_real_cluster_are_those_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_ray(monkeypatch)
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    data, before = make_data(tmp_path / "data"), left()
    (made,) = extract(data, tmp_path / "f", computing=Computing("stub", StubEngine, 4, ClusterSpec(workers=2)))
    (plain,) = extract(data, tmp_path / "plain")
    assert made.path.read_bytes() == plain.path.read_bytes()
    assert made.workers == f"2 workers of {max(1, threads() // 2)} cores on a cluster".replace("1 cores", "1 core")
    assert left() <= before, "the cluster is gone"


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["gcs_server", "raylet"])
def test_a_cluster_that_dies_is_told_and_what_it_computed_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whom: str
) -> None:
    with_ray(monkeypatch)
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    data, before = make_data(tmp_path / "data"), left()
    said = beheaded(str(data), whom)
    assert (said.returncode, said.stdout[:20]) == (3, "The cluster is gone,"), said.stderr
    assert "What was finished is kept; run the same command again" in said.stdout
    assert left() <= before, "nothing is left of it"
    (made,) = extract(data, tmp_path / "f", batch=4)
    assert 0 < made.rows_reused < 12
    (plain,) = extract(data, tmp_path / "plain", batch=4)
    assert made.path.read_bytes() == plain.path.read_bytes()


@pytest.mark.slow
@pytest.mark.weights
def test_workers_killed_at_random_and_shards_done_twice_change_no_bit_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path
) -> None:
    with_ray(monkeypatch)
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    monkeypatch.setattr(remote, "Team", Twice)
    monkeypatch.setattr(Twice, "notes", tmp_path / "attempts", raising=False)
    mobilenet = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    given: Any = {"backbone": mobilenet, "preprocess": "tf", "engine": "onnx", "views": 4}
    given["selection"] = Selection(limit=40)
    before, kill = left(), Killer(most=10)
    (plain,) = cxrfeat.extract(shared / "data" / "cxr299", features=tmp_path / "plain", **given).files
    (made,) = cxrfeat.extract(
        shared / "data" / "cxr299", features=tmp_path / "f", cluster=ClusterSpec(workers=2), progress=kill, **given
    ).files
    assert len(kill.killed) == 10
    assert made.path.read_bytes() == plain.path.read_bytes()
    attempts = Twice.attempts()
    shards = 15
    assert len(attempts) == shards + shards // 5, "every fifth twice"
    assert max(attempts.values()) <= DEATHS
    assert len(attempts) < sum(attempts.values()) <= len(attempts) + len(kill.killed), "again is done only what died"
    assert left() <= before, "the cluster is gone"
