"""One epoch of a small network's training, in NumPy and BLAS.

Heads are so small that the start of a deep-learning library takes longer than their training, and moving the weights
nearly as long as the matrix products of a batch (`benchmarks/README.md`). So there is no library here, and as few
passes over the weights as can be.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.blas import Both, Matrix, add_product, product
from cxrfeat.head.dropout import Dropout
from cxrfeat.head.optimizer import Adam, Half, Matrices, Nesterov, padded
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Features

Weights = list[NDArray[np.float32]]
"""Kernel, bias, kernel, bias, ...: `(inputs, units)` and `(units,)`."""

Loss = Callable[[Matrix, Matrix], tuple[NDArray[np.float32], Matrix, int]]
"""From what the last layer says and what it shall say, `(rows, units)` each: the loss of each row, its slope by what
was said, and how many rows are right."""


def cross_entropy(said: Matrix, target: Matrix) -> tuple[NDArray[np.float32], Matrix, int]:
    """The loss of classes, whose logits are said; each row of the target sums to 1.

    Example:
        >>> lost, slope, right = cross_entropy(np.array([[0, 0]], np.float32), np.array([[1, 0]], np.float32))
        >>> lost.round(2).tolist(), slope.tolist(), right
        ([0.6899999976158142], [[-0.5, 0.5]], 1)
    """
    log_p = said - said.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    total = p.sum(axis=1, keepdims=True)
    log_p -= np.log(total)
    p /= total
    right = int(np.count_nonzero(said.argmax(axis=1) == target.argmax(axis=1)))
    return -np.einsum("ij,ij->i", target, log_p), p - target, right


def half_squares(said: Matrix, target: Matrix) -> tuple[NDArray[np.float32], Matrix, int]:
    """The loss of numbers: half the squared error, whose slope is the error; none is right.

    Example:
        >>> lost, slope, _ = half_squares(np.array([[3]], np.float32), np.array([[1]], np.float32))
        >>> lost.tolist(), slope.tolist()
        ([2.0], [[2.0]])
    """
    error = said - target
    return 0.5 * np.einsum("ij,ij->i", error, error), error, 0


class Epochs:
    """A network in training."""

    def __init__(
        self,
        spec: HeadSpec,
        weights: Weights,
        X: Features,
        targets: NDArray[np.float32],
        importance: NDArray[np.float32],
        both: Both[Half],
        loss: Loss = cross_entropy,
    ) -> None:
        """Copy the weights, and make room.

        Args:
            spec: Spec of the head.
            weights: To begin with.
            X: `(rows, dim)` float32.
            targets: `(rows, classes)`, as the loss takes them.
            importance: `(rows,)` factor of each row's loss.
            both: What does something with both halves of the weights.
            loss: What is made small.
        """
        self._spec, self._both, self._loss = spec, both, loss
        self._weights = Matrices([np.atleast_2d(array).shape for array in weights])
        for part, array in zip(self._weights.parts, map(np.atleast_2d, weights), strict=True):
            part[: len(array)] = array
        self._optimizer = (Adam if spec.optimizer == "adam" else Nesterov)(spec, self._weights, both)
        self._data = X, targets, importance
        batch = min(spec.batch, len(X))
        self._x = np.zeros((batch, padded(X.shape[1])), np.float32)
        self._ones = np.ones((batch, 1), np.float32)
        drops = spec.kind == "dropout" and spec.dropout > 0
        self._kept = Dropout(spec, len(X), len(weights[1])) if drops else None
        self._step = 0

    def weights(self) -> Weights:
        """A copy of the weights as they are now."""
        first, *others = self._weights.parts
        kernel = first[: self._data[0].shape[1]].copy(order="F")
        return [kernel, *(array.copy() if place % 2 else array[0].copy() for place, array in enumerate(others))]

    def run(self, order: NDArray[np.int64], rates: NDArray[np.float64]) -> tuple[float, float]:
        """Train on rows in this order. Weights that overflow are the caller's to find.

        Args:
            order: Row numbers; a batch is the next this many of them, the last one may be shorter.
            rates: Learning rate of each batch.

        Returns:
            Mean loss and accuracy over the rows, each as it was when its batch came, dropout on.
        """
        batch = self._spec.batch
        loss, hits = 0.0, 0
        with np.errstate(all="ignore"):
            for number, rate in enumerate(rates.tolist()):
                rows = order[number * batch : (number + 1) * batch]
                told = self._learn(rows, rate)
                loss, hits = loss + told[0] * len(rows), hits + told[1]
        return loss / len(order), hits / len(order)

    def _learn(self, rows: NDArray[np.int64], rate: float) -> tuple[float, int]:
        """One step on one batch: its loss before, and how many rows were right."""
        weights, l2 = self._weights.parts, self._spec.l2
        X, target, importance = (array.take(rows, axis=0) for array in self._data)
        x = self._x[: len(rows)]
        x[:, : X.shape[1]] = X
        weighed = importance / np.float32(len(rows))
        layers = len(weights) // 2
        # Forward: what goes into each layer, and what each hidden unit passes on.
        inputs, passed = [x], []
        for layer in range(layers - 1):
            summed = product(inputs[-1], weights[2 * layer]) if layer else self._first(x)
            summed += weights[2 * layer + 1]
            positive = summed > 0
            if layer == 0 and self._kept is not None:
                gate = positive * self._kept(self._step, len(rows))
            else:
                gate = positive.astype(np.float32)
            summed *= gate
            passed.append(gate)
            inputs.append(summed)
        logits = product(inputs[-1], weights[-2])
        logits += weights[-1]
        lost, slope, hits = self._loss(logits, target)
        loss = float(weighed @ lost)
        if l2:
            loss += l2 * sum(float(np.square(kernel).sum()) for kernel in weights[::2])
        # Backward: the slope of the loss by what each layer summed, which is that by its bias too.
        self._step += 1
        slopes = [slope * weighed[:, None]]
        for layer in reversed(range(1, layers)):
            below = product(slopes[0], weights[2 * layer].T)
            below *= passed[layer - 1]
            slopes.insert(0, below)
        ones = self._ones[: len(rows)]
        self._optimizer(
            [each for x in inputs for each in (x, ones)], [slope for slope in slopes for _ in range(2)], rate
        )
        return loss, hits

    def _first(self, x: Matrix) -> Matrix:
        """What the first hidden layer sums, its bias apart; `(rows, units)`, stored by columns."""
        kernel = self._weights.parts[0]
        summed = np.empty((len(x), kernel.shape[1]), np.float32, order="F")

        def some(half: Half) -> None:
            (_, columns), *_ = half.columns
            add_product(summed[:, columns], x, kernel[:, columns], 1.0, keep=0.0)

        self._both(some, self._weights.halves)
        return summed
