"""How the weights of a small network move against the slope of its loss.

All weights lie in one array, so that what is done to each of them is done in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.blas import Both, Matrix, add, add_product
from cxrfeat.spec import HeadSpec

BETAS, EPSILON = (0.9, 0.999), 1e-7
"""Of Adam, as in Keras."""

_PIECE = 2**15
"""Weights that are moved at a time: with slopes and memory they stay in a core's own cache."""

_WIDE = 64
"""Columns of the first matrix from which it is halved."""


class Half(NamedTuple):
    """One of two halves of matrices; or all of them, where they have no halves."""

    where: slice
    """Its numbers in `Matrices.whole`."""
    columns: list[tuple[int, slice]]
    """Which of `Matrices.parts`, and of each which columns; the first of them is the first part."""


Flat = NDArray[np.float32]
"""`(n,)`."""


class Matrices:
    """Matrices that lie one after another in one array: the first by columns, which is fastest, the others by rows.

    Columns of 4096 bytes, of 1024 features, would all fall on the same few places of a core's cache, and adding to them
    takes a fifth longer; so rows of zeros are added to such a matrix.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Zeros of these shapes."""
        (rows, units), *others = shapes
        rows = padded(rows)
        self.whole = np.zeros(rows * units + sum(a * b for a, b in others), np.float32)
        """All numbers."""
        start = rows * units
        self.parts: list[Matrix] = [self.whole[:start].reshape(units, rows).T]
        """The matrices; rows that were added are the last of the first."""
        for rows, columns in others:
            self.parts.append(self.whole[start : start + rows * columns].reshape(rows, columns))
            start += rows * columns
        # A wide hidden layer makes two halves of them all: most of its columns, and the others with whatever follows.
        # BLAS computes 16 columns at a time, so that halves round as the whole does.
        everything = [(place, slice(None)) for place in range(len(self.parts))]
        self.halves: tuple[Half, ...] = (Half(slice(None), everything),)
        if len(others) > 1 and units >= _WIDE:
            cut = units * 9 // 256 * 16
            edge = cut * self.parts[0].shape[0]
            last = [(0, slice(cut, None)), *everything[1:]]
            self.halves = Half(slice(0, edge), [(0, slice(0, cut))]), Half(slice(edge, None), last)

    def alike(self) -> Matrices:
        """Zeros of the same shapes."""
        return Matrices([(len(part), part.shape[1]) for part in self.parts])


def padded(rows: int) -> int:
    """How many rows the first matrix has: 32 more where the columns would collide.

    Example:
        >>> [padded(rows) for rows in (512, 1000, 1024, 2048)]
        [512, 1000, 1056, 2080]
    """
    return rows if rows % 1024 else rows + 32


class Optimizer:
    """Moves weights in place, a step at a time."""

    def __init__(self, spec: HeadSpec, weights: Matrices, both: Both[Half]) -> None:
        """Before the first step.

        Args:
            spec: Spec of the head.
            weights: Kernel, bias, kernel, bias, ...
            both: What does something with both halves of them.
        """
        self._spec, self._weights, self._both = spec, weights, both

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step.

        Args:
            inputs: `(rows, in)`, what each part of the weights was multiplied with; a bias is multiplied with 1.
            slopes: `(rows, out)` of the loss, by what came out; that by the part itself is `input.T @ slope`.
            rate: Learning rate.
        """
        raise NotImplementedError

    def _slope(
        self, out: Matrices, half: Half, inputs: Sequence[Matrix], slopes: Sequence[Matrix], factor: float, keep: float
    ) -> None:
        """`out = keep * out + factor * slope` of the loss by the weights of one half, the penalty apart."""
        for place, columns in half.columns:
            add_product(out.parts[place][:, columns], inputs[place].T, slopes[place][:, columns], factor, keep=keep)

    def _pulls(self, half: Half, factor: float) -> list[tuple[int, slice, Matrix]]:
        """Slopes of the penalty by the kernels of one half, times a factor, each with its place."""
        if not self._spec.l2:
            return []
        long, parts = np.float32(2 * self._spec.l2 * factor), self._weights.parts
        return [(place, some, parts[place][:, some] * long) for place, some in half.columns if place % 2 == 0]


class Nesterov(Optimizer):
    """Nesterov's momentum as Keras writes it: `v = momentum * v - rate * slope`, `w += momentum * v - rate * slope`.

    Which is `w -= momentum * v` with the v before, and `w += (1 + momentum) * v` with the v after. All velocities are
    kept divided by one number, so that multiplying them by the momentum takes no pass over them.

    Source: Sutskever et al. 2013.
    """

    _LEAST = 1e-6
    """Of that number; it shrinks in every step, and the stored velocities grow as much."""

    def __init__(self, spec: HeadSpec, weights: Matrices, both: Both[Half]) -> None:
        """At rest."""
        super().__init__(spec, weights, both)
        self._stored = weights.alike()
        self._unit = 1.0

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step."""
        momentum = self._spec.momentum
        self._unit *= momentum
        if self._unit < self._LEAST:
            self._stored.whole *= np.float32(self._unit)
            self._unit = 1.0
        unit = self._unit

        def move(half: Half) -> None:
            weights, stored = self._weights.whole[half.where], self._stored.whole[half.where]
            pulls = self._pulls(half, -rate / unit)
            add(weights, stored, -unit)
            self._slope(self._stored, half, inputs, slopes, -rate / unit, 1.0)
            for place, columns, pull in pulls:
                self._stored.parts[place][:, columns] += pull
            add(weights, stored, (1 + momentum) * unit)

        self._both(move, self._weights.halves)


class Adam(Optimizer):
    """Source: Kingma & Ba 2015, section 2, last paragraph."""

    def __init__(self, spec: HeadSpec, weights: Matrices, both: Both[Half]) -> None:
        """With moments of zero."""
        super().__init__(spec, weights, both)
        self._slopes, self._first, self._second = (weights.alike() for _ in range(3))
        self._step = 0

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step."""
        self._step += 1
        # Both moments began at zero, and are as much too small as the powers of their factors say.
        long = np.float32(rate * np.sqrt(1 - BETAS[1] ** self._step) / (1 - BETAS[0] ** self._step))
        arrays = self._weights.whole, self._slopes.whole, self._first.whole, self._second.whole

        def move(half: Half) -> None:
            self._slope(self._slopes, half, inputs, slopes, 1.0, 0.0)
            for place, columns, pull in self._pulls(half, 1.0):
                self._slopes.parts[place][:, columns] += pull
            first, last, _ = half.where.indices(self._weights.whole.size)
            for start in range(first, last, _PIECE):
                _move_piece(long, *(array[start : min(start + _PIECE, last)] for array in arrays))

        self._both(move, self._weights.halves)


def _move_piece(long: np.float32, weight: Flat, piece: Flat, first: Flat, second: Flat) -> None:
    """A step of some weights, whose slopes are used up, with their moments."""
    first *= np.float32(BETAS[0])
    second *= np.float32(BETAS[1])
    first += np.float32(1 - BETAS[0]) * piece
    piece *= piece
    second += np.float32(1 - BETAS[1]) * piece
    np.sqrt(second, out=piece)
    piece += np.float32(EPSILON)
    np.divide(first, piece, out=piece)
    piece *= long
    weight -= piece
