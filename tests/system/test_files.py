from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxrfeat import errors
from cxrfeat.errors import BadImageError, CxrFeatError, StorageError
from cxrfeat.system.files import (
    TEMPORARY,
    SteadyFile,
    check_writable,
    link_or_copy,
    make_folder,
    move,
    put_folder,
    remove,
    remove_folder,
    replace_atomic,
    storage_error,
    sweep_temporaries,
    user_cache,
    user_config,
    write_atomic,
)


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


CAUSES = [
    (errno.ENOSPC, r"No space left on device. The disk is full: free some space, .* run the same command again"),
    (errno.EACCES, r"Permission denied. You may not write there: choose another folder"),
    (errno.EROFS, r"Read-only file system. .* choose another folder"),
    (errno.EDQUOT, r".*quota is used up"),
    (errno.EIO, r".*The disk reported an error"),
]


@pytest.mark.parametrize("broken", ["fsync", "replace", "write", "open"])
@pytest.mark.parametrize(("number", "message"), CAUSES)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, number: int, message: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        places = {
            "fsync": (os, "fsync"),
            "replace": (os, "replace"),
            "write": (os, "write"),
            "open": (os, "open"),
        }
        patch.setattr(*places[broken], refusing(number))
        with pytest.raises(StorageError, match=rf"Cannot write {path}: {message}.*What was finished before is kept"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_real_full_disk_says_so() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match="The disk is full"):
        replace_atomic(Path("/tmp") / "cxrfeat-never", lambda _: _fill(full))
    assert not Path("/tmp/cxrfeat-never").exists()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fill(device: Path) -> None:
    with device.open("wb", buffering=0) as file:
        file.write(b"x")


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted(temporary: Path) -> None:
        temporary.write_bytes(b"half of the ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_atomic(path, interrupted)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_private_file_is_private_before_its_first_byte(tmp_path: Path) -> None:
    seen = []

    def write(temporary: Path) -> None:
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
        temporary.write_bytes(b"secret")

    replace_atomic(tmp_path / "secret", write, private=True)
    assert seen == [0o600]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_a_plain_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "file", b"x")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="There is a file where the folder should be"):
        make_folder(tmp_path / "file")
    with pytest.raises(StorageError, match="A part of that path is a file, not a folder"):
        make_folder(tmp_path / "file" / "inside")
    with pytest.raises(StorageError, match="Cannot make the folder"):
        check_writable(tmp_path / "file")


def test_a_folder_that_cannot_be_written_is_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path / "new")
    assert names(tmp_path / "new") == []
    monkeypatch.setattr(os, "open", refusing(errno.EROFS))
    with pytest.raises(StorageError, match=r"Cannot write in .*Read-only file system"):
        check_writable(tmp_path / "new")


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    put_folder(tmp_path / "runs" / "run", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "runs" / "run").iterdir()} == {"a": b"1", "b": b"2"}
    assert names(tmp_path / "runs") == ["run"]


def test_a_folder_never_takes_the_place_of_another(tmp_path: Path) -> None:
    put_folder(tmp_path / "run", {"a": b"1"})
    with pytest.raises(StorageError, match="Something with that name already exists"):
        put_folder(tmp_path / "run", {"a": b"2"})
    assert (tmp_path / "run" / "a").read_bytes() == b"1"
    assert names(tmp_path) == ["run"]


def test_a_failed_folder_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC))
    with pytest.raises(StorageError, match="The disk is full"):
        put_folder(tmp_path / "run", {"a": b"1", "b": b"2"})
    assert names(tmp_path) == []


def test_what_killed_writers_left_is_swept_by_name(tmp_path: Path) -> None:
    def killed(name: str) -> None:
        def write(temporary: Path) -> None:
            temporary.rename(temporary)
            os.link(temporary, temporary.with_name(temporary.name + "x"))  # survives, as if nobody had tidied up

        replace_atomic(tmp_path / name, write)

    for name in ("one", "two"):
        killed(name)
    (tmp_path / "mine").touch()
    assert sum(name.startswith(TEMPORARY) for name in names(tmp_path)) == 2
    sweep_temporaries(tmp_path, "one")
    assert sum(name.startswith(TEMPORARY) for name in names(tmp_path)) == 1
    sweep_temporaries(tmp_path)
    assert sorted(names(tmp_path)) == ["mine", "one", "two"]


def test_moving_replaces_in_one_step_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refusing(errno.EXDEV))
        with pytest.raises(StorageError, match=rf"Cannot write {tmp_path / 'b'}"):
            move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"old"
    move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")
    with pytest.raises(StorageError, match=rf"Cannot delete {tmp_path}"):
        remove(tmp_path)


def test_a_folder_of_files_is_removed_and_none_is_no_error(tmp_path: Path) -> None:
    put_folder(tmp_path / "run", {"a": b"1", "b": b"2"})
    remove_folder(tmp_path / "run")
    remove_folder(tmp_path / "run")
    assert names(tmp_path) == []


def test_a_file_that_says_the_same_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def put(content: bytes) -> int:
        replace_atomic(path, lambda temporary: temporary.write_bytes(content), private=True, unless_same=True)
        assert path.read_bytes() == content
        assert [one.name for one in tmp_path.iterdir()] == ["file"], "nothing else is left"
        return path.stat().st_ino

    first = put(b"some")
    assert put(b"some") == first
    assert put(b"more") != first
    if os.name == "posix":
        path.chmod(0o644)
        put(b"more")
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_steady_file_reads_and_writes_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with SteadyFile(path) as file:
        file.seek(4)
        assert file.write(b"wide") == 4
        file.seek(0)
        file.write(memoryview(b"hi"))
        file.seek(2)
        buffer = bytearray(9)
        assert file.readinto(buffer) == 6
        assert buffer == b"\0\0wide\0\0\0"
        assert file.truncate(6) == 6
        file.check()
    assert path.read_bytes() == b"hi\0\0wi"


@pytest.mark.parametrize("broken", ["write", "ftruncate"])
def test_a_steady_file_keeps_the_first_error_and_goes_on_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "file"
    path.touch()
    with SteadyFile(path) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, broken, refusing(errno.ENOSPC))
            assert file.write(b"some") == 4
            assert file.truncate(2) == 2
        assert file.write(b"more") == 4
        with pytest.raises(OSError, match="No space left"):
            file.check()
    assert b"more" not in path.read_bytes()


def test_an_unknown_cause_still_says_what_to_do() -> None:
    assert "Check the disk and the folder" in str(storage_error("write", Path("x"), OSError("odd")))
    assert str(storage_error("write", Path("x"), OSError("odd"))).startswith("Cannot write x: odd.")


def test_user_folders_obey_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", "/somewhere/cache")
    monkeypatch.setenv("CXRFEAT_CONFIG", "/somewhere/config")
    assert (user_cache(), user_config()) == (Path("/somewhere/cache"), Path("/somewhere/config"))
    monkeypatch.delenv("CXRFEAT_CACHE")
    assert user_cache().name == "cxrfeat"


EXIT_CODES = {
    "CxrFeatError": 1,
    "UsageError": 2,
    "SpecError": 2,
    "MissingExtraError": 2,
    "InputError": 3,
    "DivergedError": 3,
    "StaleFeaturesError": 3,
    "SplitError": 3,
    "WeightsError": 3,
    "QuarantineError": 4,
    "IntegrityError": 5,
    "LockedError": 6,
    "StorageError": 7,
    "AuditError": 8,
}


def test_every_error_has_the_exit_code_of_the_contract() -> None:
    kinds = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, CxrFeatError)
    }
    assert {name: kind.exit_code for name, kind in kinds.items()} == EXIT_CODES


def test_a_bad_image_keeps_its_stage_across_processes() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(BadImageError("decode", "cut short")))
    assert (again.stage, again.reason, str(again)) == ("decode", "cut short", "decode: cut short")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_at_two_places_whether_the_file_system_links_or_not(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    (tmp_path / "one").write_bytes(b"content")
    link_or_copy(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == b"content"
    assert (tmp_path / "one").samefile(tmp_path / "two") == links
    with pytest.raises(StorageError, match=r"Cannot write .*two|three"):
        link_or_copy(tmp_path / "one", tmp_path / "nowhere" / "three")
