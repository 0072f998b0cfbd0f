from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import IntegrityError, StorageError
from cxrfeat.image.identity import Identity


def an_id(folder: Path) -> str:
    return Identity.load(folder).image_id("x")


def test_the_salt_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    assert an_id(folder) == an_id(folder)
    assert stat.S_IMODE((folder / "salt").stat().st_mode) == 0o600
    assert len((folder / "salt").read_bytes()) == 32
    assert an_id(tmp_path / "other") != an_id(folder)


def test_the_salt_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRFEAT_CONFIG", str(tmp_path / "mine"))
    assert Identity.load().image_id("x") == an_id(tmp_path / "mine")


@pytest.mark.slow
def test_two_starts_at_once_get_the_same_salt(tmp_path: Path) -> None:
    for trial in range(5):
        folder = tmp_path / str(trial)
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(an_id, [folder] * 8))) == 1
    with get_context("spawn").Pool(2) as processes:
        assert len(set(processes.map(an_id, [tmp_path / "processes"] * 2, chunksize=1))) == 1


@pytest.mark.parametrize("damage", [b"", b"short", bytes(32), b"x" * 33])
def test_a_damaged_salt_is_refused_with_advice_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "salt").write_bytes(damage)
    with pytest.raises(IntegrityError, match=r"salt is damaged.*backup; or delete it.*cxrfeat extract"):
        Identity.load(tmp_path)
    assert (tmp_path / "salt").read_bytes() == damage


def test_a_pipe_in_place_of_the_salt_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "salt")
    with pytest.raises(IntegrityError, match="damaged"):
        Identity.load(tmp_path)


def test_a_file_in_place_of_the_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"")
    with pytest.raises(StorageError, match="config"):
        Identity.load(tmp_path / "config")


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_different_names_have_different_ids(one: str, other: str) -> None:
    identity = Identity(bytes(range(32)))
    assert (identity.image_id(one) == identity.image_id(other)) == (one == other)
    assert identity.image_id(one) != identity.group_id(one)
    assert len(identity.group_id(one)) == 32


def test_a_name_that_is_not_utf8_has_an_id_of_its_own() -> None:
    identity = Identity(bytes(range(32)))
    names = ["caf\xe9", os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe8")]
    assert len({identity.image_id(name) for name in names}) == 3


def test_ids_never_change_between_versions() -> None:
    identity = Identity(bytes(range(32)))
    assert identity.image_id("COVID/1.png") == "d8e83e9dd59b0035ee791a4af45a696a"
    assert identity.group_id("patient:p") == "0b48a740866194d073bca482ad95111e"
