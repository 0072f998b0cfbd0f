from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from cxrfeat.metric.roc import GRID, calibration_band, roc_band


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_scikit_learns_and_its_area_the_auroc(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.4
    probability = np.asarray(np.round(rng.random(60) + 0.3 * positive, 1), np.float64)  # with ties
    found = roc_band(positive, probability, np.arange(60), resamples=50)
    assert found is not None
    rate, hit, _ = roc_curve(positive, probability, drop_intermediate=False)
    assert np.allclose(np.interp(rate[1:-1], found["false_positive"], found["sensitivity"]).max(), hit[1:-1].max())
    area = np.trapezoid(found["sensitivity"], found["false_positive"])
    assert area == pytest.approx(roc_auc_score(positive, probability))
    assert len(found["grid"]) == len(found["low"]) == len(found["high"]) == GRID


def test_the_band_holds_the_curve_and_is_wider_with_few_groups() -> None:
    rng = np.random.default_rng(0)
    positive = np.repeat([True, False], 60)
    probability = rng.normal(size=120) + positive
    many = roc_band(positive, probability, np.arange(120))
    few = roc_band(positive, np.repeat(probability[::6], 6), np.arange(120) // 6)
    assert many is not None
    assert few is not None

    def width(found: dict[str, list[float]]) -> float:
        return float(np.mean(np.array(found["high"][:-1]) - found["low"][:-1]))

    at = np.interp(many["grid"], many["false_positive"], many["sensitivity"])
    inside = (np.array(many["low"][:-1]) <= at[:-1] + 1e-9) & (at[:-1] <= np.array(many["high"][:-1]) + 1e-9)
    assert inside.all()
    assert (many["low"][-1], many["high"][-1]) == (None, None), "where all is called, all is found: by definition"
    assert width(few) > 1.5 * width(many)


def test_a_curve_takes_images_of_both_kinds_and_a_band_takes_two_groups() -> None:
    assert roc_band(np.array([True, True]), np.array([0.1, 0.2]), np.arange(2)) is None
    alone = roc_band(np.array([True, False]), np.array([0.9, 0.1]), np.zeros(2, np.int64))
    assert alone is not None
    assert set(alone["low"]) == {None}
    seven = np.arange(15) < 7
    few = roc_band(seven, seven.astype(float), np.arange(15))
    assert few is not None
    assert set(few["high"]) == {None}
    perfect = roc_band(np.arange(20) < 10, (np.arange(20) < 10).astype(float), np.arange(20), resamples=50)
    assert perfect is not None
    assert perfect["low"][:-1] == pytest.approx([0.025**0.1] * (GRID - 1)), "Clopper & Pearson, 10 of 10"
    with pytest.raises(ValueError, match="One truth, probability and group"):
        roc_band(np.array([True, False]), np.array([0.9, 0.1]), np.arange(3))


def test_each_bin_of_a_calibration_curve_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 300)
    first = rng.random(300)
    found = calibration_band(y, np.column_stack([first, 1 - first]), np.arange(300) // 2, bins=10)
    for count, accuracy, interval in zip(found["counts"], found["accuracy"], found["accuracy_ci"], strict=True):
        assert (count == 0) is (interval is None)
        if interval is not None:
            assert 0 <= interval[0] <= accuracy <= interval[1] <= 1
            assert interval[0] < interval[1]


def test_a_bin_without_a_mistake_is_not_said_to_be_sure() -> None:
    sure = np.tile([0.9, 0.1], (10, 1))
    (interval,) = [one for one in calibration_band(np.zeros(10, int), sure, np.arange(10))["accuracy_ci"] if one]
    assert interval == [pytest.approx(0.025**0.1), 1.0]
    (wrong,) = [one for one in calibration_band(np.ones(10, int), sure, np.arange(10))["accuracy_ci"] if one]
    assert wrong == [0.0, pytest.approx(1 - 0.025**0.1)]
    assert not any(calibration_band(np.zeros(10, int), sure, np.zeros(10, int))["accuracy_ci"])
    with pytest.raises(ValueError, match="Groups of 10 images"):
        calibration_band(np.zeros(10, int), sure, np.arange(3))


@pytest.mark.parametrize(("groups", "wanted"), [(1, None), (7, None), (10, (0.1871, 0.8129)), (40, (0.3380, 0.6620))])
def test_groups_that_are_each_half_right_are_not_sure_to_be(groups: int, wanted: tuple[float, float] | None) -> None:
    group = np.repeat(np.arange(groups), 2)
    first = np.tile([0.9, 0.1], (len(group), 1))
    second = np.tile([0.3, 0.7], (20, 1))  # another bin, so that there are several groups in all
    y = np.r_[np.tile([0, 1], groups), np.ones(20, int)]
    found = calibration_band(y, np.concatenate([first, second]), np.r_[group, 100 + np.arange(20)], bins=10)
    place = found["counts"].index(2 * groups)
    if groups == 10:
        place = 9 if found["counts"][9] else 8
    interval = found["accuracy_ci"][place]
    assert found["accuracy"][place] == 0.5
    if wanted is None:
        assert interval is None
    else:
        assert interval == pytest.approx(wanted, abs=5e-4)
