from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.system.check import Check
from cxrfeat.system.files import user_cache, user_config
from cxrfeat.types import Status
from cxrfeat.workflow import doctor as module
from cxrfeat.workflow.doctor import Diagnosis, doctor


class Disk(NamedTuple):
    free: int


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(**fields: object) -> tuple[Diagnosis, dict[str, Check]]:
    diagnosis = doctor("resnet50", weights="random", **fields)  # type: ignore[arg-type]  # folders
    return diagnosis, {one.check: one for one in diagnosis.checks}


def test_a_machine_that_will_do_is_left_as_it_was(place: Path) -> None:
    diagnosis, checks = found()
    assert diagnosis.ok
    assert not [*place.iterdir()], "no folder is made"
    assert not user_config().exists(), "no salt either"
    assert "can be made" in checks["features folder"].value
    assert "none yet" in checks["salt"].value


def test_a_folder_that_cannot_be_used_keeps_the_job_from_running(place: Path) -> None:
    (place / "features").touch()
    diagnosis, checks = found()
    assert not diagnosis.ok
    assert [one.check for one in diagnosis.failed] == ["features folder"]
    assert "is a file" in checks["features folder"].value
    assert "name another folder" in checks["features folder"].do


def test_caches_are_told_with_their_sizes(place: Path) -> None:
    folder = user_cache() / "networks"
    folder.mkdir(parents=True)
    (folder / "one.keras").write_bytes(bytes(2_000_000))
    assert "2 MB" in found()[1]["cache networks"].value


def test_a_salt_that_others_read_is_a_warning(place: Path) -> None:
    user_config().mkdir(parents=True)
    salt = user_config() / "salt"
    salt.write_bytes(bytes(range(32)))
    salt.chmod(0o644)
    assert found()[1]["salt"].status == Status.WARN
    salt.chmod(0o600)
    assert "keep a copy" in found()[1]["salt"].value


@pytest.mark.parametrize(("free", "status"), [(10**6, "fail"), (10**9, "warn"), (10**11, "pass")])
def test_room_on_the_disk(free: int, status: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Disk(free))
    assert found(features=place)[1]["features folder"].status == Status(status)


def test_little_memory_is_a_warning(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 10**9)
    assert "Close other programs" in found()[1]["processor"].do


def test_a_network_that_there_is_not_is_the_users_mistake(place: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean resnet50"):
        doctor("resnet5")
    assert doctor("scratch").ok
