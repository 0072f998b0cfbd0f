"""What a head is trained on is checked once, and what heads derive from it is that of its training rows alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError, SpecError, SplitError
from cxrfeat.head.training_set import TrainingSet, importance, scaling
from tests.head.blobs import NAMES, blobs


def made(**fields: Any) -> TrainingSet:
    X, y, X_val, y_val = blobs()
    given: dict[str, Any] = {"X": X, "y": y, "X_val": X_val, "y_val": y_val, "classes": NAMES[:3]} | fields
    return TrainingSet(**given)


def with_one(array: np.ndarray[Any, Any], value: float) -> np.ndarray[Any, Any]:
    changed = array.copy()
    changed.flat[0] = value
    return changed


X, Y, X_VAL, Y_VAL = blobs()


@pytest.mark.parametrize(
    ("fields", "error", "why"),
    [
        ({"X": X[:, 0]}, ValueError, r"\(images, views, dim\)"),
        ({"X": X[:0], "y": Y[:0]}, ValueError, r"\(images, views, dim\)"),
        ({"y": Y[:-1]}, ValueError, "with labels"),
        ({"X_val": X_VAL[:, :-1]}, ValueError, "Validation rows"),
        ({"y_val": Y_VAL + 1}, ValueError, "indices from 0 to 2"),
        ({"y": Y - 1}, ValueError, "indices from 0 to 2"),
        ({"weights": np.zeros(len(Y))}, ValueError, "above 0"),
        ({"weights": np.ones(len(Y) - 1)}, ValueError, "one for each image"),
        ({"weights": np.full(len(Y), np.inf)}, ValueError, "above 0"),
        ({"classes": NAMES[:1], "y": Y * 0, "y_val": Y_VAL * 0}, SplitError, "only COVID"),
        ({"classes": NAMES}, SplitError, "of class PNEUMONIA"),
        ({"X": with_one(X, np.nan)}, InputError, "training features"),
        ({"X_val": with_one(X_VAL, np.inf)}, InputError, "validation features"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        made(**fields)


def test_validation_may_be_empty() -> None:
    assert made(X_val=X_VAL[:0], y_val=Y_VAL[:0]).standardized(X_VAL[:0]).shape == (0, X.shape[2])


def test_rows_are_standardised_by_the_training_rows_alone() -> None:
    training = made()
    rows = X.reshape(-1, X.shape[2]).astype(np.float64)
    expected = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(training.rows, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(training.row_labels.reshape(len(Y), -1), np.stack([Y] * X.shape[1], axis=1))
    moved = made(X_val=X_VAL + 100)
    np.testing.assert_array_equal(moved.scaler["mean"], training.scaler["mean"])
    found = training.standardized(X_VAL)
    np.testing.assert_allclose(found, (X_VAL - rows.mean(0)) / rows.std(0), rtol=1e-5, atol=1e-5)


def test_standardising_in_parts_gives_the_bits_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    training = made()
    whole = training.standardized(X_VAL)
    monkeypatch.setattr("cxrfeat.head.training_set._BLOCK", 3 * X.shape[2])
    np.testing.assert_array_equal(training.standardized(X_VAL), whole)


def test_fewer_views_are_the_first_ones_and_shared() -> None:
    training = made()
    one = training.first_views(1)
    np.testing.assert_array_equal(one.X, X[:, :1])
    assert training.first_views(1) is one
    assert training.first_views(None) is training.first_views(X.shape[1]) is training
    with pytest.raises(SpecError, match="`views=2`"):
        training.first_views(3)


def test_weights_count_as_rows_that_stand_there_so_often() -> None:
    counts = np.arange(len(Y)) % 3 + 1
    weighted, repeated = scaling(X, np.repeat(counts, X.shape[1])), scaling(X.repeat(counts, axis=0))
    np.testing.assert_allclose(weighted["mean"], repeated["mean"], rtol=1e-6)
    np.testing.assert_allclose(weighted["scale"], repeated["scale"], rtol=1e-5)
    row = made(weights=counts.astype(float)).row_weights
    assert row is not None
    np.testing.assert_array_equal(row, np.repeat(counts, X.shape[1]))


def test_a_constant_feature_stays_as_it_is() -> None:
    constant = X.copy()
    constant[..., 0] = 0.1
    assert scaling(constant)["scale"][0] == 1.0
    assert np.abs(made(X=constant).rows[:, 0]).max() < 1e-6


def test_balanced_classes_weigh_the_same_in_all() -> None:
    y, weights = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 1.0, 2.0])
    found = importance(y, 2, "balanced", weights)
    assert found[y == 0].sum() == pytest.approx(found[y == 1].sum())
    assert found.sum() == pytest.approx(weights.sum())
    np.testing.assert_array_equal(importance(y, 2, "none", weights), weights)
