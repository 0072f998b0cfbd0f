from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score, roc_curve

from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.operating import choose_thresholds, operating_points, predictive_values
from cxrfeat.metric.resample import weight_blocks
from cxrfeat.types import Labels, Probabilities
from tests.metric.test_score import CLASSES, made_up


@pytest.mark.few(8)
@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_points_are_the_best_of_scikit_learns_curve(seed: int, target: float) -> None:
    y, p = made_up(seed)
    found = operating_points(y, p, np.arange(60), CLASSES, specificity=target, sensitivity=target, resamples=10)
    for index, name in enumerate(CLASSES):
        missed, hit, _ = roc_curve(y == index, p[:, index], drop_intermediate=False)
        at_specificity, at_sensitivity = found[name]["at_specificity"], found[name]["at_sensitivity"]
        assert at_specificity["sensitivity"] == pytest.approx(hit[1 - missed >= target - 1e-12].max())
        assert at_specificity["specificity"] >= target
        assert at_sensitivity["specificity"] == pytest.approx(1 - missed[hit >= target - 1e-12].min())
        assert at_sensitivity["sensitivity"] >= target
        for point in (at_specificity, at_sensitivity):
            called = p[:, index] >= point["threshold"]
            assert point["sensitivity"] == recall_score(y == index, called)
            assert point["specificity"] == recall_score(y != index, ~called)


def test_intervals_agree_with_a_plain_loop_over_the_same_resamples() -> None:
    y, p = made_up(3, 900)  # so many that percentiles of the draws are told
    groups = np.random.default_rng(2).integers(0, 500, 900) * 7 - 3
    found = operating_points(y, p, groups, CLASSES, resamples=200, seed=5)
    worth = predictive_values(y, p, groups, CLASSES, {"COVID": 0.1}, resamples=200, seed=5)["COVID"]
    names = np.unique(groups)
    point = found["COVID"]["at_specificity"]
    drawn: dict[str, list[float]] = {"sensitivity": [], "specificity": [], "ppv": [], "npv": []}
    for row in np.concatenate(list(weight_blocks(len(names), 900, 200, seed=5))):
        took = np.repeat(np.arange(900), row[np.searchsorted(names, groups)].astype(int))
        of = y[took] == 0
        if of.any() and not of.all():
            called = p[took, 0] >= point["threshold"]
            drawn["sensitivity"].append(float(called[of].mean()))
            drawn["specificity"].append(float((~called[~of]).mean()))
            first = p[took].argmax(1) == 0
            hit, passed = first[of].mean(), (~first[~of]).mean()
            if first.any():
                drawn["ppv"].append(float(hit * 0.1 / (hit * 0.1 + (1 - passed) * 0.9)))
            drawn["npv"].append(float(passed * 0.9 / (passed * 0.9 + (1 - hit) * 0.1)))
    for name, values in drawn.items():
        interval = (point if name in point else worth)[f"{name}_ci"]
        assert interval == pytest.approx(list(np.percentile(values, [2.5, 97.5])), abs=1e-12), name


def test_the_rates_of_the_predicted_class_have_the_intervals_of_the_scores() -> None:
    y, p = made_up(1, 120)
    groups = np.arange(120) // 3
    found = predictive_values(y, p, groups, CLASSES, dict.fromkeys(CLASSES, 0.5), seed=4)
    scores = bootstrap(y, p, groups, CLASSES, seed=4)
    for name in CLASSES:
        assert found[name]["sensitivity_ci"] == scores["sensitivity_ci"][name]
        assert found[name]["specificity_ci"] == scores["specificity_ci"][name]


def liver_scans() -> tuple[Labels, Probabilities]:
    """Of 258 abnormal livers the scan found 231; of 86 normal ones it passed 54 (Altman & Bland 1994)."""
    y = np.r_[np.zeros(258, np.int64), np.ones(86, np.int64)]
    called = np.r_[np.arange(258) < 231, np.arange(86) >= 54]
    return y, np.column_stack([called, ~called]).astype(float)


@pytest.mark.parametrize(("prevalence", "ppv", "npv"), [(0.25, 0.45, 0.95), (258 / 344, 0.88, 0.67)])
def test_altman_and_blands_liver_scans(prevalence: float, ppv: float, npv: float) -> None:
    y, p = liver_scans()
    found = predictive_values(y, p, np.arange(344), ["abnormal", "normal"], {"abnormal": prevalence}, resamples=50)
    worth = found["abnormal"]
    assert worth["sensitivity"] == pytest.approx(0.90, abs=0.005)
    assert worth["specificity"] == pytest.approx(0.63, abs=0.005)
    assert worth["ppv"] == pytest.approx(ppv, abs=0.005)
    assert worth["npv"] == pytest.approx(npv, abs=0.005)
    assert worth["ppv_ci"][0] < worth["ppv"] < worth["ppv_ci"][1]
    assert list(found) == ["abnormal"]


def test_at_the_prevalence_of_the_images_the_value_is_the_precision() -> None:
    y, p = made_up(2)
    shares = {name: float((y == index).mean()) for index, name in enumerate(CLASSES)}
    found = predictive_values(y, p, np.arange(60), CLASSES, shares, resamples=10)
    for index, name in enumerate(CLASSES):
        called = p.argmax(1) == index
        assert found[name]["ppv"] == pytest.approx((y[called] == index).mean())
        assert found[name]["npv"] == pytest.approx((y[~called] != index).mean())


def test_thresholds_from_elsewhere_are_used_as_they_are() -> None:
    y, p = made_up(1, 90)
    chosen = choose_thresholds(y[:45], p[:45], CLASSES, specificity=0.9)
    thresholds = {name: value for name, value in chosen.items() if value is not None and name != "NORMAL"}
    found = operating_points(y[45:], p[45:], np.arange(45), CLASSES, thresholds=thresholds, resamples=10)
    assert found["NORMAL"] == {"at_threshold": None}
    for index, name in ((0, "COVID"), (2, "PNEUMONIA")):
        point = found[name]["at_threshold"]
        assert point["threshold"] == thresholds[name]
        assert point["sensitivity"] == (p[45:][y[45:] == index, index] >= thresholds[name]).mean()
    nothing = operating_points(y, p, np.arange(90), CLASSES, thresholds={}, resamples=10)
    assert nothing == {name: {"at_threshold": None} for name in CLASSES}


def test_a_threshold_chosen_on_the_same_images_is_optimistic() -> None:
    here: list[float] = []
    there: list[float] = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        y = np.arange(80) % 2
        shift = rng.normal(size=80) + y
        p = np.column_stack([1 / (1 + np.exp(shift)), 1 / (1 + np.exp(-shift))])
        chosen = choose_thresholds(y[:40], p[:40], "ab", specificity=0.9)["b"]
        assert chosen is not None
        for rates, part in ((here, slice(0, 40)), (there, slice(40, 80))):
            rates.append(float((p[part, 1][y[part] == 0] < chosen).mean()))
    assert np.mean(here) > np.mean(there) + 0.01


def test_a_specificity_that_only_silence_keeps_to_calls_nothing() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7], [0.05, 0.95]])
    found = operating_points(y, p[:, ::-1], np.arange(4), "ab", specificity=1.0, resamples=10)
    point = found["a"]["at_specificity"]
    assert (point["sensitivity"], point["specificity"]) == (0.0, 1.0)
    assert point["threshold"] > 0.95


def test_an_absent_class_has_no_sensitivity_and_an_only_class_no_specificity() -> None:
    y, p = np.zeros(6, np.int64), np.tile([0.7, 0.3], (6, 1))
    found = operating_points(y, p, np.arange(6), "ab", resamples=10)
    assert found["a"]["at_specificity"] is None
    assert found["a"]["at_sensitivity"]["sensitivity"] == 1.0
    assert found["a"]["at_sensitivity"]["specificity"] is None
    assert found["a"]["at_sensitivity"]["specificity_ci"] is None
    assert found["b"]["at_sensitivity"] is None
    assert found["b"]["at_specificity"]["sensitivity"] is None
    worth = predictive_values(y, p, np.arange(6), "ab", {"a": 0.1, "b": 0.1}, resamples=10)
    assert worth["a"]["ppv"] is None
    assert worth["b"]["sensitivity_ci"] is None
    json.dumps([found, worth], allow_nan=False)


def test_a_class_never_called_has_no_positive_predictive_value() -> None:
    y, p = np.arange(6) % 2, np.tile([0.7, 0.3], (6, 1))
    worth = predictive_values(y, p, np.arange(6), "ab", {"b": 0.2}, resamples=10)["b"]
    assert worth["ppv"] is None
    assert worth["npv"] == pytest.approx(0.8)
    assert predictive_values(y, p, np.arange(6), "ab", {}) == {}


def test_rates_at_the_edge_have_exact_intervals_and_predictive_values_those_of_both() -> None:
    y, p = np.arange(40) % 2, np.eye(2)[np.arange(40) % 2]
    worth = predictive_values(y, p, np.arange(40), "ab", {"a": 0.1}, resamples=50)["a"]
    end = 0.025 ** (1 / 20)  # Clopper & Pearson, 20 of 20
    assert worth["sensitivity_ci"] == worth["specificity_ci"] == pytest.approx([end, 1.0])
    assert worth["ppv_ci"] == pytest.approx([0.1 * end / (0.1 * end + 0.9 * (1 - end)), 1.0])
    assert worth["npv_ci"] == pytest.approx([0.9 * end / (0.9 * end + 0.1 * (1 - end)), 1.0])
    few = np.r_[0:40:2, 1:15:2]  # 20 of the one, 7 of the other
    worth = predictive_values(y[few], p[few], few, "ab", {"a": 0.1}, resamples=50)["a"]
    assert worth["sensitivity_ci"] is not None
    assert worth["ppv"] == 1.0
    assert (worth["specificity_ci"], worth["ppv_ci"], worth["npv_ci"]) == (None, None, None)
    point = operating_points(y[few], p[few], few, "ab", resamples=50)["b"]["at_specificity"]
    assert (point["sensitivity"], point["sensitivity_ci"]) == (1.0, None)
    assert point["specificity_ci"] == pytest.approx([end, 1.0])


def test_one_group_leaves_the_intervals_open() -> None:
    y, p = made_up(0)
    found = operating_points(y, p, np.zeros(60, np.int64), CLASSES)
    assert found["COVID"]["at_specificity"]["sensitivity"] is not None
    assert found["COVID"]["at_specificity"]["sensitivity_ci"] is None


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_the_order_of_the_images_does_not_change_a_bit(seed: int, n: int) -> None:
    y, p = made_up(seed, n)
    groups = np.random.default_rng(seed).integers(0, 6, n)
    order = np.random.default_rng(seed + 1).permutation(n)
    shares = {"COVID": 0.3}

    def told(rows: Any) -> Any:
        options: dict[str, Any] = {"resamples": 50}
        return (
            operating_points(y[rows], p[rows], groups[rows], CLASSES, **options),
            predictive_values(y[rows], p[rows], groups[rows], CLASSES, shares, **options),
        )

    assert told(order) == told(np.arange(n))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, p, g: operating_points(y, p, g, CLASSES, specificity=0), "above 0 and at most 1; got 0"),
        (lambda y, p, g: operating_points(y, p, g, CLASSES, sensitivity=1.1), "at most 1; got 1.1"),
        (lambda y, p, g: operating_points(y, p, g[1:], CLASSES), "Groups of 60 images"),
        (lambda y, p, g: operating_points(y, p, g, CLASSES, level=95), "level between 0 and 1"),
        (lambda y, p, g: operating_points(y, p, g, CLASSES, thresholds={"FLU": 0.5}), "There is no class 'FLU'"),
        (lambda y, p, g: operating_points(y, p, g, CLASSES, thresholds={"COVID": np.nan}), "COVID is a number"),
        (lambda y, p, g: choose_thresholds(y, p, CLASSES), "give one of them"),
        (lambda y, p, g: choose_thresholds(y, p, CLASSES, specificity=0.9, sensitivity=0.9), "give one of them"),
        (lambda y, p, g: predictive_values(y, p, g, CLASSES, {"covid": 0.1}), "Did you mean COVID"),
        (lambda y, p, g: predictive_values(y, p, g, CLASSES, {"NORMAL": 0}), "between 0 and 1, such as 0.1; got 0"),
        (lambda y, p, g: predictive_values(y, p, g, CLASSES, {"NORMAL": 1.0}), "between 0 and 1"),
        (lambda y, p, g: predictive_values(y, p, g, CLASSES, {"NORMAL": np.nan}), "got nan"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call: Callable[..., Any], message: str) -> None:
    y, p = made_up(0)
    with pytest.raises(ValueError, match=message):
        call(y, p, np.arange(60))
