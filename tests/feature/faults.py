"""A disk that fails on demand: stands in for `os` where the package changes files."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHANGES = (
    "open",
    "write",
    "fsync",
    "close",
    "replace",
    "rename",
    "makedirs",
    "unlink",
    "rmdir",
    "listdir",
    "ftruncate",
)
"""Every function of `os` that `cxrfeat.system.files` changes or lists the disk with, but the heartbeat's."""


class FaultyOs:
    """Counts the changes, and fails at one of them; or, with `lasting`, at that and every later one.

    It fails with the error `number`; 0 is no error but Ctrl-C, just before the change.
    """

    def __init__(self, place: int | None = None, number: int = 0, *, lasting: bool = False) -> None:
        self.place, self.number, self.lasting = place, number, lasting
        self.names: list[str] = []
        """The changes so far."""
        self._lock = threading.Lock()

    @property
    def reached(self) -> bool:
        """Whether it failed."""
        return self.place is not None and self.place < len(self.names)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *given, **options: self._do(name, *given, **options)) if name in CHANGES else real

    def _do(self, name: str, *given: Any, **options: Any) -> Any:
        with self._lock:
            here = len(self.names)
            self.names.append(name)
        if here == self.place and not self.number:
            os.kill(os.getpid(), signal.SIGINT)
        elif here == self.place or (self.lasting and self.reached):
            if name == "write":  # a full disk takes a part
                os.write(given[0], given[1][: len(given[1]) // 2])
            elif name == "close":
                os.close(*given)
            raise OSError(self.number, os.strerror(self.number))
        return getattr(os, name)(*given, **options)


@contextmanager
def faulty(place: int | None = None, number: int = 0, *, lasting: bool = False) -> Iterator[FaultyOs]:
    disk = FaultyOs(place, number, lasting=lasting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrfeat.system.files.os", disk)
        yield disk
