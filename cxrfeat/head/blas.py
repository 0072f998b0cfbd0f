"""The only place that calls BLAS itself: sums and products that are added to an array where it lies.

NumPy makes a new array of a product, which is written, read again and added; here the product is added as it is made.
Arrays are stored by rows or by columns without gaps, and none is copied on the way.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Matrix = NDArray[np.float32]

_INNER = 256
"""Longer sums are made of pieces of so many where that takes no copy; BLAS parts them otherwise for several threads."""


class Blas:
    """BLAS with one thread or with several, and the same bits from both.

    It parts some products differently for several threads, so that they round differently. Which ones depends on their
    shape alone, is found out when the shape first comes, and those are computed with one thread.
    """

    def __init__(self) -> None:
        """Take the number of threads that BLAS may have now as the most."""
        functions()
        self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.most: int = max((library.num_threads for library in self._libraries), default=1)
        self._threads = self.most

    def use(self, threads: int) -> None:
        """Have BLAS use so many threads from now on, in the whole process. Takes a microsecond."""
        self._threads = threads
        for library in self._libraries:
            library.set_num_threads(threads)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Give back as many threads as there were."""
        try:
            yield
        finally:
            self.use(self.most)

    def product(self, a: Matrix, b: Matrix) -> Matrix:
        """`a @ b`, stored by columns.

        Args:
            a: `(rows, inner)` float32.
            b: `(inner, columns)` float32.

        Example:
            >>> Blas().product(np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32)).tolist()
            [[11.0]]
        """
        out = np.empty((len(a), b.shape[1]), np.float32, order="F")
        if len(b) > _INNER and a.flags.f_contiguous and b.flags.c_contiguous:
            for start in range(0, len(b), _INNER):
                piece = slice(start, start + _INNER)
                self._multiply(out, a[:, piece], b[piece], 1.0, 1.0 if start else 0.0)
        else:
            self._multiply(out, a, b, 1.0, 0.0)
        return out

    def add_product(self, out: Matrix, a: Matrix, b: Matrix, factor: float, *, keep: float = 1.0) -> None:
        """`out = keep * out + factor * (a @ b)` in one pass.

        Args:
            out: `(rows, columns)` float32.
            a: `(rows, inner)` float32.
            b: `(inner, columns)` float32.
            factor: Of the product.
            keep: Of what was there.

        Example:
            >>> out = np.ones((1, 1), np.float32)
            >>> Blas().add_product(out, np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32), 10)
            >>> out.tolist()
            [[111.0]]
        """
        if out.flags.f_contiguous:
            self._multiply(out, a, b, factor, keep)
        else:
            self._multiply(out.T, b.T, a.T, factor, keep)

    def add(self, out: NDArray[np.float32], array: NDArray[np.float32], factor: float) -> None:
        """`out += factor * array` in one pass; both `(n,)` float32.

        Example:
            >>> out = np.ones(2, np.float32)
            >>> Blas().add(out, np.array([1, 2], np.float32), 10)
            >>> out.tolist()
            [11.0, 21.0]
        """
        assert out.shape == array.shape
        threads = self._begin(_Shape(out.size))
        functions().saxpy(array, out, a=factor)
        self._end(threads)

    def _multiply(self, out: Matrix, a: Matrix, b: Matrix, factor: float, keep: float) -> None:
        """`out = keep * out + factor * (a @ b)`, `out` stored by columns."""
        assert out.flags.f_contiguous
        (a, turn_a), (b, turn_b) = _by_columns(a), _by_columns(b)
        rows, columns = out.shape
        threads = self._begin(_Shape(rows, columns, a.shape[0 if turn_a else 1], turn_a, turn_b))
        functions().sgemm(factor, a=a, b=b, beta=keep, c=out, trans_a=turn_a, trans_b=turn_b, overwrite_c=True)
        self._end(threads)

    def _begin(self, shape: _Shape) -> int:
        """Go down to one thread if the threads there are would give other bits; how many there were."""
        threads = self._threads
        if threads > 1 and not self._alike(shape):
            self.use(1)
        return threads

    def _end(self, threads: int) -> None:
        """Go back to so many threads."""
        if threads != self._threads:
            self.use(threads)

    def _alike(self, shape: _Shape) -> bool:
        """Whether something of this shape rounds alike with one thread and with as many as there are."""
        threads = self._threads
        if (shape, threads) not in _ALIKE:
            try:
                self.use(1)
                alone = shape.example()
                self.use(threads)
                _ALIKE[shape, threads] = alone == shape.example()
            finally:
                self.use(threads)
        return _ALIKE[shape, threads]


class _Shape(NamedTuple):
    """Of a sum, which has rows only, or of a product."""

    rows: int
    columns: int = 0
    inner: int = 0
    turn_a: bool = False
    turn_b: bool = False

    def example(self) -> bytes:
        """The bits of one such sum or product."""
        rng = np.random.default_rng(0)
        if not self.columns:
            out, array = (rng.random(self.rows, np.float32) for _ in range(2))
            functions().saxpy(array, out, a=0.1)
            return out.tobytes()
        a, b, out = (
            np.array(rng.random(shape[::-1] if turned else shape, np.float32), order="F")
            for shape, turned in (
                ((self.rows, self.inner), self.turn_a),
                ((self.inner, self.columns), self.turn_b),
                ((self.rows, self.columns), False),
            )
        )
        functions().sgemm(0.1, a=a, b=b, beta=1.0, c=out, trans_a=self.turn_a, trans_b=self.turn_b, overwrite_c=True)
        return out.tobytes()


_ALIKE: dict[tuple[_Shape, int], bool] = {}
"""By shape and number of threads."""


@functools.cache
def functions() -> Any:  # noqa: ANN401  # SciPy has no types
    """SciPy's, once they are needed: loading them takes a quarter of a second."""
    from scipy.linalg import blas

    return blas


def _by_columns(array: Matrix) -> tuple[Matrix, bool]:
    """The array or its transpose, whichever is stored by columns, and whether BLAS is to turn it back."""
    if array.flags.f_contiguous:
        return array, False
    assert array.flags.c_contiguous
    return array.T, True
