"""What the audit knows of an image without its pixels: a mean, a border, a thumbnail, a portrait, a digest.

The numbers are exact sums of pixels over a grid, so they are the same on every machine. One pass adds up the cells of
the grid, another hashes the pixels, and neither holds the interpreter's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.system.compiled import Compiled
from cxrfeat.types import Grey

PORTRAIT = 40
"""Cells along a portrait's side. With 32, copies and images of different people lie closer together (see `duplicate`);
with 48, no further apart."""

_THUMBNAIL = 8
_GRID = 32
"""Cells that the thumbnail of a deep or tiny image is put together from; others use the portrait's, whose edges it
shares as well."""
_PARTS = np.kron(np.eye(_THUMBNAIL), np.ones(PORTRAIT // _THUMBNAIL))
"""`(8, 40)`: which rows of the portrait's grid, or columns, each of the thumbnail's is made of."""
_NEAR_BLACK = 8
_NARROW = 257
"""Bytes whose sum fits in 16 bits."""

KERNEL = Compiled("cxrfeat.image.kernel")

_STEPS = 0.3
"""How long a look takes without it, the digest apart, as many times what one view takes."""

_Sums = NDArray[np.unsignedinteger] | NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one image looks, in 1.7 kB."""

    mean_grey: float
    """Mean grey value, 0 to 255."""
    black_border: float
    """Fraction of the area in rows and columns at the edges where no pixel is over 8 of 255."""
    thumbnail: NDArray[np.uint8]
    """`(8, 8)`: the mean of each cell of an 8 x 8 grid."""
    portrait: NDArray[np.uint8]
    """`(40, 40)`: the mean of each cell of a 40 x 40 grid, the darkest as 0 and the brightest as 255: what
    near-duplicates are found by. So an image of few grey levels keeps its detail, and one copy is as bright as the
    other. An image of one value is 0."""
    pixel_digest: int
    """64 bits; equal exactly when the pixels are equal."""


def look(grey: Grey) -> Look:
    """All of this module for one image; 0.15 ms for 299 x 299 pixels, 1.2 ms for a megapixel, most of it the digest.

    Args:
        grey: `(h, w)`, as `decode` gives it.

    Example:
        >>> look(np.full((64, 64), 7, np.uint8)).black_border
        1.0
    """
    exact = grey.dtype == np.uint8 and min(grey.shape) >= PORTRAIT  # sums of bytes, whatever is added to what
    if exact and (kernel := KERNEL.functions(_STEPS)) is not None:
        return _compiled_look(kernel, grey)
    sums = _cells(grey, PORTRAIT)
    areas = _areas(*_enlarged(grey.shape, PORTRAIT), PORTRAIT)
    if exact:
        coarse = _PARTS @ sums @ _PARTS.T  # as `_together`, in half the time
        mean = int(coarse.sum()) / grey.size
        thumbnail = _rounded(coarse / _areas(*grey.shape, _THUMBNAIL))
    else:
        mean = float(grey.mean(dtype=np.float64))
        thumbnail = _rounded(
            _together(_cells(grey, _GRID)) / _together(_areas(*_enlarged(grey.shape, _GRID), _GRID))
        )  # fmt: skip
    return Look(
        mean_grey=mean,
        black_border=_border(grey.shape, *map(_black, (grey, grey[::-1], grey.T, grey.T[::-1]))),
        thumbnail=thumbnail,
        portrait=_stretched(sums / areas),
        pixel_digest=pixel_digest(grey),
    )


def _compiled_look(kernel: Any, grey: Grey) -> Look:  # noqa: ANN401  # a module
    """The same in a quarter of the time, the digest apart."""
    sums = np.empty((PORTRAIT, PORTRAIT))
    portrait, thumbnail = (np.empty((side, side), np.uint8) for side in (PORTRAIT, _THUMBNAIL))
    black = np.empty(4, np.int64)
    kernel.look(np.ascontiguousarray(grey), _NEAR_BLACK, sums, portrait, thumbnail, black)
    return Look(
        mean_grey=int(sums.sum()) / grey.size,
        black_border=_border(grey.shape, *black.tolist()),
        thumbnail=thumbnail,
        portrait=portrait,
        pixel_digest=pixel_digest(grey),
    )


def pixel_digest(grey: Grey) -> int:
    """64 bits of BLAKE2b over shape, type and values: one number for the same pixels in whatever file they came.

    Example:
        >>> image = np.zeros((2, 3), np.uint8)
        >>> pixel_digest(image) == pixel_digest(image.copy()), pixel_digest(image) == pixel_digest(image.T)
        (True, False)
    """
    height, width = grey.shape
    kind = grey.dtype.type.__name__  # `dtype.name` takes ten times as long
    digest = blake2b(f"{height} {width} {kind}".encode(), digest_size=8)
    digest.update(np.ascontiguousarray(grey, grey.dtype.newbyteorder("<")).data)
    return int.from_bytes(digest.digest(), "little")


def _border(shape: tuple[int, ...], top: int, bottom: int, left: int, right: int) -> float:
    """Fraction of the area in this many rows and columns at the edges."""
    height, width = shape
    inside = (height - top - bottom) * (width - left - right) if top < height else 0
    return (height * width - inside) / (height * width)


def _black(lines: Grey) -> int:
    """How many lines from the first on have no pixel over 8. Mostly none or few, so no more are read than need be."""
    if lines[0, lines.shape[1] // 2] > _NEAR_BLACK:
        return 0
    done, more = 0, 1
    while done < len(lines):
        if lines[done : done + more].max() > _NEAR_BLACK:
            return done if more == 1 else done + int(np.argmax(lines[done : done + more].max(axis=1) > _NEAR_BLACK))
        done, more = done + more, 2 * more
    return len(lines)


def _stretched(means: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = means.min(), means.max()
    if high == low:
        return np.zeros(means.shape, np.uint8)
    return _rounded((means - low) * (255 / (high - low)))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    whole: NDArray[np.float64] = np.rint(values)
    return whole.astype(np.uint8)


def _together(cells: NDArray[Any]) -> NDArray[Any]:
    """Sums over the cells of a finer grid for each of the thumbnail's."""
    part = len(cells) // _THUMBNAIL
    together: NDArray[Any] = cells.reshape(_THUMBNAIL, part, _THUMBNAIL, part).sum(axis=(1, 3))
    return together


def _cells(grey: Grey, side: int) -> _Sums:
    """`(side, side)`: the sum of the pixels in each cell of a grid."""
    height, width = _enlarged(grey.shape, side)
    if (height, width) != grey.shape:
        grey = grey.repeat(height // grey.shape[0], axis=0).repeat(width // grey.shape[1], axis=1)
    if grey.dtype == np.uint8:
        rows, columns = -(-height // side), -(-width // side)  # of a cell, at most
        strips = _added(grey, side, np.uint16 if rows <= _NARROW else np.uint32)
        return _added(strips.T, side, np.uint16 if rows * columns <= _NARROW else np.uint32).T
    strips = _added(grey, side, np.float64)
    return np.add.reduceat(strips, _bands(width, side).starts, axis=1)  # the last bit hangs on the order


def _enlarged(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Height and width by which a grid is laid: of an image with fewer rows or columns, each counts several times."""
    height, width = shape
    if min(height, width) >= side:
        return height, width
    return -(-side // height) * height, -(-side // width) * width


@lru_cache(maxsize=64)
def _areas(height: int, width: int, side: int) -> NDArray[np.float64]:
    """`(side, side)`: how many pixels each cell of a grid has."""
    rows, columns = (_bands(length, side).lengths.astype(np.float64) for length in (height, width))
    return np.outer(rows, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bands:
    """Lines in this many bands, some of which are one line longer than the others."""

    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    order: NDArray[np.intp]
    """The lines: the first of every band, the second of every band, ..., then the additional ones of the longer."""
    places: NDArray[np.intp]
    """Where each band stands among the first ones: the longer stand before the others."""


@lru_cache(maxsize=64)
def _bands(length: int, count: int) -> _Bands:
    starts = np.arange(count) * length // count
    lengths = np.diff(starts, append=length)
    longer_first = np.argsort(-lengths, kind="stable")
    each = np.arange(length // count)
    order = (starts[longer_first] + each[:, None]).ravel()
    more = starts[longer_first[: length % count]] + len(each)
    return _Bands(
        starts=starts, lengths=lengths, order=np.concatenate([order, more]), places=np.argsort(longer_first)
    )  # fmt: skip


def _added(lines: NDArray[Any], count: int, total: type[np.generic]) -> NDArray[Any]:
    """`(count, n)`: the sum of the lines of each band, one after the other; a few calls, however many bands."""
    bands = _bands(len(lines), count)
    lines = lines.take(bands.order, axis=0)
    each, more = divmod(len(lines), count)
    sums: NDArray[Any] = np.add.reduce(lines[: each * count].reshape(each, -1), axis=0, dtype=total).reshape(count, -1)
    sums[:more] += lines[each * count :]
    return sums.take(bands.places, axis=0)
