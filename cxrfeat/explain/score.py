"""The only place that knows what of a fitted head is explained: one smooth score per class, as Keras operations.

Explained is the class's logit less the mean of all logits: a shift that all classes share changes no probability (of a
network trained on softmax it is what chance drew at the start). Votes are steps, which have no slope, so what
stands behind them is explained in their place:

- SVMs: the sum of the class's margins against every other class (the votes count their signs).
- kNN: the mean distance to the nearest rows of the class, less the same of the other classes (the votes compare them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.head.fitted import FittedHead, pair_weights
from cxrfeat.spec import HeadKind

Tensor = Any
"""An array of the backend that Keras runs on."""

Score = Callable[[Tensor], Tensor]
"""Features `(n, dim)` to scores `(n, classes)` that sum to 0 over the classes."""

NO_GRADIENT: tuple[HeadKind, ...] = ("knn",)
"""Kinds whose score is explained by occlusion: between the points where another row comes near it has a slope, but one
that points at single training images."""

_Wide = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """A head whose scores are `features @ weights.T + offset`."""

    weights: _Wide
    """`(classes, dim)`, the scaler folded in."""
    offset: _Wide
    """`(classes,)`."""


def linear_of(head: FittedHead) -> Linear | None:
    """The linear form of a head's scores; `None` if it has none.

    Softmax, logistic regression, ridge and the linear SVM (by its margins) have one.
    """
    arrays = head.arrays
    if head.kind == "softmax":
        weights, offset = arrays["weights_0"].T.astype(np.float64), arrays["bias_0"].astype(np.float64)
    elif head.kind in ("logreg", "ridge", "svm-linear"):
        weights, offset = arrays["coef"], arrays["intercept"]
        if head.kind == "svm-linear":
            sides = _sides(len(head.classes))
            weights, offset = sides @ weights, sides @ offset
        elif len(weights) == 1:
            weights, offset = np.vstack([-weights, weights]) / 2, np.hstack([-offset, offset]) / 2
    else:
        return None
    if "mean" in arrays:
        weights = weights / arrays["scale"]
        offset = offset - weights @ arrays["mean"]
    return Linear(weights=weights - weights.mean(axis=0), offset=offset - offset.mean())


def score_of(head: FittedHead) -> Score:
    """A head's scores as Keras operations, in float32."""
    ops = import_keras().ops
    linear = linear_of(head)
    if linear is not None:
        return _affine(linear)
    standardized, raw = _scaler(head), _RAW[head.kind](head)

    def score(features: Tensor) -> Tensor:
        scores = raw(standardized(features))
        return scores - ops.mean(scores, axis=1, keepdims=True)

    return score


def scores(head: FittedHead, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores `(n, classes)` of features `(n, dim)`."""
    ops = import_keras().ops
    return np.asarray(ops.convert_to_numpy(score_of(head)(ops.convert_to_tensor(features))), np.float32)


def shuffled(head: FittedHead, rng: np.random.Generator) -> FittedHead:
    """The same head reading each standardised feature as another: what it learnt is lost, and nothing else."""
    order = rng.permutation(head.dim)
    arrays = dict(head.arrays)
    if "weights_0" in arrays:
        arrays["weights_0"] = arrays["weights_0"][order]
    for name in ("coef", "support_vectors", "rows"):
        if name in arrays:
            rows = arrays[name]
            if name != "coef":  # stored as they were before mean and scale
                rows = ((rows - arrays["mean"]) / arrays["scale"])[:, order] * arrays["scale"] + arrays["mean"]
            else:
                rows = rows[:, order]
            arrays[name] = rows.astype(arrays[name].dtype)
    return replace(head, arrays=arrays)


def _affine(linear: Linear) -> Score:
    ops = import_keras().ops
    weights, offset = linear.weights.T.astype(np.float32), linear.offset.astype(np.float32)
    return lambda features: ops.matmul(features, weights) + offset


def _scaler(head: FittedHead) -> Score:
    if "mean" not in head.arrays:
        return lambda features: features
    mean, scale = (head.arrays[name].astype(np.float32) for name in ("mean", "scale"))
    return lambda features: (features - mean) / scale


def _network(head: FittedHead) -> Score:
    ops = import_keras().ops
    count = sum(name.startswith("weights_") for name in head.arrays)
    layers = [(head.arrays[f"weights_{index}"], head.arrays[f"bias_{index}"]) for index in range(count)]

    def raw(values: Tensor) -> Tensor:
        for weights, bias in layers[:-1]:
            values = ops.relu(ops.matmul(values, weights) + bias)
        weights, bias = layers[-1]
        return ops.matmul(values, weights) + bias

    return raw


def _svm_rbf(head: FittedHead) -> Score:
    ops = import_keras().ops
    arrays = head.arrays
    support = _rows(head, "support_vectors")
    pairs = pair_weights(arrays["dual_coef"], arrays["n_support"])
    sides = _sides(len(head.classes))
    weights, offset = (pairs @ sides.T).astype(np.float32), (sides @ arrays["intercept"]).astype(np.float32)
    gamma = float(arrays["gamma"])

    def raw(values: Tensor) -> Tensor:
        return ops.matmul(ops.exp(-gamma * _squared_distances(ops, values, support)), weights) + offset

    return raw


def _neighbours(head: FittedHead) -> Score:
    ops = import_keras().ops
    rows, labels = _rows(head, "rows"), head.arrays["labels"]
    wanted = int(head.arrays["neighbours"])
    of_class = [rows[labels == index] for index in range(len(head.classes))]

    def raw(values: Tensor) -> Tensor:
        columns = []
        for some in of_class:
            near = ops.top_k(-_squared_distances(ops, values, some), min(wanted, len(some)))[0]
            columns.append(-ops.mean(ops.sqrt(ops.maximum(-near, 0.0)), axis=1))
        return ops.stack(columns, axis=1)

    return raw


_RAW: dict[HeadKind, Callable[[FittedHead], Score]] = {
    "dense": _network,
    "dropout": _network,
    "svm-rbf": _svm_rbf,
    "knn": _neighbours,
}


def _rows(head: FittedHead, name: str) -> NDArray[np.float32]:
    """Training rows as the head compares them: standardised."""
    arrays = head.arrays
    standardized: NDArray[np.float32] = ((arrays[name] - arrays["mean"]) / arrays["scale"]).astype(np.float32)
    return standardized


def _squared_distances(ops: Any, values: Tensor, rows: NDArray[np.float32]) -> Tensor:  # noqa: ANN401  # Keras has no types
    squares = ops.sum(ops.square(values), axis=1, keepdims=True)
    return squares - 2 * ops.matmul(values, rows.T) + np.square(rows).sum(axis=1)


def _sides(classes: int) -> _Wide:
    """`(classes, pairs)`: which way each one-against-one margin speaks for each class.

    Positive for the first class of the pair; with two classes, as everywhere in scikit-learn, for the second.
    """
    pairs: Sequence[tuple[int, int]] = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    sides = np.zeros((classes, len(pairs)))
    for column, (first, second) in enumerate(pairs):
        sides[first, column], sides[second, column] = 1, -1
    return -sides if classes == 2 else sides
