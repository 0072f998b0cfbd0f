from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from cxrfeat.errors import InputError, SplitError
from cxrfeat.head.training_set import TrainingSet, importance, scaling
from tests.head.blobs import NAMES, blobs


def test_scaling_is_scikit_learns() -> None:
    X = blobs()[0]
    X[..., 2] = 7.0
    expected = StandardScaler().fit(X.reshape(-1, X.shape[-1]).astype(np.float64))
    found = scaling(X)
    np.testing.assert_allclose(found["mean"], expected.mean_, rtol=1e-12)
    np.testing.assert_allclose(found["scale"], expected.scale_, rtol=1e-12)


def test_nan_features_are_counted() -> None:
    X, y, X_val, y_val = blobs()
    X[4, 0, 3] = np.nan
    X[7, 1, 2] = np.inf
    with pytest.raises(InputError, match=r"2 of 60 rows of the training features .* first is row 4.*cxrfeat verify"):
        TrainingSet(X, y, X_val, y_val, NAMES[:3])
    X_val[29] = np.nan
    with pytest.raises(InputError, match="1 of 30 rows of the validation features"):
        TrainingSet(blobs()[0], y, X_val, y_val, NAMES[:3])


def test_a_class_without_training_images_is_named() -> None:
    X, y, X_val, y_val = blobs()
    with pytest.raises(SplitError, match="No training image is of class NORMAL"):
        TrainingSet(X[y != 2], y[y != 2], X_val, y_val, NAMES[:3])


def test_one_class_is_not_enough() -> None:
    X, y, X_val, y_val = blobs()
    with pytest.raises(SplitError, match="there is only COVID"):
        TrainingSet(X, y * 0, X_val, y_val * 0, NAMES[:1])


def test_arguments_that_do_not_fit_are_refused() -> None:
    X, y, X_val, y_val = blobs()
    with pytest.raises(ValueError, match="Training rows are"):
        TrainingSet(X[:, 0], y, X_val, y_val, NAMES[:3])
    with pytest.raises(ValueError, match=r"Validation rows are \(n, 16\)"):
        TrainingSet(X, y, X_val[:, :5], y_val, NAMES[:3])
    with pytest.raises(ValueError, match="indices from 0 to 1"):
        TrainingSet(X, y, X_val, y_val, NAMES[:2])


def test_importance_is_balanced_by_the_weight_of_the_classes() -> None:
    y, weights = np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 2.0, 1.0])
    assert importance(y, 2, "none").tolist() == [1, 1, 1, 1]
    assert importance(y, 2, "none", weights).tolist() == weights.tolist()
    balanced = importance(y, 2, "balanced", weights)
    assert balanced[:3].sum() == pytest.approx(balanced[3:].sum())
    assert balanced.sum() == pytest.approx(weights.sum())
