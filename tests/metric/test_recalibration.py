from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.recalibration import calibration_lines, recalibrate
from cxrfeat.metric.score import scores

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def drawn(images: int, *, sharper: float = 1.0, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from probabilities, and what a model says that is so much sharper, and shifted against COVID."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (rng.uniform(size=(images, 1)) > true.cumsum(1)).sum(1)
    said = logits * sharper - np.array([shift, 0.0, 0.0])
    return y, np.exp(said) / np.exp(said).sum(1, keepdims=True)


def test_a_model_that_is_right_has_slope_one_and_intercept_zero() -> None:
    y, p = drawn(4000)
    found = calibration_lines(y, p, np.arange(4000), CLASSES)
    for name in CLASSES:
        low, high = found["slope_ci"][name]
        assert low < 1 < high
        low, high = found["intercept_ci"][name]
        assert low < 0 < high
        assert low < found["intercept"][name] < high


def test_a_model_that_is_too_sure_has_a_slope_below_one_and_a_rare_class_an_intercept_below_zero() -> None:
    y, p = drawn(4000, sharper=3.0)
    assert all(slope < 0.6 for slope in calibration_lines(y, p, np.arange(4000), CLASSES)["slope"].values())
    y, p = drawn(4000, shift=-2.0)
    assert calibration_lines(y, p, np.arange(4000), CLASSES)["intercept"]["COVID"] < -0.5


def test_one_slope_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    y, p = drawn(600, sharper=2.0)
    odds = np.log(p[:, 0] / (1 - p[:, 0]))[:, None]
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(odds, y == 0).coef_[0, 0]
    assert calibration_lines(y, p, np.arange(600), CLASSES)["slope"]["COVID"] == pytest.approx(theirs, abs=1e-4)


def test_where_no_mistake_is_made_there_is_no_slope_and_few_groups_give_no_interval() -> None:
    y = np.arange(60) % 3
    found = calibration_lines(y, np.eye(3)[y] * 0.94 + 0.02, np.arange(60), CLASSES)
    assert found["slope"] == dict.fromkeys(CLASSES)
    y, p = drawn(30)
    found = calibration_lines(y, p, np.arange(30) % 6, CLASSES)
    assert found["slope_ci"] == dict.fromkeys(CLASSES)
    assert found["slope"]["COVID"] is not None


def test_the_interval_holds_the_truth_as_often_as_it_says_with_patients_of_several_images() -> None:
    held = []
    for seed in range(100):
        y, p = drawn(60, seed=seed)
        y, p, groups = np.repeat(y, 2), np.repeat(p, 2, axis=0), np.repeat(np.arange(60), 2)
        low, high = calibration_lines(y, p, groups, CLASSES)["slope_ci"]["NORMAL"]
        held.append(low <= 1 <= high)
    assert np.mean(held) >= 0.88


def test_mending_takes_back_what_was_done_to_probabilities() -> None:
    y, p = drawn(6000, sharper=2.5, shift=1.0)
    mended = recalibrate(y, p)
    assert mended.slope == pytest.approx(1 / 2.5, abs=0.04)
    other, q = drawn(6000, sharper=2.5, shift=1.0, seed=1)
    before, after = scores(other, q, CLASSES), scores(other, mended.of(q), CLASSES)
    assert after["log_loss"] < before["log_loss"] - 0.1
    assert after["ece"] < 0.03 < before["ece"]
    np.testing.assert_allclose(mended.of(q).sum(1), 1)
