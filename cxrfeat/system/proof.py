"""Whether a folder bears what is done in folders of features and runs: proved there, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cxrfeat.errors import CxrFeatError, LockedError, StorageError
from cxrfeat.system.files import TEMPORARY, make_folder, remove_folder, write_atomic
from cxrfeat.system.lock import Lock


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the one above it that is there and in which it would be made.

    Raises:
        StorageError: If a file stands in its way.
    """
    for one in (folder, *folder.absolute().parents):
        if one.is_dir():
            return one
        if one.exists():
            raise StorageError(f"{one} is a file, where a folder should be. Move it away, or name another folder.")
    return Path(folder.absolute().anchor)


def prove_folder(folder: Path) -> None:
    """Write a file in a folder, put another one in its place, and lock it against a second writer.

    Args:
        folder: One that is there.

    Raises:
        StorageError: If one of the three does not work there; the message says which, and what to do.
    """
    inside = folder / f"{TEMPORARY}proof-{os.getpid()}"
    try:
        make_folder(inside)
        file = inside / "file"
        for content in (b"first", b"second"):
            write_atomic(file, content)
            if file.read_bytes() != content:
                raise StorageError(
                    f"{folder} did not give back what was written there: what is renamed has the content of before. "
                    "Choose a folder on another disk."
                )
        _prove_lock(file, folder)
    finally:
        remove_folder(inside)


def bytes_in(folder: Path) -> int:
    """How many bytes the files in a folder, and in those inside it, hold."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone meanwhile
                total += (Path(place) / name).lstat().st_size
    return total


def _prove_lock(file: Path, folder: Path) -> None:
    with Lock(file):
        try:
            with Lock(file):
                pass
        except LockedError:
            return
        except CxrFeatError as error:
            raise StorageError(str(error)) from error
    raise StorageError(
        f"{folder} is on a file system that does not lock files, so two runs could write one file at once. Choose a "
        "folder on another disk, or make sure that only one run at a time writes there."
    )
