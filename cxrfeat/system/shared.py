"""Large arrays from other processes without being sent: the one writes them to memory that the other has as well.

The memory has no name in any folder. It goes with the last process that has it open, however that ends, so nothing can
be left of it. Linux alone has such memory; elsewhere, and where it cannot be had, arrays are sent like all else.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import pickle
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SLOT = 32 * 2**20
"""Bytes of a slot; those that nobody writes to take no memory."""

_LEAST = 2**15
"""Bytes from which an array is worth a place in a slot; smaller ones are kept long after the others."""
_ALIGNED = 64

_ARRAYS = {
    "numpy": ("dtype", "ndarray"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
}
"""What NumPy makes arrays and numbers by when they are loaded."""
_PATHS = {"pathlib": ("PosixPath",), "pathlib._local": ("PosixPath",)}
"""Paths, by the names that they have in the versions of Python; only Linux has such memory."""


@dataclass(frozen=True, slots=True)
class Place:
    """A slot of another process's memory, where it can be opened."""

    path: str
    size: int
    """Bytes of all slots."""
    start: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A value whose large arrays are in a slot."""

    rest: bytes
    spans: tuple[tuple[int, int], ...]
    """First byte and length of each, in the slot."""


class Slots:
    """Memory that several processes have together, in slots; a slot is free again when no array in it is used here."""

    def __init__(self, count: int) -> None:
        """Ask the system for it.

        Args:
            count: Slots.
        """
        self._free: list[int] = []
        self._lock = threading.Lock()
        self._size = count * SLOT
        self._map: mmap.mmap | None = None
        self._file = -1
        try:
            self._file = os.memfd_create(
                f"cxrfeat-{os.getpid()}"
            )  # not handed on to any process: each opens it by this one's number
            os.ftruncate(self._file, self._size)
            self._map = mmap.mmap(self._file, self._size)
        except (AttributeError, OSError, OverflowError):  # no Linux, or not so much to be had
            self.close()
            return
        self._free.extend(range(count))

    def take(self) -> Place | None:
        """A slot for another process to write to, of those that were used last; `None` if there is none."""
        with self._lock:
            if not self._free:
                return None
            slot = self._free.pop()
        return Place(path=f"/proc/{os.getpid()}/fd/{self._file}", size=self._size, start=slot * SLOT)

    def give_back(self, place: Place) -> None:
        """Say that nothing uses a slot any more."""
        with self._lock:
            self._free.append(place.start // SLOT)

    def unpack(self, packed: Packed, place: Place) -> Any:  # noqa: ANN401  # whatever was packed
        """The value; its large arrays lie in the slot, which they give back when they go."""
        if not packed.spans:
            self.give_back(place)
            return _Known(packed.rest).load()
        assert self._map is not None, "a slot of no memory"
        lease = (ctypes.c_char * SLOT).from_buffer(self._map, place.start)
        weakref.finalize(lease, self.give_back, place).atexit = False
        whole = memoryview(lease).cast("B")
        return _Known(packed.rest, [whole[start : start + length] for start, length in packed.spans]).load()

    def close(self) -> None:
        """Keep it no longer than arrays that lie in it are used."""
        self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _Known(pickle.Unpickler):
    """Makes the package's own values, paths and arrays; nothing else, so that loading runs no other code."""

    def __init__(self, rest: bytes, buffers: Sequence[memoryview] = ()) -> None:
        super().__init__(io.BytesIO(rest), buffers=buffers)

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  # a class, or a function of NumPy's
        """A class of the package, a path, or what makes an array.

        Raises:
            pickle.UnpicklingError: If it is anything else.
        """
        found = super().find_class(module, name) if _may_hold(module, name) else None
        if found is None or (module not in _ARRAYS and not isinstance(found, type)):
            raise pickle.UnpicklingError(f"{module}.{name} is not a value that processes send each other")
        return found


def _may_hold(module: str, name: str) -> bool:
    return name in (*_ARRAYS.get(module, ()), *_PATHS.get(module, ())) or (
        module.startswith("cxrfeat.") and "." not in name
    )


def pack(value: object, place: Place) -> Packed | None:
    """Put the large arrays of a value into a slot of the process that it is for; `None` where that cannot be."""
    arrays: list[pickle.PickleBuffer] = []

    def take(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < _LEAST:
            return True  # among the rest
        arrays.append(buffer)
        return False

    rest = pickle.dumps(value, protocol=5, buffer_callback=take)
    spans = _spans([each.raw().nbytes for each in arrays])
    if not spans:
        return Packed(rest=rest, spans=())
    if sum(spans[-1]) > SLOT:
        return None
    try:
        memory = _opened(place.path, place.size)
    except OSError:
        return None
    for each, (start, length) in zip(arrays, spans, strict=True):
        memory[place.start + start : place.start + start + length] = each.raw()
    return Packed(rest=rest, spans=spans)


def _spans(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    spans, start = [], 0
    for length in lengths:
        spans.append((start, length))
        start += -(-length // _ALIGNED) * _ALIGNED
    return tuple(spans)


@lru_cache(maxsize=1)
def _opened(path: str, size: int) -> mmap.mmap:
    file = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(file, size)
    finally:
        os.close(file)
