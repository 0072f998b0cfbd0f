"""One epoch of a small network's training on the CPU, in NumPy: the whole of it in place, on one core.

Heads are so small that on a CPU the matrix products of a batch are half of the work and the start of a deep-learning
library takes longer than the training: this needs neither, and as several heads train at once on several cores, a core
for each is the best use of them (`benchmarks/README.md`). `compiled_epoch.py` has the same arithmetic for a GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self._weights = [array.copy() for array in weights]
        self._slopes = [np.empty_like(array) for array in weights]
        slots = 2 if constants.adam else 1
        self._memory = [[np.zeros_like(array) for array in weights] for _ in range(slots)]
        self._data = X, targets, importance
        self._kept = Dropout(constants, len(X), len(weights[1])) if len(weights) > 2 and constants.dropout else None
        self._step = 0

    def weights(self) -> Weights:
        """A copy of the weights as they are now."""
        return [array.copy() for array in self._weights]

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
            for number, rate in enumerate(rates):
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
            summed = inputs[-1] @ weights[2 * layer]
            summed += weights[2 * layer + 1]
            gate = (summed > 0).astype(np.float32)
            if layer == 0 and self._kept is not None:
                gate *= self._kept(self._step, len(rows))
            summed *= gate
            passed.append(gate)
            inputs.append(summed)
        logits = inputs[-1] @ weights[-2]
        logits += weights[-1]
        log_p = logits - logits.max(axis=1, keepdims=True)
        p = np.exp(log_p)
        total = p.sum(axis=1, keepdims=True)
        log_p -= np.log(total)
        p /= total
        loss = -float(weighed @ np.einsum("ij,ij->i", target, log_p))
        if l2:
            loss += l2 * sum(float(np.vdot(kernel, kernel)) for kernel in weights[::2])
        hits = int(np.count_nonzero(logits.argmax(axis=1) == target.argmax(axis=1)))
        # Backward: the slope of the loss by what each layer summed.
        self._step += 1
        slope = (p - target) * weighed[:, None]
        # The rate goes into the small matrix of slopes where it may, not into the large one of their products.
        long = np.float32(1 if self._constants.adam else rate)
        for layer in reversed(range(layers)):
            step = slope * long
            np.matmul(inputs[layer].T, step, out=self._slopes[2 * layer])
            np.sum(step, axis=0, out=self._slopes[2 * layer + 1])
            if layer:
                slope = slope @ weights[2 * layer].T
                slope *= passed[layer - 1]
        for place in range(len(weights)):
            self._update(place, rate)
        return loss, hits

    def _update(self, place: int, rate: float) -> None:
        """Move one array of weights against its slope, piece by piece."""
        arrays = [self._weights[place], self._slopes[place], *(slot[place] for slot in self._memory)]
        flat = [array.reshape(-1) for array in arrays]
        kernel = place % 2 == 0
        for start in range(0, flat[0].size, _PIECE):
            weight, slope, *memory = (array[start : start + _PIECE] for array in flat)
            if kernel and self._constants.l2:
                slope += (2 * self._constants.l2 * (1 if self._constants.adam else rate)) * weight
            if self._constants.adam:
                _adam(weight, slope, *memory, rate=rate, step=self._step)
            else:
                _nesterov(weight, slope, *memory, momentum=self._constants.momentum)


Flat = NDArray[np.float32]


def _nesterov(weight: Flat, slope: Flat, velocity: Flat, *, momentum: float) -> None:
    """Source: Sutskever et al. 2013, as Keras writes it.

    `slope` comes times the rate, and `velocity` is kept times `momentum`: each saves a pass.
    """
    weight -= slope
    velocity -= slope
    velocity *= np.float32(momentum)
    weight += velocity


def _adam(weight: Flat, slope: Flat, first: Flat, second: Flat, *, rate: float, step: int) -> None:
    """Source: Kingma & Ba 2015, section 2, last paragraph."""
    first *= np.float32(BETAS[0])
    second *= np.float32(BETAS[1])
    first += np.float32(1 - BETAS[0]) * slope
    slope *= slope
    second += np.float32(1 - BETAS[1]) * slope
    long = corrected(rate, step)
    np.sqrt(second, out=slope)
    slope += np.float32(EPSILON)
    np.divide(first, slope, out=slope)
    slope *= np.float32(long)
    weight -= slope


def corrected(rates: Any, step: Any) -> Any:  # noqa: ANN401  # a number or an array of them
    """Adam's learning rates at steps counted from 1, corrected for moments that began at zero."""
    return rates * np.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)


class Dropout:
    """Which units pass: decided by seed, step, row and unit alone, so the same on every device."""

    def __init__(self, constants: Constants, rows: int, units: int) -> None:
        """For batches out of so many rows, and so many units."""
        self._units = units
        self._per_step = constants.batch * units
        self._counter = np.arange(min(constants.batch, rows) * units, dtype=np.uint32)
        self._key = dropout_key(constants.seed)
        self._least = math.ceil(float(np.float32(constants.dropout)) * 2**24)
        self._factor = np.float32(1) / (1 - np.float32(constants.dropout))

    def __call__(self, step: int, rows: int) -> NDArray[np.float32]:
        """Factor of each unit, `(rows, units)`: 0 or `1 / (1 - dropout)`."""
        before = np.array(step * self._per_step % 2**32, np.uint32)
        bits = self._counter[: rows * self._units] + before
        bits ^= self._key
        kept: NDArray[np.bool_] = scrambled(bits) >> np.uint32(8) >= self._least
        return np.asarray((kept * self._factor).reshape(rows, self._units))


def dropout_key(seed: int) -> NDArray[np.uint32]:
    """What sets the units that a seed drops apart from another's; `()`."""
    return np.array(scrambled(np.array([seed], np.uint32))[0])


def scrambled(x: Any, ops: Any = np) -> Any:  # noqa: ANN401  # arrays of NumPy or of Keras
    """Scramble 32-bit numbers. Source: Wellons, "Prospecting for Hash Functions", 2018 (`lowbias32`)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, np.uint32(shift))) * np.uint32(factor)
    return ops.bitwise_xor(x, ops.right_shift(x, np.uint32(16)))
