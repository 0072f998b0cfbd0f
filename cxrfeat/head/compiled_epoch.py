"""One epoch of a small network's training on a GPU, as one compiled call: the whole data on it, a loop over batches.

The arithmetic of `epoch.py`, spelled out in Keras's operations, so that the compilers of TensorFlow and JAX see one
loop without Python, callbacks or copies in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import full_float32, import_keras
from cxrfeat.head.constants import Constants, Weights
from cxrfeat.head.dropout import dropout_key, scrambled
from cxrfeat.head.optimizer import BETAS, EPSILON, corrected
from cxrfeat.types import Features

Tensor: TypeAlias = Any
"""An array on the device; Keras has no types."""

Operations: TypeAlias = Any
"""`keras.ops`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What an epoch is compiled for, once for all fits of one shape; everything else is an argument of it."""

    layers: int
    batch: int
    adam: bool
    dropped: bool
    """Whether units of the first hidden layer are dropped."""
    penalised: bool
    """Whether the squared weights are part of the loss."""


class CompiledEpochs:
    """A network in training on the device that Keras uses."""

    def __init__(
        self,
        constants: Constants,
        weights: Weights,
        X: Features,
        targets: NDArray[np.float32],
        importance: NDArray[np.float32],
    ) -> None:
        """Bring everything onto the device; the arguments are those of `Epochs`."""
        ops = import_keras().ops
        self._shape = shape = Shape(
            layers=len(weights) // 2,
            batch=constants.batch,
            adam=constants.adam,
            dropped=len(weights) > 2 and constants.dropout > 0,
            penalised=constants.l2 > 0,
        )
        self._rows = _padded(len(X))
        self._weights = [ops.convert_to_tensor(array) for array in weights]
        slots = 2 if shape.adam else 1
        self._slots = [ops.convert_to_tensor(np.zeros_like(array)) for _ in range(slots) for array in weights]
        self._data = [ops.convert_to_tensor(_grown(array, self._rows)) for array in (X, targets, importance)]
        self._constants = [
            np.array(value, np.float32) for value in (constants.momentum, constants.dropout, constants.l2)
        ]
        self._key = dropout_key(constants.seed)
        self._step = 0

    def run(self, order: NDArray[np.int64], rates: NDArray[np.float64]) -> tuple[float, float]:
        """Train on rows in this order, as `Epochs.run` does."""
        batch, count = self._shape.batch, len(order)
        steps = -(-count // batch)
        assert len(rates) == steps
        if self._shape.adam:
            rates = corrected(rates, self._step + np.arange(1, steps + 1))
        room = -(-self._rows // batch) * batch
        with full_float32():
            result = _compiled(self._shape)(
                self._weights,
                self._slots,
                *self._data,
                _grown(order.astype(np.int32), room),
                _grown(rates.astype(np.float32), room // batch),
                np.array([steps, count, self._step], np.int32),
                self._key,
                *self._constants,
            )
        self._weights, self._slots = list(result[0]), list(result[1])
        self._step += steps
        return float(result[2]) / count, float(result[3]) / count

    def weights(self) -> Weights:
        """The weights as they are now."""
        ops = import_keras().ops
        return [np.array(ops.convert_to_numpy(value)) for value in self._weights]


def _padded(rows: int) -> int:
    """Rows that the data take on the device: a little more, so that folds of nearly one size share what is compiled."""
    step = max(64, 1 << max(0, rows.bit_length() - 4))
    return -(-rows // step) * step


def _grown(array: NDArray[Any], length: int) -> NDArray[Any]:
    """The array with zeros after it, up to a length."""
    if len(array) == length:
        return array
    grown = np.zeros((length, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


@functools.lru_cache(maxsize=32)
def _compiled(shape: Shape) -> Callable[..., Any]:
    """The epoch, compiled by the backend at its first call for each size of the data."""
    keras = import_keras()
    function = functools.partial(_epoch, keras.ops, shape)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        compiled: Callable[..., Any] = tensorflow.function(function, jit_compile=True, autograph=False)
        return compiled
    if keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(function)
        return compiled
    return function


def _epoch(
    ops: Operations,
    shape: Shape,
    weights: Sequence[Tensor],
    slots: Sequence[Tensor],
    X: Tensor,
    targets: Tensor,
    importance: Tensor,
    order: Tensor,
    rates: Tensor,
    sizes: Tensor,
    key: Tensor,
    momentum: Tensor,
    dropout: Tensor,
    l2: Tensor,
) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """`steps`, `count` and the number of steps before are in `sizes`."""
    steps, count, before = sizes[0], sizes[1], sizes[2]
    held = len(weights)

    def body(step: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        now, memory = carry[:held], carry[held:-2]
        rows = ops.slice(order, (step * shape.batch,), (shape.batch,))
        place = step * shape.batch + ops.arange(shape.batch, dtype="int32")
        real = ops.cast(place < count, "float32")  # the last batch may be shorter
        share = real / ops.sum(real)
        x, target = ops.take(X, rows, axis=0), ops.take(targets, rows, axis=0)
        weighed = share * ops.take(importance, rows, axis=0)
        # Forward: what goes into each layer, and what each hidden unit passes on.
        inputs, passed = [x], []
        for layer in range(shape.layers - 1):
            summed = ops.matmul(inputs[-1], now[2 * layer]) + now[2 * layer + 1]
            gate = ops.cast(summed > 0, "float32")
            if layer == 0 and shape.dropped:
                gate = gate * _kept(ops, summed.shape, step + before, key, dropout) / (1 - dropout)
            passed.append(gate)
            inputs.append(summed * gate)
        logits = ops.matmul(inputs[-1], now[-2]) + now[-1]
        log_p = ops.log_softmax(logits, axis=-1)
        row_losses = -ops.sum(target * log_p, axis=-1)
        loss = ops.sum(weighed * row_losses)
        if shape.penalised:
            for kernel in now[::2]:
                loss = loss + l2 * ops.sum(ops.square(kernel))
        hits = ops.sum(real * ops.cast(ops.argmax(logits, axis=-1) == ops.argmax(target, axis=-1), "float32"))
        # Backward: the slope of the loss by what each layer summed.
        slope = (ops.exp(log_p) - target) * weighed[:, None]
        gradients: list[Tensor] = [None] * held
        for layer in reversed(range(shape.layers)):
            gradient = ops.matmul(ops.transpose(inputs[layer]), slope)
            gradients[2 * layer] = gradient + 2 * l2 * now[2 * layer] if shape.penalised else gradient
            gradients[2 * layer + 1] = ops.sum(slope, axis=0)
            if layer:
                slope = ops.matmul(slope, ops.transpose(now[2 * layer])) * passed[layer - 1]
        rate = ops.take(rates, step, axis=0)
        after = (_adam if shape.adam else _nesterov)(ops, now, memory, gradients, rate, momentum)
        return (step + 1, *after, carry[-2] + loss * ops.sum(real), carry[-1] + hits)

    zero = ops.zeros((), "float32")
    done = ops.while_loop(lambda step, *_: step < steps, body, (ops.zeros((), "int32"), *weights, *slots, zero, zero))
    return list(done[1 : 1 + held]), list(done[1 + held : -2]), done[-2], done[-1]


def _nesterov(
    ops: Operations,
    weights: Sequence[Tensor],
    velocities: Sequence[Tensor],
    gradients: Sequence[Tensor],
    rate: Tensor,
    momentum: Tensor,
) -> list[Tensor]:
    """New weights, then new velocities. Source: Sutskever et al. 2013, as Keras writes it."""
    new = [momentum * velocity - rate * slope for velocity, slope in zip(velocities, gradients, strict=True)]
    moved = [
        weight + momentum * velocity - rate * slope
        for weight, velocity, slope in zip(weights, new, gradients, strict=True)
    ]
    return [*moved, *new]


def _adam(
    ops: Operations,
    weights: Sequence[Tensor],
    moments: Sequence[Tensor],
    gradients: Sequence[Tensor],
    rate: Tensor,
    momentum: Tensor,
) -> list[Tensor]:
    """New weights, then new first and second moments; the rate is corrected for the step already.

    Source: Kingma & Ba 2015, section 2, last paragraph.
    """
    held = len(weights)
    first = [BETAS[0] * m + (1 - BETAS[0]) * slope for m, slope in zip(moments[:held], gradients, strict=True)]
    second = [BETAS[1] * v + (1 - BETAS[1]) * slope * slope for v, slope in zip(moments[held:], gradients, strict=True)]
    moved = [w - rate * m / (ops.sqrt(v) + EPSILON) for w, m, v in zip(weights, first, second, strict=True)]
    return [*moved, *first, *second]


def _kept(ops: Operations, shape: Sequence[int], step: Tensor, key: Tensor, dropout: Tensor) -> Tensor:
    """1 for a unit that is kept, 0 for one that is dropped: decided by seed, step, row and unit alone."""
    rows, units = shape
    counter = ops.cast(ops.arange(rows * units, dtype="int32"), "uint32") + ops.cast(step, "uint32") * np.uint32(
        rows * units
    )
    bits = scrambled(ops.bitwise_xor(counter, key), ops)
    uniform = ops.cast(ops.right_shift(bits, np.uint32(8)), "float32") * np.float32(2**-24)
    return ops.reshape(ops.cast(uniform >= dropout, "float32"), (rows, units))
