from __future__ import annotations

import errno
import os
from pathlib import Path

import filelock
import pytest

from cxrfeat.errors import StorageError
from cxrfeat.system.proof import bytes_in, nearest_folder, prove_folder


def test_a_folder_that_will_do_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"12345")
    prove_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert bytes_in(tmp_path) == 5


def test_the_folder_that_another_would_be_made_in(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path) == tmp_path
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file"):
        nearest_folder(tmp_path / "file" / "b")


def test_what_the_disk_refuses_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StorageError, match="read-only"):
            prove_folder(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_disk_that_gives_back_what_was_there_before_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"first")
    with pytest.raises(StorageError, match="did not give back what was written"):
        prove_folder(tmp_path)


def test_a_file_system_that_does_not_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filelock.FileLock, "acquire", lambda self: None)
    monkeypatch.setattr(filelock.FileLock, "release", lambda self: None)
    with pytest.raises(StorageError, match="does not lock files"):
        prove_folder(tmp_path)
    assert not [*tmp_path.iterdir()]
