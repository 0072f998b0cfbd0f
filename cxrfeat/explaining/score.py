"""The only place that knows what of a fitted head is explained: one smooth score per class, and its slopes, in NumPy.

Explained is the class's logit less the mean of all logits: a shift that all classes share changes no probability (of a
network trained on softmax it is what chance drew at the start). Votes are steps, which have no slope, so what
stands behind them is explained in their place:

- SVMs: the sum of the class's margins against every other class (the votes count their signs).
- kNN: the mean distance to the nearest rows of the class, less the same of the other classes (the votes compare them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.decision import pair_weights, pairs_of, standardized
from cxrfeat.head.fitted import FittedHead
from cxrfeat.spec import HeadKind

NO_GRADIENT: tuple[HeadKind, ...] = ("knn",)
"""Kinds whose score is explained by occlusion: between the points where another row comes near it has a slope, but one
that points at single training images."""

_Wide = NDArray[np.float64]

_Raw = Callable[[_Wide], _Wide]
"""Scores `(n, classes)` of standardised features."""

_Back = Callable[[_Wide, _Wide], _Wide]
"""At standardised features, the gradient `(n, dim)` of scores that are weighted by `(n, classes)` and summed."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """A head's scores as a smooth function of features."""

    raw: _Raw
    back: _Back
    mean: _Wide
    scale: _Wide

    def values(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scores `(n, classes)` of features `(n, dim)`; they sum to 0 over the classes."""
        found = self.raw((features - self.mean) / self.scale)
        return np.asarray(found - found.mean(axis=1, keepdims=True), np.float32)

    def slopes(self, features: NDArray[np.floating], classes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The gradient `(n, dim)` of the score of one class for each row, `(n,)`."""
        z = (features - self.mean) / self.scale
        count = self.raw(z[:1]).shape[1]
        return (self.back(z, np.eye(count)[classes] - 1 / count) / self.scale).astype(np.float32)


def score_of(head: FittedHead) -> Score:
    """A head's scores."""
    linear = linear_of(head)
    if linear is not None:
        weights, offset = linear.weights, linear.offset
        return Score(
            raw=lambda z: z @ weights.T + offset,
            back=lambda z, share: share @ weights,
            mean=np.zeros(head.dim),
            scale=np.ones(head.dim),
        )
    raw, back = _RAW[head.kind](head)
    mean, scale = (np.asarray(head.arrays.get(name, usual), np.float64) for name, usual in _PLAIN)
    return Score(raw=raw, back=back, mean=mean, scale=scale)


_PLAIN = (("mean", 0.0), ("scale", 1.0))
"""Of networks that take features as they are."""


def scores(head: FittedHead, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores `(n, classes)` of features `(n, dim)`."""
    return score_of(head).values(features)


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


def _network(head: FittedHead) -> tuple[_Raw, _Back]:
    count = sum(name.startswith("weights_") for name in head.arrays)
    layers = [
        (head.arrays[f"weights_{index}"].astype(np.float64), head.arrays[f"bias_{index}"]) for index in range(count)
    ]

    def passed(values: _Wide) -> list[_Wide]:
        """What each layer is given, and the scores last."""
        given = [values]
        for index, (weights, bias) in enumerate(layers):
            values = values @ weights + bias
            if index < count - 1:
                values = np.maximum(values, 0)
            given.append(values)
        return given

    def back(values: _Wide, share: _Wide) -> _Wide:
        given = passed(values)
        for index in reversed(range(count)):
            share = share @ layers[index][0].T
            if index:
                share = share * (given[index] > 0)
        return share

    return lambda values: passed(values)[-1], back


def _svm_rbf(head: FittedHead) -> tuple[_Raw, _Back]:
    arrays = head.arrays
    support = standardized(arrays["support_vectors"], arrays)
    pairs = pair_weights(arrays["dual_coef"], arrays["n_support"])
    sides = _sides(len(head.classes))
    weights, offset = pairs @ sides.T, sides @ arrays["intercept"]
    gamma = float(arrays["gamma"])

    def near(values: _Wide) -> _Wide:
        return np.exp(-gamma * _squared_distances(values, support))

    def back(values: _Wide, share: _Wide) -> _Wide:
        pull = near(values) * (share @ weights.T)
        slope: _Wide = 2 * gamma * (pull @ support - pull.sum(axis=1, keepdims=True) * values)
        return slope

    return lambda values: near(values) @ weights + offset, back


def _neighbours(head: FittedHead) -> tuple[_Raw, _Back]:
    rows, labels = standardized(head.arrays["rows"], head.arrays), head.arrays["labels"]
    wanted = int(head.arrays["neighbours"])
    of_class = [rows[labels == index] for index in range(len(head.classes))]

    def raw(values: _Wide) -> _Wide:
        columns = []
        for some in of_class:
            least = min(wanted, len(some))
            near = np.partition(_squared_distances(values, some), least - 1, axis=1)[:, :least]
            columns.append(-np.sqrt(np.maximum(near, 0.0)).mean(axis=1))
        return np.stack(columns, axis=1)

    def back(values: _Wide, share: _Wide) -> _Wide:
        raise NotImplementedError("the score of neighbours is explained by occlusion: see NO_GRADIENT")

    return raw, back


_RAW: dict[HeadKind, Callable[[FittedHead], tuple[_Raw, _Back]]] = {
    "dense": _network,
    "dropout": _network,
    "svm-rbf": _svm_rbf,
    "knn": _neighbours,
}


def _squared_distances(values: _Wide, rows: _Wide) -> _Wide:
    squares = np.square(values).sum(axis=1, keepdims=True)
    distances: _Wide = squares - 2 * values @ rows.T + np.square(rows).sum(axis=1)
    return distances


def _sides(classes: int) -> _Wide:
    """`(classes, pairs)`: which way each one-against-one margin speaks for each class.

    Positive for the first class of the pair; with two classes, as everywhere in scikit-learn, for the second.
    """
    pairs = pairs_of(classes)
    sides = np.zeros((classes, len(pairs)))
    for column, (first, second) in enumerate(pairs):
        sides[first, column], sides[second, column] = 1, -1
    return -sides if classes == 2 else sides
