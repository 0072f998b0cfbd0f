from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from cxrfeat.metric.calibrate import calibration_error
from cxrfeat.metric.compare import holm
from cxrfeat.metric.subgroup import FIGURES, subgroup_figures
from cxrfeat.types import Groups, Labels, Probabilities


def planted(
    seed: int, gap: float, *, groups: int, per_group: int = 2
) -> tuple[Labels, Probabilities, Groups, NDArray[np.int64]]:
    """Patients of two classes and two sexes; the second sex has 0.85 of sensitivity, the first so much less."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    y = (rng.random(groups) < 0.5).astype(np.int64)[group]
    member = (np.arange(groups) % 2)[group]
    found = norm.ppf(np.where(member == 1, 0.85, 0.85 - gap))
    noise = 0.6 * rng.normal(size=groups)[group] + 0.8 * rng.normal(size=len(group))
    p = 1 / (1 + np.exp(-1.7 * (np.where(y == 1, found, -norm.ppf(0.85)) + noise)))
    return y, np.column_stack([1 - p, p]), group, member


def claimed(gaps: list[dict[str, Any]]) -> set[str]:
    """Figures of which a gap is claimed, as `compare` does."""
    return {
        gap["figure"]
        for gap, p in zip(gaps, holm([gap["p"] for gap in gaps]), strict=True)
        if p <= 0.05 and not gap["ci"][0] <= 0 <= gap["ci"][1]
    }


def test_figures_are_those_of_the_images_of_a_subgroup_alone() -> None:
    y, p, groups, member = planted(0, 0.15, groups=120)
    found, _ = subgroup_figures(y, p, groups, member, 2, 1, resamples=50)
    for index, told in enumerate(found):
        rows = member == index
        truth, probability = y[rows] == 1, p[rows, 1]
        called = probability > 0.5
        assert told["images"] == rows.sum()
        assert told["groups"] == len(set(groups[rows]))
        assert told["prevalence"] == pytest.approx(truth.mean())
        assert told["sensitivity"] == pytest.approx(called[truth].mean())
        assert told["specificity"] == pytest.approx((~called[~truth]).mean())
        assert told["auroc"] == pytest.approx(roc_auc_score(truth, probability))
        bins = np.clip(np.ceil(probability * 15) - 1, 0, 14)
        gaps = [abs(truth[bins == one].mean() - probability[bins == one].mean()) for one in np.unique(bins)]
        assert told["ece"] == pytest.approx(np.average(gaps, weights=np.unique(bins, return_counts=True)[1]))
        assert not told["small"]
        for name in FIGURES:
            low, high = told[f"{name}_ci"]
            assert low <= told[name] <= high
            assert low < high


def test_the_calibration_error_is_that_of_the_whole_where_all_is_called_the_class() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 80), rng.uniform(0.5, 1, 80)
    both = np.column_stack([p, 1 - p])
    ((told,), _) = subgroup_figures(y, both, np.arange(80), np.zeros(80, np.int64), 1, 0, resamples=20)
    assert told["ece"] == pytest.approx(calibration_error(y, both))


def test_a_planted_gap_in_sensitivity_is_found() -> None:
    y, p, groups, member = planted(1, 0.15, groups=1500)
    _, gaps = subgroup_figures(y, p, groups, member, 2, 1, resamples=500)
    (gap,) = [gap for gap in gaps if gap["figure"] == "sensitivity"]
    assert (gap["high"], gap["low"]) == (1, 0)
    assert gap["ci"][0] < 0.15 < gap["ci"][1]
    assert "sensitivity" in claimed(gaps)
    assert claimed(gaps) <= {"sensitivity", "auroc", "ece"}, "the other figures are alike"


@pytest.mark.slow
def test_no_gap_is_claimed_where_the_attribute_is_shuffled() -> None:
    wrong = 0
    for seed in range(200):
        y, p, groups, _ = planted(seed, 0.15, groups=150)
        shuffled = np.random.default_rng([seed, 1]).permutation(150) % 2
        _, gaps = subgroup_figures(y, p, groups, shuffled[groups], 2, 1, resamples=100, seed=seed)
        assert len(gaps) == len(FIGURES)
        wrong += bool(claimed(gaps))
    assert wrong <= 10


def test_patients_in_both_subgroups_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 2)
    y, hit = np.ones(400, np.int64), np.repeat(rng.random(200) < 0.7, 2)
    hit[::20] = ~hit[::20]
    p = np.where(hit, 0.9, 0.1)
    both = np.column_stack([1 - p, p])
    apart, together = (
        next(
            gap
            for gap in subgroup_figures(y, both, given, np.arange(400) % 2, 2, 1)[1]
            if gap["figure"] == "sensitivity"
        )
        for given in (np.arange(400), groups)
    )
    assert together["difference"] == apart["difference"]
    assert np.ptp(together["ci"]) < 0.6 * np.ptp(apart["ci"])


def test_small_and_empty_subgroups_are_told_and_not_judged() -> None:
    y, p, groups, member = planted(2, 0.15, groups=120)
    member = np.where(groups < 5, 2, member)
    found, gaps = subgroup_figures(y, p, groups, member, 4, 1, resamples=100)
    assert [told["small"] for told in found] == [False, False, True, True]
    assert found[2]["images"] == 10
    assert found[2]["sensitivity_ci"] is None
    assert found[3]["images"] == found[3]["groups"] == 0
    assert {found[3][name] for name in FIGURES} == {None}
    assert {(gap["high"], gap["low"]) for gap in gaps} <= {(0, 1), (1, 0)}


def test_the_order_of_images_changes_nothing() -> None:
    y, p, groups, member = planted(3, 0.1, groups=60)
    order = np.random.default_rng(0).permutation(len(y))
    assert subgroup_figures(y[order], p[order], groups[order], member[order], 2, 1, resamples=50) == subgroup_figures(
        y, p, groups, member, 2, 1, resamples=50
    )


def test_a_p_reaches_below_what_draws_can_show() -> None:
    y, p, groups, member = planted(4, 0.6, groups=600)
    _, gaps = subgroup_figures(y, p, groups, member, 2, 1, resamples=200)
    (gap,) = [gap for gap in gaps if gap["figure"] == "sensitivity"]
    assert 0 < gap["p"] < 1e-6


def test_arguments_that_do_not_fit_are_refused() -> None:
    y, p, groups, member = planted(5, 0.1, groups=20)
    with pytest.raises(ValueError, match="A group and a subgroup of 40 images"):
        subgroup_figures(y, p, groups, member[1:], 2, 1)
