from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.head.decision import pair_weights
from cxrfeat.head.fitted import FittedHead


def test_the_first_of_equal_classes_is_predicted() -> None:
    zeros = {"weights_0": np.zeros((4, 3), np.float32), "bias_0": np.zeros(3, np.float32)}
    head = FittedHead(kind="softmax", classes=("a", "b", "c"), arrays=zeros)
    assert head.predict(np.ones((2, 4))).tolist() == [0, 0]


def test_among_rows_equally_far_the_first_vote() -> None:
    rows = np.array([[2.0], [0.0], [2.0], [0.0], [9.0]], np.float32)  # 0 to 3 are equally far from 1
    arrays: dict[str, Any] = {
        "mean": np.zeros(1),
        "scale": np.ones(1),
        "rows": rows,
        "labels": np.array([2, 0, 0, 1, 1]),
    }
    shares = {1: [1, 1, 2], 2: [2, 1, 2], 3: [3, 1, 2], 5: [3, 3, 2]}
    for neighbours, votes in shares.items():
        kept = {**arrays, "neighbours": np.array(neighbours)}
        head = FittedHead(kind="knn", classes=("a", "b", "c"), arrays=kept)
        expected = np.array(votes) / (neighbours + 3)
        np.testing.assert_allclose(head.predict_proba(np.array([[1.0]]))[0], expected, rtol=1e-14)
        assert head.predict(np.array([[1.0]])) == np.argmax(votes)  # the first of equal classes


@pytest.mark.parametrize("block", [200, 3000, 2**22])
def test_ties_between_neighbours_are_the_same_in_every_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row four times with four labels, far from zero: the matrix product alone would break the ties by chance."""
    rng = np.random.default_rng(0)
    rows = np.tile(rng.normal(1000, 1, (20, 33)).astype(np.float32), (4, 1))
    arrays = {
        "mean": np.zeros(33), "scale": np.full(33, 0.3), "rows": rows, "labels": np.repeat(np.arange(4), 20),
        "neighbours": np.array(1),
    }  # fmt: skip
    monkeypatch.setattr("cxrfeat.head.fitted._BLOCK", block)
    head = FittedHead(kind="knn", classes=tuple("abcd"), arrays=arrays)
    assert head.predict(rows[rng.permutation(80)]).tolist() == [0] * 80


def test_each_pair_of_classes_takes_the_weights_of_its_own_support_vectors() -> None:
    """Of four vectors, two of the first class; libsvm's rows are the other classes in order."""
    dual = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    weights = pair_weights(dual, np.array([2, 1, 1]))
    assert weights.tolist() == [[1, 5, 0], [2, 6, 0], [3, 0, 7], [0, 4, 8]]
