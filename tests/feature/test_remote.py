"""Shards by workers: here ones that are called, and on a real cluster, where some are killed, in a slow test."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.backbone.network import Network
from cxrfeat.errors import InputError
from cxrfeat.feature import remote
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.task import Computing
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.cluster import ClusterSpec, Lost
from tests.feature.images import break_image, extract, make_data
from tests.stub import StubEngine, stub_request


class Called:
    """A cluster of this process, which loses whatever it is told to."""

    lost: tuple[int, ...] = ()
    described = "1 worker of 1 core on a cluster"

    def __init__(self, spec: ClusterSpec) -> None:
        del spec

    def __class_getitem__(cls, _: object) -> type[Called]:
        return cls

    def __enter__(self) -> Called:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def each(
        self, start: Callable[[], Callable[[Any], Any]], things: Sequence[Any], *, ready: Callable[[], object]
    ) -> Iterator[tuple[int, Any]]:
        work = start()
        ready()
        for number in reversed(range(len(things))):
            yield number, Lost("it fell over") if number in self.lost else work(things[number])


def on_cluster(data: Path, features: Path, **options: Any) -> Any:
    requests = [stub_request("one"), stub_request("two", weights="1" * 64, storage="float16")]
    return extract(data, features, *requests, cluster=ClusterSpec(workers=2), **options)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    monkeypatch.setattr(remote, "Cluster", Called)
    monkeypatch.setattr(Called, "lost", ())
    return make_data(tmp_path / "data")


def test_the_files_are_those_of_this_process_with_bad_images_and_progress(tmp_path: Path, data: Path) -> None:
    break_image(data / "A" / "image0.png")
    told: list[tuple[str, int, int]] = []
    made = on_cluster(data, tmp_path / "f", progress=lambda *one: told.append(one))
    local = extract(data, tmp_path / "l", stub_request("one"), stub_request("two", weights="1" * 64, storage="float16"))
    assert [one.path.read_bytes() for one in made] == [one.path.read_bytes() for one in local]
    assert [one.path for one in made[0].quarantined] == ["A/image0.png"]
    assert told[-1] == ("two", 24, 24)
    assert made[0].workers == Called.described
    assert made[0].rows_computed == 11


def test_a_shard_that_is_set_aside_names_its_images_and_the_rest_is_kept(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Called, "lost", (1,))
    with pytest.raises(InputError, match=r"1 shard of 4 images failed each time.*it fell over.*image\d.png"):
        on_cluster(data, tmp_path / "f", batch=4)
    assert not list((tmp_path / "f").glob("*.h5"))
    monkeypatch.setattr(Called, "lost", ())
    made = on_cluster(data, tmp_path / "f", batch=4)
    assert made[0].rows_computed == 4


class Dear(StubEngine):
    """Slow enough to be killed at it."""

    def __init__(self, network: Network, spec: FeatureSpec, batch: int, threads: int) -> None:
        super().__init__(network, spec, batch, threads, pause=0.15)


@pytest.mark.slow
def test_workers_killed_at_random_change_no_bit_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    monkeypatch.setattr("cxrfeat.feature.plan._LEAST_VIEWS", 8)
    data = make_data(tmp_path / "data", 60)
    computing = Computing("stub", Dear, 4, ClusterSpec(workers=2))
    killed, chance = [], random.Random(0)

    def kill(what: str, done: int, total: int) -> None:
        del what, total
        said = subprocess.run(["pgrep", "-f", "ray::_Worker"], capture_output=True, text=True, check=False).stdout
        if done > 1 and (workers := said.split()):  # whenever a shard has come
            killed.append(chance.choice(workers))
            with contextlib.suppress(ProcessLookupError):  # it ends by itself
                os.kill(int(killed[-1]), signal.SIGKILL)

    (made,) = extract(data, tmp_path / "f", stub_request(views=4), computing=computing, progress=kill)
    (plain,) = extract(data, tmp_path / "plain", stub_request(views=4))
    assert len(killed) >= 10
    assert made.path.read_bytes() == plain.path.read_bytes()
    with FeatureFile(made.path) as file:
        assert file.images == 120
