"""A head's arithmetic once for all graphs: what `decision.py` does with NumPy, as operations of ONNX or of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.decision import Arrays, pair_weights, pairs_of, standardized
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import TINY, Novelty
from cxrfeat.spec import HeadKind

Matrix = NDArray[Any]
Value = TypeVar("Value")
"""`(n, columns)` numbers, a row for each image, in whichever graph."""


class Operations(Protocol[Value]):
    """What a graph computes with values; each gives a new one."""

    def standardized(self, x: Value, mean: Matrix, scale: Matrix) -> Value:
        """`(x - mean) / scale`, column by column."""
        ...

    def affine(self, x: Value, weights: Matrix, bias: Matrix) -> Value:
        """`x @ weights + bias`."""
        ...

    def linear(self, x: Value, factor: float, plus: float) -> Value:
        """`x * factor + plus`."""
        ...

    def add(self, x: Value, y: Value) -> Value:
        """`x + y`; one of them may have one column."""
        ...

    def multiplied(self, x: Value, y: Value) -> Value:
        """`x * y`."""
        ...

    def divided(self, x: Value, y: Value) -> Value:
        """`x / y`."""
        ...

    def relu(self, x: Value) -> Value:
        """`x`, or 0 where it is below."""
        ...

    def exp(self, x: Value) -> Value:
        """`exp(x)`."""
        ...

    def log(self, x: Value) -> Value:
        """`log(x)`."""
        ...

    def size(self, x: Value) -> Value:
        """`|x|`."""
        ...

    def negative(self, x: Value) -> Value:
        """1 where `x < 0`, else 0."""
        ...

    def of_largest(self, x: Value, count: int, rows: Matrix) -> Value:
        """The mean of those rows whose columns of `x` are the `count` largest, the first of equal ones."""
        ...

    def softmax(self, x: Value) -> Value:
        """Probabilities."""
        ...


def probabilities_in(operations: Operations[Value], head: FittedHead, features: Value) -> Value:
    """What a head says of features: `FittedHead.predict_proba` in a graph.

    Args:
        operations: Of the graph.
        head: The head.
        features: `(n, dim)`.
    """
    arrays = head.arrays
    if "mean" in arrays:
        features = operations.standardized(features, arrays["mean"], arrays["scale"])
    decision = _DECISIONS[head.kind](operations, arrays, features)
    return operations.softmax(operations.linear(decision, 1 / head.temperature, 0.0))


def outside_in(operations: Operations[Value], novelty: Novelty, features: Value) -> Value:
    """1 for images farther out than nearly all training images, else 0: `Novelty.outside` in a graph, `(n, 1)`."""
    dim, ones = len(novelty.centre), np.ones((len(novelty.centre), 1))
    if not np.isfinite(novelty.rest):  # then no image is far from any other
        return operations.affine(features, np.zeros((dim, 1)), np.zeros(1))
    size = operations.size(features)
    share = operations.divided(size, operations.affine(size, ones, np.full(1, TINY)))
    root = operations.exp(operations.linear(operations.log(operations.linear(share, 1.0, TINY)), 0.5, 0.0))
    sign = operations.divided(features, operations.linear(size, 1.0, TINY))
    away = operations.standardized(operations.multiplied(root, sign), novelty.centre, np.ones(dim))
    square = operations.affine(operations.multiplied(away, away), ones, np.zeros(1))
    if len(novelty.axes):
        along = operations.affine(away, novelty.axes.T, np.zeros(len(novelty.axes)))
        squares = operations.multiplied(along, along)
        inside = operations.affine(squares, np.ones((len(novelty.axes), 1)), np.zeros(1))
        near = operations.affine(squares, (1 / novelty.spread**2)[:, None], np.zeros(1))
        beside = operations.relu(operations.add(square, operations.linear(inside, -1.0, 0.0)))
        distance = operations.add(operations.linear(beside, 1 / novelty.rest**2, 0.0), near)
    else:
        distance = operations.linear(square, 1 / novelty.rest**2, 0.0)
    return operations.negative(operations.linear(distance, -1 / dim, novelty.threshold**2))


def _network(operations: Operations[Value], arrays: Arrays, x: Value) -> Value:
    last = sum(name.startswith("weights_") for name in arrays) - 1
    for layer in range(last):
        x = operations.relu(operations.affine(x, arrays[f"weights_{layer}"], arrays[f"bias_{layer}"]))
    return operations.affine(x, arrays[f"weights_{last}"], arrays[f"bias_{last}"])


def _linear(operations: Operations[Value], arrays: Arrays, x: Value) -> Value:
    weights, bias = arrays["coef"].T, arrays["intercept"]
    if weights.shape[1] == 1:  # half each: their softmax is the sigmoid
        halves = np.array([[-0.5, 0.5]])
        weights, bias = weights @ halves, bias @ halves
    return operations.affine(x, weights, bias)


def _svm_linear(operations: Operations[Value], arrays: Arrays, x: Value) -> Value:
    return _votes(operations, operations.affine(x, arrays["coef"].T, arrays["intercept"]), len(arrays["intercept"]))


def _svm_rbf(operations: Operations[Value], arrays: Arrays, x: Value) -> Value:
    distance = _squared_distances(operations, x, standardized(arrays["support_vectors"], arrays))
    kernel = operations.exp(operations.linear(distance, -float(arrays["gamma"]), 0.0))
    weights = pair_weights(arrays["dual_coef"], arrays["n_support"])
    return _votes(operations, operations.affine(kernel, weights, arrays["intercept"]), weights.shape[1])


def _neighbours(operations: Operations[Value], arrays: Arrays, x: Value) -> Value:
    distance = _squared_distances(operations, x, standardized(arrays["rows"], arrays))
    count, classes = int(arrays["neighbours"]), int(arrays["labels"].max()) + 1
    shares = operations.of_largest(operations.linear(distance, -1.0, 0.0), count, np.eye(classes)[arrays["labels"]])
    return operations.log(operations.linear(shares, count / (count + classes), 1 / (count + classes)))


def _squared_distances(operations: Operations[Value], x: Value, rows: Matrix) -> Value:
    """As in `decision.py`: |x - s|^2 = |x|^2 + |s|^2 - 2 x.s, never below zero."""
    across = operations.affine(x, -2 * rows.T, np.square(rows).sum(1))
    length = operations.affine(operations.multiplied(x, x), np.ones((rows.shape[1], 1)), np.zeros(1))
    return operations.relu(operations.add(across, length))


def _votes(operations: Operations[Value], margins: Value, pairs: int) -> Value:
    """As in `decision.py`: votes won, plus the margins squeezed into (-1/3, 1/3)."""
    if pairs == 1:
        return operations.affine(margins, np.array([[-1.0, 1.0]]), np.zeros(2))
    classes = next(count for count in range(3, pairs + 2) if len(pairs_of(count)) == pairs)
    won, lost = np.zeros((pairs, classes)), np.zeros((pairs, classes))
    for column, (i, j) in enumerate(pairs_of(classes)):
        won[column, i] = lost[column, j] = 1
    confidence = operations.affine(margins, won - lost, np.zeros(classes))
    votes = operations.affine(operations.negative(margins), lost - won, won.sum(0))
    squeezed = operations.divided(confidence, operations.linear(operations.size(confidence), 3.0, 3.0))
    return operations.add(votes, squeezed)


_Decide = Callable[[Operations[Any], Arrays, Any], Any]

_DECISIONS: dict[HeadKind, _Decide] = {
    "softmax": _network,
    "dense": _network,
    "dropout": _network,
    "logreg": _linear,
    "svm-linear": _svm_linear,
    "svm-rbf": _svm_rbf,
    "knn": _neighbours,
    "ridge": _linear,
}
