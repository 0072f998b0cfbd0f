from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.head.fit import fit_head
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadSpec


def rows(images: int = 200, views: int = 2, dim: int = 12) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(images, views, dim)) * rng.uniform(0.5, 3, dim) + 2).astype(np.float32)


def test_a_target_that_is_known_of_all_is_what_a_ridge_head_says() -> None:
    X = rows()
    y = (X[:, 0, 0] + X[:, 0, 3] > 4).astype(np.int64)
    training = TrainingSet(X, y, X[:20, 0], y[:20], ["absent", "present"])
    head = fit_head(HeadSpec(kind="ridge"), training).head
    found = fit_ridge_targets(X, [2.0 * y - 1], strength=0.001).predict(X[:, 0])[:, 0]
    np.testing.assert_allclose(found, head.decision(X[:, 0])[:, 1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])  # made anew of few, taken away from all of many
def test_a_target_that_is_not_known_of_all_is_fitted_to_those_of_which_it_is(share: float) -> None:
    X = rows()
    rng = np.random.default_rng(5)
    y = (X[:, 0, 2] - 0.5 * X[:, 0, 7]).astype(np.float64)
    known = rng.random(len(X)) < share
    target = np.where(known, y, np.nan)
    whole = fit_ridge_targets(X, [target, y], strength=0.01)
    # The plain solution, standardised by all training rows.
    flat = (X.reshape(-1, X.shape[2]).astype(np.float64) - whole.mean) / whole.scale
    some = np.repeat(known, X.shape[1])
    Z, t = flat[some], np.repeat(y, X.shape[1])[some]
    centred = Z - Z.mean(axis=0)
    coef = np.linalg.solve(centred.T @ centred + 100 * np.eye(X.shape[2]), centred.T @ (t - t.mean()))
    np.testing.assert_allclose(whole.coef[0], coef, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(whole.intercept[0], t.mean() - Z.mean(axis=0) @ coef, rtol=1e-6)


def test_a_feature_that_never_changes_is_no_harm() -> None:
    X = rows()
    X[:, :, 4] = 7
    found = fit_ridge_targets(X, [X[:, 0, 0].astype(np.float64)], strength=1.0)
    assert np.isfinite(found.predict(X[:, 0])).all()
    assert found.predict(X[:0, 0]).shape == (0, 1)
