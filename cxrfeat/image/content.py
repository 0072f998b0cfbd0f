"""The bytes of a file that nobody has checked, read without ever waiting for a pipe or a device."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cxrfeat.errors import BadImageError

MAX_BYTES = 256_000_000
"""Larger files are refused unread."""


def read_file(path: Path) -> bytes:
    """The bytes of a regular file, never blocking on a pipe or a device.

    Raises:
        BadImageError: Stage `open`: not there, not readable, not a regular file, or over 256 MB.
    """
    with opened(path) as (file, size):
        content = file.read(size + 1)  # asked for more, Python makes room for it first
        if len(content) > size:  # it grows, or says nothing of its size
            content += file.read(MAX_BYTES + 1 - len(content))
    if len(content) > MAX_BYTES:
        raise BadImageError("open", _too_large(len(content)))
    return content


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file to read from, and the bytes that it says it has; for files of which not all is read.

    Raises:
        BadImageError: As `read_file`, for errors while it is read too.
    """
    try:
        _refuse_irregular(path.stat())  # before opening: opening a device may already do something
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        file = open(os.open(path, flags), "rb")  # noqa: PTH123, SIM115  # pathlib cannot open without blocking
    except OSError as error:
        raise BadImageError("open", _os_reason(error)) from None
    except ValueError:  # a NUL in the name
        raise BadImageError("open", "the name is not a file name on this system") from None
    with file:
        try:
            there = os.fstat(file.fileno())
            _refuse_irregular(there)  # again: it may have been replaced in between
            yield file, there.st_size
        except OSError as error:
            raise BadImageError("open", _os_reason(error)) from None


def _refuse_irregular(status: os.stat_result) -> None:
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        what = next((name for test, name in kinds if test(mode)), "a device")
        raise BadImageError("open", f"not a regular file but {what}")
    if status.st_size > MAX_BYTES:
        raise BadImageError("open", _too_large(status.st_size))


def _too_large(size: int) -> str:
    return f"{size / 1e6:.0f} MB; this program reads files up to {MAX_BYTES / 1e6:.0f} MB"


def _os_reason(error: OSError) -> str:
    reasons = {
        errno.ENOENT: "the file is not there",
        errno.ENOTDIR: "the file is not there",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ELOOP: "symbolic links that lead in a circle",
        errno.ENAMETOOLONG: "the name is too long for this system",
    }
    code = error.errno or 0
    return reasons.get(code) or (os.strerror(code) if code else type(error).__name__)
