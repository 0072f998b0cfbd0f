from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from cxrfeat.metric.calibrate import (
    TEMPERATURES,
    calibration_error,
    confidence_bins,
    fit_temperature,
    log_loss,
    reliability,
    softmax,
)
from cxrfeat.types import Probabilities
from tests.metric.test_score import made_up


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e3, 1e300]))
def test_softmax_is_scipys_for_logits_of_any_size(seed: int, size: float) -> None:
    z = np.random.default_rng(seed).normal(size=(5, 3)) * size
    np.testing.assert_allclose(softmax(z), scipy.special.softmax(z, axis=1), atol=1e-15)
    np.testing.assert_allclose(softmax(z).sum(1), 1.0)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 7.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 2
    y = (softmax(logits).cumsum(1) < rng.random((len(logits), 1))).sum(1)
    assert fit_temperature(logits * temperature, y) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_no_temperature_on_a_grid_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=(30, 3)) * 5, rng.integers(0, 3, 30)
    z[np.arange(30), y] += 4
    best = log_loss(z / fit_temperature(z, y), y)
    assert best <= min(log_loss(z / t, y) for t in np.geomspace(*TEMPERATURES, 500)) + 1e-9


def test_labels_that_are_all_right_stop_at_the_cold_end() -> None:
    y = np.arange(12) % 3
    assert fit_temperature(np.eye(3)[y], y) == pytest.approx(TEMPERATURES[0], rel=1e-3)


def test_labels_that_are_all_wrong_stop_at_the_hot_end() -> None:
    y = np.arange(12) % 3
    assert fit_temperature(np.eye(3)[(y + 1) % 3], y) == pytest.approx(TEMPERATURES[1], rel=1e-2)


def test_nothing_to_fit_on_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_temperature(np.empty((0, 3)), np.empty(0, np.int64))


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("seed", range(3))
def test_the_reliability_curve_is_scikit_learns(seed: int, bins: int) -> None:
    y, p = made_up(seed, 200)
    found = reliability(y, p, bins)
    accuracy, confidence = calibration_curve(p.argmax(1) == y, p.max(1), n_bins=bins)
    filled = [index for index, count in enumerate(found["counts"]) if count]
    assert [found["accuracy"][index] for index in filled] == pytest.approx(list(accuracy))
    assert [found["confidence"][index] for index in filled] == pytest.approx(list(confidence))
    assert sum(found["counts"]) == 200
    assert found["edges"] == pytest.approx(list(np.arange(bins + 1) / bins))
    assert [index for index, value in enumerate(found["accuracy"]) if value is not None] == filled
    json.dumps(found, allow_nan=False)


def test_a_bin_is_closed_on_the_right() -> None:
    edges = np.array([0.0, 0.2, np.nextafter(0.2, 1), 0.4, 1.0])
    assert confidence_bins(edges, 5).tolist() == [0, 0, 1, 1, 4]


def test_calibration_error_of_a_worked_example() -> None:
    # Ten images, five bins: of four at 0.7 three are right, of six at 0.9 three. 0.4 * 0.05 + 0.6 * 0.4 = 0.26.
    p = np.r_[np.full(4, 0.7), np.full(6, 0.9)]
    y = np.r_[0, 0, 0, 1, 0, 0, 0, 1, 1, 1]
    assert calibration_error(y, np.column_stack([p, 1 - p]), bins=5) == pytest.approx(0.26)


@pytest.mark.parametrize(
    ("y", "p", "bins"), [([], np.empty((0, 2)), 15), ([0], np.ones((2, 2)), 15), ([0], np.ones((1, 2)), 0)]
)
def test_a_curve_of_nothing_is_refused(y: list[int], p: Probabilities, bins: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        reliability(np.array(y, np.int64), p, bins)
