"""The only place that calls BLAS itself: sums and products that are added to an array where it lies.

NumPy makes a new array of a product, which is written, read again and added; here the product is added as it is made.
Arrays are stored by rows or by columns without gaps, and none is copied on the way.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def product(a: Matrix, b: Matrix) -> Matrix:
    """`a @ b`, stored by columns.

    Args:
        a: `(rows, inner)` float32.
        b: `(inner, columns)` float32.

    Example:
        >>> product(np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32)).tolist()
        [[11.0]]
    """
    out = np.empty((len(a), b.shape[1]), np.float32, order="F")
    add_product(out, a, b, 1.0, keep=0.0)
    return out


def add_product(out: Matrix, a: Matrix, b: Matrix, factor: float, *, keep: float = 1.0) -> None:
    """`out = keep * out + factor * (a @ b)` in one pass.

    Args:
        out: `(rows, columns)` float32.
        a: `(rows, inner)` float32.
        b: `(inner, columns)` float32.
        factor: Of the product.
        keep: Of what was there.

    Example:
        >>> out = np.ones((1, 1), np.float32)
        >>> add_product(out, np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32), 10)
        >>> out.tolist()
        [[111.0]]
    """
    if not out.flags.f_contiguous:
        out, a, b = out.T, b.T, a.T
    assert out.flags.f_contiguous
    (a, turn_a), (b, turn_b) = _by_columns(a), _by_columns(b)
    functions().sgemm(factor, a=a, b=b, beta=keep, c=out, trans_a=turn_a, trans_b=turn_b, overwrite_c=True)


def add(out: NDArray[np.float32], array: NDArray[np.float32], factor: float) -> None:
    """`out += factor * array` in one pass; both `(n,)` float32.

    Example:
        >>> out = np.ones(2, np.float32)
        >>> add(out, np.array([1, 2], np.float32), 10)
        >>> out.tolist()
        [11.0, 21.0]
    """
    assert out.shape == array.shape
    functions().saxpy(array, out, a=factor)


@functools.cache
def functions() -> Any:  # noqa: ANN401  # SciPy has no types
    """SciPy's, once they are needed: loading them takes a quarter of a second.

    They have as many threads as SciPy's BLAS, and round differently with each number: callers give it one.
    """
    from scipy.linalg import blas

    return blas


def _by_columns(array: Matrix) -> tuple[Matrix, bool]:
    """The array or its transpose, whichever is stored by columns, and whether BLAS is to turn it back."""
    if array.flags.f_contiguous:
        return array, False
    assert array.flags.c_contiguous
    return array.T, True
