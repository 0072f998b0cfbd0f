from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from cxrfeat.metric.regression import score_numbers


def test_errors_are_those_of_scikit_learn_and_lie_in_their_intervals() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(50, 15, 300)
    predicted = y + rng.normal(2, 8, 300)
    found = score_numbers(y, predicted, np.repeat(np.arange(150), 2), resamples=300)
    assert found["mae"] == pytest.approx(mean_absolute_error(y, predicted))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(y, predicted))
    assert found["r2"] == pytest.approx(r2_score(y, predicted))
    for name in ("mae", "rmse", "r2"):
        low, high = found[f"{name}_ci"]
        assert low < found[name] < high
    assert (found["images"], found["groups"]) == (300, 150)
    assert [one["images"] for one in found["tenths"]] == [30] * 10
    order = np.argsort(predicted)
    assert found["tenths"][0]["predicted"] == pytest.approx(predicted[order[:30]].mean())
    assert found["tenths"][9]["true"] == pytest.approx(y[order[-30:]].mean())
    assert all(one["true_ci"][0] < one["true"] < one["true_ci"][1] for one in found["tenths"])


def test_few_groups_give_no_interval_and_equal_numbers_no_r2() -> None:
    found = score_numbers(np.full(6, 3.0), np.arange(6.0), np.arange(6), resamples=20)
    assert found["mae_ci"] is None
    assert found["r2"] is None
