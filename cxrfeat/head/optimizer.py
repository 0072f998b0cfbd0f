"""How the weights of a small network move against the slope of its loss.

All weights lie in one array, so that what is done to each of them is done in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxrfeat.head.blas import Matrix, add, add_product
from cxrfeat.spec import HeadSpec

BETAS, EPSILON = (0.9, 0.999), 1e-7
"""Of Adam, as in Keras."""

_PIECE = 2**15
"""Weights that are moved at a time: with slopes and memory they stay in a core's own cache."""


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

    def __init__(self, spec: HeadSpec, weights: Matrices) -> None:
        """Before the first step.

        Args:
            spec: Of the head.
            weights: Kernel, bias, kernel, bias, ...
        """
        self._spec, self._weights = spec, weights

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step.

        Args:
            inputs: `(rows, in)`, what each part of the weights was multiplied with; a bias is multiplied with 1.
            slopes: `(rows, out)` of the loss, by what came out; that by the part itself is `input.T @ slope`.
            rate: Learning rate.
        """
        raise NotImplementedError

    def _pulls(self, factor: float) -> list[tuple[int, Matrix]]:
        """Slopes of the penalty by the kernels, times a factor, each with its place."""
        l2 = self._spec.l2
        kernels = enumerate(self._weights.parts[::2]) if l2 else ()
        return [(2 * place, kernel * np.float32(2 * l2 * factor)) for place, kernel in kernels]


class Nesterov(Optimizer):
    """Nesterov's momentum as Keras writes it: `v = momentum * v - rate * slope`, `w += momentum * v - rate * slope`.

    Which is `w -= momentum * v` with the v before, and `w += (1 + momentum) * v` with the v after. All velocities are
    kept divided by one number, so that multiplying them by the momentum takes no pass over them.

    Source: Sutskever et al. 2013.
    """

    _LEAST = 1e-6
    """Of that number; it shrinks in every step, and the stored velocities grow as much."""

    def __init__(self, spec: HeadSpec, weights: Matrices) -> None:
        """At rest."""
        super().__init__(spec, weights)
        self._stored = weights.alike()
        self._unit = 1.0

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step."""
        momentum = self._spec.momentum
        weights, stored = self._weights.whole, self._stored.whole
        self._unit *= momentum
        if self._unit < self._LEAST:
            stored *= np.float32(self._unit)
            self._unit = 1.0
        pulls = self._pulls(-rate / self._unit)
        add(weights, stored, -self._unit)
        for part, x, slope in zip(self._stored.parts, inputs, slopes, strict=True):
            add_product(part, x.T, slope, -rate / self._unit)
        for place, pull in pulls:
            self._stored.parts[place] += pull
        add(weights, stored, (1 + momentum) * self._unit)


class Adam(Optimizer):
    """Source: Kingma & Ba 2015, section 2, last paragraph."""

    def __init__(self, spec: HeadSpec, weights: Matrices) -> None:
        """With moments of zero."""
        super().__init__(spec, weights)
        self._slopes, self._first, self._second = (weights.alike() for _ in range(3))
        self._step = 0

    def __call__(self, inputs: Sequence[Matrix], slopes: Sequence[Matrix], rate: float) -> None:
        """Make a step."""
        self._step += 1
        for part, x, slope in zip(self._slopes.parts, inputs, slopes, strict=True):
            add_product(part, x.T, slope, 1.0, keep=0.0)
        for place, pull in self._pulls(1.0):
            self._slopes.parts[place] += pull
        arrays = self._weights.whole, self._slopes.whole, self._first.whole, self._second.whole
        # Both moments began at zero, and are as much too small as the powers of their factors say.
        long = np.float32(rate * np.sqrt(1 - BETAS[1] ** self._step) / (1 - BETAS[0] ** self._step))
        for start in range(0, self._weights.whole.size, _PIECE):
            weight, piece, first, second = (array[start : start + _PIECE] for array in arrays)
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
