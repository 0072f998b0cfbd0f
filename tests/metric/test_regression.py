from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from cxrfeat.metric.regression import number_line, paired_number_differences, score_numbers


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


def predictions(seed: int, patients: int = 60, gap: float = 3.0) -> tuple[Any, ...]:
    """Two images of each patient, and two predictions whose errors hang together; those of the second are larger."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 2)
    y = rng.normal(50, 15, 2 * patients)
    shared = np.repeat(rng.normal(size=patients), 2) * 6
    near, far = (y + shared + rng.normal(size=2 * patients) * spread for spread in (3.0, 3.0 + gap))
    return y, near, far, groups


def test_the_nearer_of_two_predictions_is_told_whichever_comes_first() -> None:
    y, near, far, groups = predictions(0, gap=6.0)
    found, turned = (paired_number_differences(y, *pair, groups) for pair in ((near, far), (far, near)))
    for name, sign in (("mae", -1), ("rmse", -1), ("r2", 1)):
        one, other = found[name], turned[name]
        alone = [score_numbers(y, said, groups, resamples=20)[name] for said in (near, far)]
        assert one["difference"] == pytest.approx(alone[0] - alone[1])
        assert one["difference"] == pytest.approx(-other["difference"])
        assert one["difference"] * sign > 0
        assert one["ci"] == pytest.approx([-end for end in reversed(other["ci"])])
        assert (one["tied"], one["p"] < 0.05) == (False, True)
    order = np.random.default_rng(1).permutation(len(y))
    again = paired_number_differences(y[order], near[order], far[order], groups[order])
    assert again["mae"]["ci"] == pytest.approx(found["mae"]["ci"])


def test_the_p_of_a_difference_is_where_its_interval_leaves_zero_out() -> None:
    y, near, far, groups = predictions(3, patients=20, gap=1.5)
    p = paired_number_differences(y, near, far, groups)["mae"]["p"]
    assert 0.001 < p < 0.9
    for level, inside in ((1 - 0.8 * p, True), (1 - 1.25 * p, False)):
        low, high = paired_number_differences(y, near, far, groups, level=level)["mae"]["ci"]
        assert (low <= 0 <= high) is inside


def test_the_same_predictions_are_tied_and_few_groups_say_nothing() -> None:
    y, near, far, groups = predictions(0)
    same = paired_number_differences(y, near, near, groups)
    assert [(one["difference"], one["p"], one["tied"]) for one in same.values()] == [(0.0, 1.0, True)] * 3
    few = paired_number_differences(y[:14], near[:14], far[:14], groups[:14])
    assert [(one["ci"], one["p"], one["tied"]) for one in few.values()] == [(None, None, True)] * 3
    flat = paired_number_differences(np.full(40, 3.0), near[:40], far[:40], groups[:40])
    assert (flat["r2"]["difference"], flat["r2"]["ci"]) == (None, None)
    assert flat["mae"]["ci"] is not None


@pytest.mark.slow
def test_intervals_of_few_patients_hold_the_truth_nearly_as_often_as_they_say() -> None:
    """Where predictions are equally good, 8 patients claim a difference in 8 of 100 tries at most, 30 in 7."""
    for patients, most in ((8, 0.08), (30, 0.07)):
        wrong = sum(
            not paired_number_differences(*predictions(seed, patients, gap=0.0), resamples=500)["mae"]["tied"]
            for seed in range(400)
        )
        assert wrong / 400 <= most, patients


def test_the_line_of_true_on_predicted_numbers_says_how_far_they_are_off() -> None:
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(100), 2)
    predicted = rng.normal(60, 10, 200)
    found = number_line(45 + 0.5 * (predicted - 60) + rng.normal(0, 1, 200), predicted, groups)
    assert found["slope"] == pytest.approx(0.5, abs=0.05)
    assert found["slope_ci"][0] < 0.5 < found["slope_ci"][1]
    assert found["bias"] == pytest.approx(15, abs=1)
    flat = number_line(predicted, np.full(200, 60.0), groups)
    assert (flat["slope"], flat["slope_ci"]) == (None, None)
    few = number_line(predicted[:6], predicted[:6], groups[:6])
    assert (few["slope_ci"], few["bias_ci"]) == (None, None)
