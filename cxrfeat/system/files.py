"""The only place that changes files: whole files, atomically, with the disk's own errors made readable.

A file appears complete under its final name or not at all: it is written next to its place under a temporary name,
flushed to the disk, renamed, and the folder's entry is flushed too (measured: 400 kills, no bad file).

Every change is one call of a function of `os`, so that a test can make each of them fail.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import io
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from cxrfeat.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

TEMPORARY = ".cxrfeat-tmp-"
"""Prefix of unfinished files. Whatever carries it belongs to nobody once its writer is gone."""

PROBE = "probe"
"""Name of the file by which `check_writable` proves its point."""

_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space, or choose another folder, and run the same command again.",
    errno.EDQUOT: "Your disk quota is used up: free some space and run the same command again.",
    errno.EFBIG: "The file would be larger than this system allows: choose another folder, or raise the limit.",
    errno.EACCES: "You may not write there: choose another folder, or change its permissions.",
    errno.EPERM: "You may not write there: choose another folder, or change its permissions.",
    errno.EROFS: "That file system is read-only: choose another folder.",
    errno.EIO: "The disk reported an error: check it, then run the same command again.",
    errno.EMFILE: "Too many files are open: close other programs, or raise the limit (ulimit -n).",
    errno.ENOTDIR: "A part of that path is a file, not a folder: choose another folder.",
    errno.EEXIST: "There is a file where the folder should be: choose another folder.",
    errno.ENOTEMPTY: "Something with that name already exists: choose another name, or move it away.",
}


def storage_error(action: str, path: Path, cause: OSError) -> StorageError:
    """A `StorageError` that names the action, the path, the cause and the remedy."""
    why = os.strerror(cause.errno) if cause.errno else str(cause)
    advice = _ADVICE.get(cause.errno or 0, "Check the disk and the folder, then run the same command again.")
    for variable, place in (("CXRFEAT_CACHE", user_cache()), ("CXRFEAT_CONFIG", user_config())):
        if path.is_relative_to(place):
            advice += f" The environment variable {variable} names another folder in place of {place}."
    return StorageError(f"Cannot {action} {path}: {why}. {advice} What was finished before is kept.")


@contextlib.contextmanager
def storing(action: str, path: Path) -> Iterator[None]:
    """Turn the operating system's errors inside the block into a `StorageError` about `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error


def make_folder(folder: Path, *, private: bool = False) -> None:
    """Make `folder` and its parents; `private` makes it one that only its owner enters, if it is new.

    Raises:
        StorageError: If it cannot be made.
    """
    with storing("make the folder", folder):
        os.makedirs(folder, 0o700 if private else 0o777, exist_ok=True)


def is_private(folder: Path) -> bool:
    """Whether nobody but this user, and who rules the machine, can write in a folder; so what is in it may be run."""
    if os.name != "posix":
        return True
    there = os.stat(folder)
    return there.st_uid == os.getuid() and not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def only_owner_reads(path: Path) -> bool:
    """Whether nobody but its owner can read a file."""
    return os.name != "posix" or not os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def check_writable(folder: Path) -> None:
    """Make `folder` and prove that files can be written in it, before hours of work depend on it.

    Raises:
        StorageError: If they cannot.
    """
    make_folder(folder)
    clock_of(folder)


def write_atomic(path: Path, content: bytes, *, private: bool = False) -> None:
    """Put `content` at `path`, whole or not at all; `private` makes it readable by its owner only.

    Raises:
        StorageError: If it cannot be written; whatever was at `path` before is still there.
    """
    with _in_place_of(path) as temporary:
        _put(temporary, content, private=private)


def replace_atomic(
    path: Path, write: Callable[[Path], object], *, private: bool = False, unless_same: bool = False
) -> None:
    """Let `write` make a file under a temporary name, then move it to `path` in one step.

    Args:
        path: The final place.
        write: Makes the file at the path it is given, and closes it.
        private: Owner-only permissions (0600) from the first byte on.
        unless_same: Leave a file that says the same as it is, if it is as private.

    Raises:
        StorageError: If the disk refuses; whatever was at `path` before is still there.
    """
    with _in_place_of(path) as temporary:
        os.close(_create(temporary, private=private))
        write(temporary)
        same = unless_same and path.is_file() and (not private or only_owner_reads(path))
        if same and filecmp.cmp(path, temporary, shallow=False):
            os.unlink(temporary)
        else:
            _flush(temporary)


class SteadyFile(io.RawIOBase):
    """A file to be written by a library that cannot bear a failing disk.

    Once the disk is full, HDF5 complains at every object that it lets go of, past all handlers, to the end of the
    process. So the first error is kept here and what is written after it is dropped: that file is lost anyway.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that is there, to be written anew."""
        self._handle = os.open(path, os.O_RDWR | os.O_TRUNC | getattr(os, "O_BINARY", 0))
        self._error: OSError | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def check(self) -> None:
        """Raise what went wrong.

        Raises:
            OSError: What the disk said first.
        """
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Drop whatever is written from now on."""
        self._error = self._error or OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of `data`, or remember why not."""
        content = memoryview(data).cast("B")
        if self._error is None:
            try:
                _write(self._handle, content)
            except OSError as error:
                self._error = error
        return len(content)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what was written."""
        view = memoryview(buffer).cast("B")
        content = os.read(self._handle, len(view))
        view[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place in the file."""
        return os.lseek(self._handle, offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """Give the file a size, or remember why not."""
        size = self.tell() if size is None else size
        if self._error is None:
            try:
                os.ftruncate(self._handle, size)
            except OSError as error:
                self._error = error
        return size

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            super().close()
            os.close(self._handle)


@contextlib.contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; the file that the block makes there takes the place of `path`."""
    temporary = _temporary(path)
    try:
        with storing("write", path):
            os.makedirs(path.parent, exist_ok=True)
            yield temporary
            if os.path.lexists(temporary):  # else it is not wanted
                os.replace(temporary, path)
                _flush(path.parent)
    except BaseException:  # Ctrl-C too: nothing unfinished is left behind
        with contextlib.suppress(OSError):
            _unlink(temporary)
        raise


def put_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, whole or not at all.

    Raises:
        StorageError: If the disk refuses, or something is at `path` already.
    """

    def write(folder: Path) -> None:
        for name, content in contents.items():
            _put(folder / name, content)

    build_folder(path, write)


def build_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder under a temporary name with files, then move it to `path` in one step.

    Raises:
        StorageError: If the disk refuses, or something is at `path` already.
    """
    temporary = _temporary(path)
    try:
        with storing("write", path):
            os.makedirs(temporary)
            write(temporary)
            for name in os.listdir(temporary):
                _flush(temporary / name)
            _flush(temporary)
            os.rename(temporary, path)
            _flush(path.parent)
    except BaseException:  # Ctrl-C too: nothing unfinished is left behind
        with contextlib.suppress(StorageError):
            remove_folder(temporary)
        raise


def check_space(folder: Path, size: int) -> None:
    """Check that the disk of `folder` has room, for a library that does not say so when it has not.

    Raises:
        OSError: If fewer than `size` bytes are free.
    """
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def remove(path: Path) -> None:
    """Delete a file that may already be gone.

    Raises:
        StorageError: If it cannot be deleted.
    """
    with storing("delete", path):
        _unlink(path)


def remove_folder(path: Path) -> None:
    """Delete a folder of files that may already be gone.

    Raises:
        StorageError: If it, or one of its files, cannot be deleted.
    """
    with storing("delete", path):
        if path.is_dir():
            for name in os.listdir(path):
                _unlink(path / name)
            os.rmdir(path)


def move(path: Path, to: Path, *, private: bool = False) -> None:
    """Move a finished file to another folder of the same file system, in one step.

    Args:
        path: The file.
        to: Where it goes.
        private: Make it readable by its owner only first.

    Raises:
        StorageError: If the disk refuses; whatever was at `to` before is still there.
    """
    with storing("write", to):
        if private:
            os.chmod(path, 0o600)
        os.replace(path, to)
        _flush(to.parent)


def sweep_temporaries(folder: Path, *names: str) -> None:
    """Delete what killed writers left in `folder`: of what has these names, or of anything if none is named.

    Call it only under a lock that keeps other writers of these files out.
    """
    prefixes = tuple(_prefix(name) for name in names) or TEMPORARY
    with storing("read the folder", folder):
        left = [name for name in os.listdir(folder) if name.startswith(prefixes)]
    for path in (folder / name for name in left):
        remove_folder(path) if path.is_dir() else remove(path)


def link_or_copy(path: Path, to: Path) -> None:
    """Have a file at another place too: as a second name of it where the file system allows that, else as a copy.

    Raises:
        StorageError: If the disk refuses.
    """
    with storing("write", to):
        try:
            os.link(path, to)
        except OSError:  # another file system, or one without links
            check_space(to.parent, path.stat().st_size)
            shutil.copyfile(path, to)


def touch(path: Path) -> None:
    """Set a file's time to now, by the clock of the disk it is on.

    Raises:
        OSError: If it is gone, or the disk refuses.
    """
    os.utime(path)


def clock_of(folder: Path) -> float:
    """What time it is for the disk that holds `folder`: the time of a file written there now.

    Raises:
        StorageError: If nothing can be written there.
    """
    probe = _temporary(folder / PROBE)
    with storing("write in", folder):
        try:
            with contextlib.suppress(FileNotFoundError):  # whoever took a lock here just now has swept it
                _put(probe, b"\0")  # a full disk takes an empty file
                return probe.stat().st_mtime
            _put(probe, b"\0")
            return probe.stat().st_mtime
        finally:
            _unlink(probe)


def user_cache() -> Path:
    """Where networks and converted models are kept: `$CXRFEAT_CACHE`, else the system's cache folder."""
    return Path(os.environ.get("CXRFEAT_CACHE") or platformdirs.user_cache_dir("cxrfeat", appauthor=False))


def user_config() -> Path:
    """Where the salt is kept: `$CXRFEAT_CONFIG`, else the system's configuration folder."""
    return Path(os.environ.get("CXRFEAT_CONFIG") or platformdirs.user_config_dir("cxrfeat", appauthor=False))


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_prefix(path.name)}{secrets.token_hex(8)}")


def _prefix(name: str) -> str:
    return f"{TEMPORARY}{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}-"  # of one length, whatever the name's


def _create(path: Path, *, private: bool = False) -> int:
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666)


def _put(path: Path, content: bytes, *, private: bool = False) -> None:
    """Make a file, and flush it to the disk."""
    handle = _create(path, private=private)
    try:
        _write(handle, memoryview(content))
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, content: memoryview) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process may have swept it
        os.unlink(path)


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows has no handle on a folder to flush
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
