"""Portraits of pictures, by their places: in memory as long as they are few, then in a temporary file."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.appearance import PORTRAIT
from cxrfeat.system.files import TEMPORARY, storing

IN_MEMORY = 100_352
"""Portraits that are held in memory, 1.6 kB each; where there are more, all of them lie in the file."""

_PAGE = 2048
_BYTES = PORTRAIT * PORTRAIT


class Album:
    """So many portraits, which are only added to. Several threads may take some at a time, while none adds."""

    def __init__(self, folder: Path | None = None) -> None:
        """None yet.

        Args:
            folder: Where the temporary file goes once there is one; without it, where the system has such files. It is
                gone when this is, and after a crash too where the system has files without a name.
        """
        self._folder = folder or Path(tempfile.gettempdir())
        self._pages: list[NDArray[np.uint8]] = []
        """Those in memory; where there is a file, only the last page, which it does not hold yet."""
        self._count = self._filed = 0
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def add(self, portrait: NDArray[np.uint8]) -> None:
        """Take one more, `(40, 40)`, which is copied.

        Raises:
            StorageError: If the file cannot be written.
        """
        place = (self._count - self._filed) % _PAGE
        if not place:
            if self._count >= IN_MEMORY:
                self._write()
            self._pages.append(np.empty((_PAGE, PORTRAIT, PORTRAIT), np.uint8))
        self._pages[-1][place] = portrait
        self._count += 1

    def take(self, places: Sequence[int] | range) -> NDArray[np.uint8]:
        """`(n, 40, 40)`: those of some pictures.

        Raises:
            StorageError: If the file cannot be read.
        """
        taken = np.empty((len(places), PORTRAIT, PORTRAIT), np.uint8)
        with storing("read portraits again in", self._folder):
            for at, place in enumerate(places):
                if place < self._filed:
                    self._read(place, taken[at])
                else:
                    page, row = divmod(place - self._filed, _PAGE)
                    taken[at] = self._pages[page][row]
        return taken

    def _read(self, place: int, portrait: NDArray[np.uint8]) -> None:
        assert self._file is not None  # something is filed
        with self._lock:
            self._file.seek(place * _BYTES)
            count = self._file.readinto(portrait.data.cast("B"))  # type: ignore[attr-defined]  # not buffered
        if count != _BYTES:
            raise OSError(f"a temporary file has lost a part from byte {place * _BYTES} on")

    def _write(self) -> None:
        """Put all pages into the file, which are full."""
        with storing("keep the portraits of many images in", self._folder):
            if self._file is None:
                # Open as long as this is.
                self._file = tempfile.TemporaryFile(prefix=TEMPORARY, dir=self._folder, buffering=0)  # noqa: SIM115
                weakref.finalize(self, self._file.close)
            self._file.seek(self._filed * _BYTES)
            for page in self._pages:
                rest = page.data.cast("B")
                while len(rest):
                    rest = rest[self._file.write(rest) :]
        self._filed = self._count
        self._pages = []
