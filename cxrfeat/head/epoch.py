"""One epoch of a small network's training on the CPU, in NumPy and BLAS.

Heads are so small that the start of a deep-learning library takes longer than their training, and moving the weights
nearly as long as the matrix products of a batch (`benchmarks/README.md`). So there is no library here, and as few
passes over the weights as can be. `compiled_epoch.py` has the same arithmetic for a GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.blas import Matrix, add, add_product, product
from cxrfeat.types import Features

Weights = list[NDArray[np.float32]]
"""Kernel, bias, kernel, bias, ...: `(inputs, units)` and `(units,)`."""

BETAS, EPSILON = (0.9, 0.999), 1e-7
"""Of Adam, as in Keras."""

_PIECE = 2**15
"""Numbers of a kernel that are updated at a time: with slopes and memory they stay in a core's own cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Numbers that stay the same through a fit."""

    batch: int
    adam: bool
    """Adam instead of Nesterov's momentum."""
    momentum: float
    dropout: float
    """Share of the units of the first hidden layer that are dropped."""
    l2: float
    """Factor of the squared weights in the loss."""
    seed: int


class Epochs:
    """A network in training on the CPU."""

    def __init__(
        self,
        constants: Constants,
        weights: Weights,
        X: Features,
        targets: NDArray[np.float32],
        importance: NDArray[np.float32],
    ) -> None:
        """Copy the weights, and make room.

        Args:
            constants: Of the fit.
            weights: To begin with.
            X: `(rows, dim)` float32.
            targets: `(rows, classes)`, each row summing to 1.
            importance: `(rows,)` factor of each row's loss.
        """
        self._constants = constants
        self._weights = [np.array(np.atleast_2d(array), order="F") for array in weights]
        self._move = (_Adam if constants.adam else _Nesterov)(constants, self._weights)
        self._data = X, targets, importance
        self._ones = np.ones((min(constants.batch, len(X)), 1), np.float32)
        self._kept = Dropout(constants, len(X), len(weights[1])) if len(weights) > 2 and constants.dropout else None
        self._step = 0

    def weights(self) -> Weights:
        """A copy of the weights as they are now."""
        return [array[0].copy() if place % 2 else array.copy() for place, array in enumerate(self._weights)]

    def run(self, order: NDArray[np.int64], rates: NDArray[np.float64]) -> tuple[float, float]:
        """Train on rows in this order. Weights that overflow are the caller's to find.

        Args:
            order: Row numbers; a batch is the next so many of them, the last one may be shorter.
            rates: Learning rate of each batch.

        Returns:
            Mean loss and accuracy over the rows, each as it was when its batch came, dropout on.
        """
        batch = self._constants.batch
        loss, hits = 0.0, 0
        with np.errstate(all="ignore"):
            for number, rate in enumerate(rates.tolist()):
                rows = order[number * batch : (number + 1) * batch]
                told = self._learn(rows, rate)
                loss, hits = loss + told[0] * len(rows), hits + told[1]
        return loss / len(order), hits / len(order)

    def _learn(self, rows: NDArray[np.int64], rate: float) -> tuple[float, int]:
        """One step on one batch: its loss before, and how many rows were right."""
        weights, l2 = self._weights, self._constants.l2
        x, target, importance = (array.take(rows, axis=0) for array in self._data)
        weighed = importance / np.float32(len(rows))
        layers = len(weights) // 2
        # Forward: what goes into each layer, and what each hidden unit passes on.
        inputs, passed = [x], []
        for layer in range(layers - 1):
            summed = product(inputs[-1], weights[2 * layer])
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
        log_p = logits - logits.max(axis=1, keepdims=True)
        p = np.exp(log_p)
        total = p.sum(axis=1, keepdims=True)
        log_p -= np.log(total)
        p /= total
        loss = -float(weighed @ np.einsum("ij,ij->i", target, log_p))
        if l2:
            loss += l2 * sum(float(np.square(kernel).sum()) for kernel in weights[::2])
        hits = int(np.count_nonzero(logits.argmax(axis=1) == target.argmax(axis=1)))
        # Backward: the slope of the loss by what each layer summed. That by a kernel is `inputs.T @ slope`, and a bias
        # is a kernel whose input is 1.
        self._step += 1
        self._move.begin(self._step)
        slope = (p - target) * weighed[:, None]
        for layer in reversed(range(layers)):
            place = 2 * layer
            below = product(slope, weights[place].T) if layer else None
            self._move(place, inputs[layer], slope, rate, l2)
            self._move(place + 1, self._ones[: len(rows)], slope, rate, 0.0)
            if below is not None:
                below *= passed[layer - 1]
                slope = below
        return loss, hits


class _Nesterov:
    """Nesterov's momentum as Keras writes it: `v = momentum * v - rate * slope`, `w += momentum * v - rate * slope`.

    Which is `w -= momentum * v` with the v before, and `w += (1 + momentum) * v` with the v after. All velocities are
    kept divided by one number, so that multiplying them by the momentum takes no pass over them.

    Source: Sutskever et al. 2013.
    """

    _LEAST = 1e-6
    """Of that number; it shrinks in every step, and the stored velocities grow as much."""

    def __init__(self, constants: Constants, weights: Weights) -> None:
        """At rest."""
        self._momentum = constants.momentum
        self._weights = weights
        self._stored = [np.zeros_like(array) for array in weights]
        self._unit = 1.0

    def begin(self, step: int) -> None:
        """Multiply the velocities by the momentum."""
        self._unit *= self._momentum
        if self._unit < self._LEAST:
            for array in self._stored:
                array *= np.float32(self._unit)
            self._unit = 1.0

    def __call__(self, place: int, inputs: Matrix, slope: Matrix, rate: float, l2: float) -> None:
        """Move one array of weights against the slope `inputs.T @ slope` of the loss, and that of its penalty."""
        weight, stored, unit = self._weights[place], self._stored[place], self._unit
        pull = weight * np.float32(-2 * l2 * rate / unit) if l2 else None
        add(weight, stored, -unit)
        add_product(stored, inputs.T, slope, -rate / unit)
        if pull is not None:
            stored += pull
        add(weight, stored, (1 + self._momentum) * unit)


class _Adam:
    """Source: Kingma & Ba 2015, section 2, last paragraph."""

    def __init__(self, constants: Constants, weights: Weights) -> None:
        """With moments of zero."""
        self._weights = weights
        self._first, self._second = ([np.zeros_like(array) for array in weights] for _ in range(2))
        self._step = 0

    def begin(self, step: int) -> None:
        """Steps are counted from 1."""
        self._step = step

    def __call__(self, place: int, inputs: Matrix, slope: Matrix, rate: float, l2: float) -> None:
        """Move one array of weights against the slope `inputs.T @ slope` of the loss, and that of its penalty."""
        slopes = product(inputs.T, slope)
        arrays = self._weights[place], slopes, self._first[place], self._second[place]
        flat = [array.T.reshape(-1) for array in arrays]
        long = np.float32(corrected(rate, self._step))
        for start in range(0, slopes.size, _PIECE):
            weight, piece, first, second = (array[start : start + _PIECE] for array in flat)
            if l2:
                piece += np.float32(2 * l2) * weight
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


def corrected(rates: Any, step: Any) -> Any:  # noqa: ANN401  # a number or an array of them
    """Adam's learning rates at steps counted from 1, corrected for moments that began at zero."""
    return rates * np.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)


class Dropout:
    """Which units pass: decided by seed, step, row and unit alone, so the same on every device."""

    def __init__(self, constants: Constants, rows: int, units: int) -> None:
        """For batches out of so many rows, and so many units."""
        batch = min(constants.batch, rows)
        self._per_step = constants.batch * units
        self._counter = np.array(np.arange(batch * units, dtype=np.uint32).reshape(batch, units), order="F")
        self._key = dropout_key(constants.seed)
        self._least = np.uint32(math.ceil(float(np.float32(constants.dropout)) * 2**24) << 8)
        self._factor = np.float32(1) / (1 - np.float32(constants.dropout))

    def __call__(self, step: int, rows: int) -> NDArray[np.float32]:
        """Factor of each unit, `(rows, units)`, stored by columns: 0 or `1 / (1 - dropout)`."""
        bits = self._counter[:rows] + np.uint32(step * self._per_step % 2**32)
        bits ^= self._key
        kept: NDArray[np.bool_] = scrambled(bits) >= self._least
        return np.asarray(kept * self._factor)


def dropout_key(seed: int) -> NDArray[np.uint32]:
    """What sets the units that a seed drops apart from another's; `()`."""
    return np.array(scrambled(np.array([seed], np.uint32))[0])


def scrambled(x: Any, ops: Any = np) -> Any:  # noqa: ANN401  # arrays of NumPy or of Keras
    """Scramble 32-bit numbers. Source: Wellons, "Prospecting for Hash Functions", 2018 (`lowbias32`)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, np.uint32(shift))) * np.uint32(factor)
    return ops.bitwise_xor(x, ops.right_shift(x, np.uint32(16)))
