from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cxrfeat.metric.confusion import (
    accuracy,
    balanced_accuracy,
    counts,
    macro_f1,
    precision,
    sensitivity,
    specificity,
)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_rates_are_scikit_learns_where_they_exist(pairs: list[tuple[int, int]]) -> None:
    y, predicted = np.array(pairs).T
    matrix = counts(y, predicted, 3)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(y, predicted, labels=range(3)))
    assert accuracy(matrix) == pytest.approx(metrics.accuracy_score(y, predicted))
    for index in range(3):
        of, taken = y == index, predicted == index
        for found, expected, there in (
            (sensitivity(matrix)[index], metrics.recall_score(of, taken, zero_division=0), of.any()),
            (specificity(matrix)[index], metrics.recall_score(~of, ~taken, zero_division=0), (~of).any()),
            (precision(matrix)[index], metrics.precision_score(of, taken, zero_division=0), taken.any()),
        ):
            assert found == pytest.approx(expected) if there else np.isnan(found)
    whole = len(set(y.tolist())) == 3
    for found, expected in (
        (balanced_accuracy(matrix), metrics.recall_score(y, predicted, average="macro", zero_division=0)),
        (macro_f1(matrix), metrics.f1_score(y, predicted, average="macro", zero_division=0)),
    ):
        assert found == pytest.approx(expected) if whole else np.isnan(found)


def test_a_stack_of_matrices_gives_the_rates_of_each() -> None:
    stack = np.random.default_rng(0).integers(0, 9, (5, 2, 3, 3)).astype(float)
    for rate in (accuracy, sensitivity, specificity, precision, balanced_accuracy, macro_f1):
        whole = rate(stack)
        assert whole.shape[:2] == (5, 2)
        for place in np.ndindex(5, 2):
            np.testing.assert_array_equal(whole[place], rate(stack[place]))


def test_of_no_images_nothing_is_said() -> None:
    empty = np.zeros((3, 3))
    for rate in (accuracy, sensitivity, specificity, precision, balanced_accuracy, macro_f1):
        assert np.isnan(rate(empty)).all()
