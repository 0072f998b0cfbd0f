"""The only place that calls BLAS itself: sums and products that are added to an array where it lies.

NumPy makes a new array of a product, which is written, read again and added; here the product is added as it is made.
Arrays are stored by rows or by columns without gaps, and none is copied on the way. SciPy's own functions keep Python
to themselves while they compute; called by their address they do not, so that two halves can be computed at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.process import small_products

Matrix = NDArray[np.float32]

_Half = TypeVar("_Half")

Both = Callable[[Callable[[_Half], None], tuple[_Half, ...]], None]
"""Does something with each of two halves, one after the other or at once; or with what has no halves."""


@contextlib.contextmanager
def halves() -> Iterator[Both[Any]]:
    """What does something with two halves: at once, where BLAS has several threads; within, it has one.

    The bits hang on no number of threads: BLAS's own part some products otherwise for each number. And they wait for
    each other by turning in circles, which takes whole turns of the system where another program holds their core;
    these sleep (`benchmarks/README.md`).

    Example:
        >>> told = [0, 0]
        >>> with halves() as both:
        ...     both(lambda place: told.__setitem__(place, place + 1), (0, 1))
        >>> told
        [1, 2]
    """
    from threadpoolctl import ThreadpoolController

    _function("saxpy")  # what is loaded later is not found
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    several = max((library.num_threads for library in libraries), default=1) > 1

    def quiet(work: Callable[[Any], None], half: Any) -> None:  # noqa: ANN401  # whatever the caller halves
        with np.errstate(all="ignore"):  # each thread has its own
            work(half)

    with small_products(), contextlib.ExitStack() as stack:
        other = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="half")) if several else None

        def both(work: Callable[[Any], None], parts: tuple[Any, ...]) -> None:
            if other is None or len(parts) == 1:
                for part in parts:
                    quiet(work, part)
            else:
                first = other.submit(quiet, work, parts[0])
                quiet(work, parts[1])  # which may be in more pieces: it has Python already
                first.result()

        yield both


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
        factor: Factor of the product.
        keep: What to keep of what was there; of 0 nothing is read.

    Example:
        >>> out = np.ones((1, 1), np.float32)
        >>> add_product(out, np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32), 10)
        >>> out.tolist()
        [[111.0]]
    """
    if not out.flags.f_contiguous:
        out, a, b = out.T, b.T, a.T
    (rows, columns), inner = out.shape, a.shape[1]
    assert a.shape == (rows, inner)
    assert b.shape == (inner, columns)
    assert out.flags.f_contiguous
    assert out.dtype == a.dtype == b.dtype == np.float32
    (a, turn_a), (b, turn_b) = _by_columns(a), _by_columns(b)
    _function("sgemm")(
        turn_a, turn_b, _int(rows), _int(columns), _int(inner), _float(factor), a.ctypes.data, _int(len(a)),
        b.ctypes.data, _int(len(b)), _float(keep), out.ctypes.data, _int(rows),
    )  # fmt: skip


def add(out: NDArray[np.float32], array: NDArray[np.float32], factor: float) -> None:
    """`out += factor * array` in one pass; both `(n,)` float32.

    Example:
        >>> out = np.ones(2, np.float32)
        >>> add(out, np.array([1, 2], np.float32), 10)
        >>> out.tolist()
        [11.0, 21.0]
    """
    assert out.shape == array.shape
    assert out.flags.c_contiguous
    assert array.flags.c_contiguous
    assert out.dtype == array.dtype == np.float32
    _function("saxpy")(_int(out.size), _float(factor), array.ctypes.data, _int(1), out.ctypes.data, _int(1))


@functools.cache
def _function(name: str) -> Any:  # noqa: ANN401  # of ctypes
    """SciPy's, as C sees it, once it is needed: loading it takes a quarter of a second.

    Source: SciPy's documentation of `scipy.linalg.cython_blas`, whose capsules hold the addresses.
    """
    from scipy.linalg import cython_blas

    place, said = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_GetName
    place.restype, place.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    said.restype, said.argtypes = ctypes.c_char_p, (ctypes.py_object,)
    capsule = cython_blas.__pyx_capi__[name]
    number, real = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_float)
    array, turn = ctypes.c_void_p, ctypes.c_char_p
    taken: dict[str, tuple[Any, ...]] = {
        "saxpy": (number, real, array, number, array, number),
        "sgemm": (
            turn, turn, number, number, number, real, array, number, array, number, real, array, number,
        ),
    }  # fmt: skip
    return ctypes.CFUNCTYPE(None, *taken[name])(place(capsule, said(capsule)))


def _int(number: int) -> Any:  # noqa: ANN401  # of ctypes
    return ctypes.byref(ctypes.c_int(number))


def _float(number: float) -> Any:  # noqa: ANN401  # of ctypes
    return ctypes.byref(ctypes.c_float(number))


def _by_columns(array: Matrix) -> tuple[Matrix, bytes]:
    """The array or its transpose, whichever is stored by columns, and whether BLAS is to turn it back: T or N."""
    if array.flags.f_contiguous:
        return array, b"N"
    assert array.flags.c_contiguous
    return array.T, b"T"
