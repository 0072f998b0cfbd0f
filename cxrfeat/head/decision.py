"""How the arrays of each kind of head decide, with NumPy alone, whatever trained it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.spec import HeadKind

Decision = NDArray[np.float64]
"""`(n, classes)`: logits of a network or a logistic regression, votes and margins of an SVM, log shares of votes among
neighbours, scores of a ridge; the largest wins."""

Decide = Callable[[NDArray[np.float64]], Decision]
"""Decision values of standardised features."""

Arrays = Mapping[str, NDArray[Any]]
"""By name, as `layout.py` says."""


def standardized(X: NDArray[np.floating], arrays: Arrays) -> NDArray[np.float64]:
    """Features less the head's mean over its deviation, in float64."""
    wide = X.astype(np.float64)
    if "mean" in arrays:
        wide -= arrays["mean"]
        wide /= arrays["scale"]
    return wide


def network(arrays: Arrays) -> Decide:
    """What the last layer of a network says, `(n, units)`."""
    count = sum(name.startswith("weights_") for name in arrays)
    layers = [(arrays[f"weights_{i}"].astype(np.float64), arrays[f"bias_{i}"].astype(np.float64)) for i in range(count)]

    def decide(X: NDArray[np.float64]) -> Decision:
        for weights, bias in layers[:-1]:
            X = np.maximum(X @ weights + bias, 0)
        weights, bias = layers[-1]
        return X @ weights + bias

    return decide


def affine(arrays: Arrays) -> Decide:
    """What linear functions say, `(n, functions)`."""
    return lambda X: np.asarray(X @ arrays["coef"].T + arrays["intercept"])


def _linear(arrays: Arrays) -> Decide:
    def decide(X: NDArray[np.float64]) -> Decision:
        z = affine(arrays)(X)
        return np.hstack([-z / 2, z / 2]) if z.shape[1] == 1 else z  # half each: their softmax is the sigmoid of z

    return decide


def _neighbours(arrays: Arrays) -> Decide:
    rows, labels, k = standardized(arrays["rows"], arrays), arrays["labels"], int(arrays["neighbours"])
    classes = int(labels.max()) + 1
    lengths = np.square(rows).sum(1)
    rounding = 4 * (rows.shape[1] + 8) * np.finfo(np.float64).eps

    def decide(X: NDArray[np.float64]) -> Decision:
        # One matrix product finds who may be near. It rounds differently in other blocks and on other processors, so
        # all that rounding could have brought among the nearest are measured again, row by row, and ties stay ties.
        squares = np.square(X).sum(1)
        distance = _squared_distances(X, squares, rows, lengths)
        limit = np.partition(distance, k - 1, axis=1)[:, k - 1] + rounding * (squares + lengths.max())
        votes = np.zeros((len(X), classes), np.int64)
        for index, x in enumerate(X):
            near = np.flatnonzero(distance[index] <= limit[index])
            nearest = near[np.argsort(np.square(rows[near] - x).sum(1), kind="stable")[:k]]
            votes[index] = np.bincount(labels[nearest], minlength=classes)
        return np.log((votes + 1) / (k + classes))

    return decide


def _squared_distances(
    X: NDArray[np.float64], squares: NDArray[np.float64], rows: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(len(X), len(rows))` from one matrix product: |x - s|^2 = |x|^2 + |s|^2 - 2 x.s, never below zero."""
    distance: NDArray[np.float64] = X @ rows.T
    distance *= -2
    distance += squares[:, None]
    distance += lengths
    np.maximum(distance, 0, out=distance)
    return distance


def _svm_linear(arrays: Arrays) -> Decide:
    return lambda X: _votes(X @ arrays["coef"].T + arrays["intercept"])


def _svm_rbf(arrays: Arrays) -> Decide:
    support = standardized(arrays["support_vectors"], arrays)
    lengths = np.square(support).sum(1)
    weights = pair_weights(arrays["dual_coef"], arrays["n_support"])

    def decide(X: NDArray[np.float64]) -> Decision:
        kernel = _squared_distances(X, np.square(X).sum(1), support, lengths)
        kernel *= -arrays["gamma"]
        np.exp(kernel, out=kernel)
        return _votes(kernel @ weights + arrays["intercept"])

    return decide


def pair_weights(dual_coef: NDArray[np.float64], n_support: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(n, pairs)` weights of the support vectors in each one-against-one problem.

    libsvm keeps, for a support vector of class i, its weight against class j in row j - 1 if j > i, in row j if j < i.
    """
    edges = np.concatenate([[0], np.cumsum(n_support)])
    pairs = pairs_of(len(n_support))
    weights = np.zeros((dual_coef.shape[1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        weights[edges[i] : edges[i + 1], column] = dual_coef[j - 1, edges[i] : edges[i + 1]]
        weights[edges[j] : edges[j + 1], column] = dual_coef[i, edges[j] : edges[j + 1]]
    return weights


def _votes(margins: NDArray[np.float64]) -> Decision:
    """One value per class from one margin per pair: votes won, plus the sum of margins squeezed into (-1/3, 1/3).

    Source: scikit-learn's `_ovr_decision_function`. With two classes, the margin itself and its opposite.
    """
    if margins.shape[1] == 1:
        return np.hstack([-margins, margins])
    classes = next(count for count in range(3, margins.shape[1] + 2) if len(pairs_of(count)) == margins.shape[1])
    votes, confidence = np.zeros((len(margins), classes)), np.zeros((len(margins), classes))
    for column, (i, j) in enumerate(pairs_of(classes)):
        margin = margins[:, column]
        confidence[:, i] += margin
        confidence[:, j] -= margin
        votes[:, i] += margin >= 0
        votes[:, j] += margin < 0
    return np.asarray(votes + confidence / (3 * (np.abs(confidence) + 1)))


def pairs_of(classes: int) -> list[tuple[int, int]]:
    """The one-against-one problems of this many classes.

    Example:
        >>> pairs_of(3)
        [(0, 1), (0, 2), (1, 2)]
    """
    return [(i, j) for i in range(classes) for j in range(i + 1, classes)]


DECISIONS: dict[HeadKind, Callable[[Arrays], Decide]] = {
    "softmax": network,
    "dense": network,
    "dropout": network,
    "logreg": _linear,
    "svm-linear": _svm_linear,
    "svm-rbf": _svm_rbf,
    "knn": _neighbours,
    "ridge": _linear,
}
"""What makes a decision of the arrays of each kind."""
