"""Heads written once for all graphs, held against what they compute with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.head.expression import outside_in, probabilities_in
from cxrfeat.head.novelty import Novelty
from cxrfeat.metric.calibrate import softmax
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.head.blobs import blobs, head_of

Values = NDArray[np.float64]


class NumpyOperations:
    """Arithmetic of heads with arrays."""

    def standardized(self, x: Values, mean: Values, scale: Values) -> Values:
        return (x - mean) / scale

    def affine(self, x: Values, weights: Values, bias: Values) -> Values:
        made: Values = x @ weights + bias
        return made

    def linear(self, x: Values, factor: float, plus: float) -> Values:
        return x * factor + plus

    def add(self, x: Values, y: Values) -> Values:
        return x + y

    def multiplied(self, x: Values, y: Values) -> Values:
        return x * y

    def divided(self, x: Values, y: Values) -> Values:
        return x / y

    def relu(self, x: Values) -> Values:
        return np.maximum(x, 0)

    def exp(self, x: Values) -> Values:
        return np.exp(x)

    def log(self, x: Values) -> Values:
        return np.log(x)

    def size(self, x: Values) -> Values:
        return np.abs(x)

    def negative(self, x: Values) -> Values:
        return (x < 0).astype(np.float64)

    def of_largest(self, x: Values, count: int, rows: Values) -> Values:
        places = np.argsort(-x, axis=1, kind="stable")[:, :count]
        made: Values = rows[places].mean(axis=1)
        return made

    def softmax(self, x: Values) -> Values:
        return softmax(x)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_head_in_a_graph_says_what_it_says_with_numpy(kind: HeadKind, classes: int) -> None:
    head, X = head_of(kind, classes), blobs(classes)[2]
    found = probabilities_in(NumpyOperations(), head, X.astype(np.float64))
    np.testing.assert_allclose(found, head.predict_proba(X), atol=1e-12)


def test_images_unlike_the_others_are_told_in_a_graph_too() -> None:
    X = blobs()[0][:, 0].copy()
    X[:, 3] = 1.5  # a feature that says nothing
    novelty = Novelty.fit(X)
    some = np.concatenate([X, -X[:5], X[:1] * 0])
    found = outside_in(NumpyOperations(), novelty, some.astype(np.float64))
    assert found.shape == (len(some), 1)
    assert (found[:, 0] == novelty.outside(some)).all()
    assert 6 <= found.sum() < 9
    few = Novelty.fit(X[:4])  # too few for an axis
    assert (outside_in(NumpyOperations(), few, some.astype(np.float64))[:, 0] == few.outside(some)).all()
    nothing = Novelty.fit(np.ones((4, 2), np.float32))
    assert outside_in(NumpyOperations(), nothing, np.full((3, 2), 8.0)).tolist() == [[0], [0], [0]]
