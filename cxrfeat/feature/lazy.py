"""Columns of a feature file that are not in memory as a whole, of which a million images would take gigabytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 2**27
"""Bytes from which a long column is read as it is asked for, not when the file is opened."""

LONG = ("portrait", "view_params")
"""The columns of which that may be: those with hundreds of bytes an image."""

_ROWS_AT_ONCE = 4096
_FEW = 64

Places = tuple[NDArray[np.intp], NDArray[Any]]
"""Numbers of rows, and what stands in them."""


class Lazy:
    """Stands where an array of one row for each image can: it is read as it is sliced, row by row or some at a time.

    Whoever wants it as an array takes `numpy.asarray` of it; slices and rows are arrays.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], rows: NDArray[np.intp] | None = None) -> None:
        """Note what is there; nothing is read.

        Args:
            shape: Of all that is there.
            dtype: Of its numbers.
            rows: Which rows of it this is; all of them unless given.
        """
        self._all, self.dtype, self._rows = shape, dtype, rows
        self.shape = shape if rows is None else (len(rows), *shape[1:])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows of all that is there, from one to before another."""
        raise NotImplementedError

    def only(self, rows: NDArray[np.intp]) -> Lazy:
        """Some of its rows; of these, nothing is read yet."""
        raise NotImplementedError

    def blocks(self) -> Iterator[Places]:
        """All rows, some at a time, in whatever order they are had best."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            places = np.arange(start, min(start + _ROWS_AT_ONCE, len(self)))
            yield places, self[places[0] : places[-1] + 1]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Row by row, some read at a time."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield from self[start : start + _ROWS_AT_ONCE]

    def __len__(self) -> int:
        """How many rows it has."""
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What it would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def any(self) -> bool:
        """Whether anything in it is not zero."""
        return any(bool(values.any()) for _, values in self.blocks())

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:  # noqa: ANN401  # NumPy's own
        """All of it, in memory."""
        whole = self._of(np.arange(len(self)))
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, which: Any) -> Any:  # noqa: ANN401  # whatever an array takes
        """A row by its number, some by a slice or their numbers; by a mask, lazy again where these are large."""
        if isinstance(which, int | np.integer):
            number = range(len(self))[int(which)]
            return self._of(np.array([number]))[0]
        if isinstance(which, slice):
            return self._of(np.arange(len(self))[which])
        rows = np.asarray(which) if isinstance(which, list | np.ndarray) else None
        if rows is None or rows.ndim != 1:
            return np.asarray(self)[which]
        if rows.dtype != bool:
            return self._of(np.arange(len(self))[rows])
        rows = np.flatnonzero(rows)
        some = self.only(rows if self._rows is None else self._rows[rows])
        return some if some.nbytes >= LARGE else np.asarray(some)

    def _of(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Rows by their numbers, in the order asked for."""
        rows = rows if self._rows is None else self._rows[rows]
        if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            return self.read(int(rows[0]), int(rows[-1]) + 1)
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if len(rows) <= _FEW:
            for place, row in enumerate(rows.tolist()):
                found[place] = self.read(row, row + 1)[0]
            return found
        block = rows // _ROWS_AT_ONCE
        order = np.argsort(block, kind="stable")
        for to in np.split(order, np.flatnonzero(np.diff(block[order])) + 1):
            start = int(block[to[0]]) * _ROWS_AT_ONCE
            found[to] = self.read(start, min(start + _ROWS_AT_ONCE, self._all[0]))[rows[to] - start]
        return found
