"""The only place that calls BLAS itself: sums and products that are added to an array where it lies.

NumPy makes a new array of a product, which is written, read again and added; here the product is added as it is made.
Arrays are stored by columns, as BLAS wants them, and none is copied on the way.
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
        a: `(rows, inner)` float32, stored by rows or by columns without gaps.
        b: `(inner, columns)` float32, likewise.

    Example:
        >>> product(np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32)).tolist()
        [[11.0]]
    """
    (a, turn_a), (b, turn_b) = _by_columns(a), _by_columns(b)
    made: Matrix = _blas().sgemm(1.0, a=a, b=b, trans_a=turn_a, trans_b=turn_b)
    return made


def add_product(out: Matrix, a: Matrix, b: Matrix, factor: float) -> None:
    """`out += factor * (a @ b)` in one pass.

    Args:
        out: `(rows, columns)` float32, stored by columns.
        a: `(rows, inner)` float32, stored by rows or by columns without gaps.
        b: `(inner, columns)` float32, likewise.
        factor: Of the product.

    Example:
        >>> out = np.ones((1, 1), np.float32)
        >>> add_product(out, np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32), 10)
        >>> out.tolist()
        [[111.0]]
    """
    assert out.flags.f_contiguous
    (a, turn_a), (b, turn_b) = _by_columns(a), _by_columns(b)
    _blas().sgemm(factor, a=a, b=b, beta=1.0, c=out, trans_a=turn_a, trans_b=turn_b, overwrite_c=True)


def add(out: Matrix, array: Matrix, factor: float) -> None:
    """`out += factor * array` in one pass; both float32, stored by columns.

    Example:
        >>> out = np.ones((1, 2), np.float32)
        >>> add(out, np.array([[1, 2]], np.float32), 10)
        >>> out.tolist()
        [[11.0, 21.0]]
    """
    assert out.flags.f_contiguous and array.flags.f_contiguous and out.shape == array.shape  # noqa: PT018  # one thing
    _blas().saxpy(array.T.reshape(-1), out.T.reshape(-1), a=factor)


def _by_columns(array: Matrix) -> tuple[Matrix, bool]:
    """The array or its transpose, whichever is stored by columns, and whether BLAS is to turn it back."""
    if array.flags.f_contiguous:
        return array, False
    assert array.flags.c_contiguous
    return array.T, True


@functools.cache
def _blas() -> Any:  # noqa: ANN401  # SciPy has no types
    """SciPy's, once it is needed: loading it takes a quarter of a second."""
    from scipy.linalg import blas

    return blas
