from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from cxrfeat.metric.compare import holm, mcnemar, paired_auroc_difference, paired_difference
from cxrfeat.metric.delong import auroc_difference
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.resample import weight_blocks
from cxrfeat.metric.score import scores
from cxrfeat.types import Labels, Probabilities
from tests.metric.test_interval import grouped
from tests.metric.test_score import CLASSES, made_up


def test_a_run_is_tied_with_itself() -> None:
    y, p = made_up(0)
    found = paired_difference(y, p, p, np.arange(60), 0)
    share = 1 - 0.025 ** (1 / 60)  # Clopper & Pearson of none of 60: so many images another draw might part
    assert found == {"difference": 0.0, "ci": pytest.approx([-share, share]), "p": 1.0, "tied": True}


def test_a_clearly_better_run_is_found() -> None:
    y, p, groups = grouped(0, 100, 2, 0.9, together=0.5)
    worse = p.copy()
    worse[::4] = np.eye(3)[(y[::4] + 1) % 3]
    found = paired_difference(y, p, worse, groups, 0)
    low, high = found["ci"]
    assert 0.1 < low < found["difference"] < high
    assert found["p"] == pytest.approx(2 / 2001)
    assert not found["tied"]
    mirrored = paired_difference(y, worse, p, groups, 0)
    assert mirrored["difference"] == -found["difference"]
    assert mirrored["ci"] == pytest.approx([-high, -low])
    assert mirrored["p"] == found["p"]


def test_pairing_sees_what_two_separate_intervals_cannot() -> None:
    y, p, groups = grouped(1, 150, 1, 0.7, together=0)
    better = p.copy()
    wrong = np.flatnonzero(p.argmax(1) != y)[:10]
    better[wrong] = np.eye(3)[y[wrong]]
    (a_low, _), (_, b_high) = (bootstrap(y, run, groups, CLASSES)["accuracy_ci"] for run in (better, p))
    assert a_low < b_high
    assert not paired_difference(y, better, p, groups, 0)["tied"]


def test_equally_good_runs_are_seldom_told_apart() -> None:
    apart = 0
    for seed in range(60):
        y, a, groups = grouped(seed, 60, 3, 0.8, together=0.7)
        rng = np.random.default_rng(1000 + seed)
        b = np.eye(3)[np.where(rng.random(60).repeat(3) < 0.8, y, (y + 1) % 3)]
        apart += not paired_difference(y, a, b, groups, seed, resamples=300)["tied"]
    assert apart <= 9


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_images_does_not_matter(seed: int) -> None:
    y, a = made_up(seed, 30)
    b = made_up(seed + 1, 30)[1]
    groups, order = np.random.default_rng(seed).integers(0, 8, 30), np.random.default_rng(seed + 1).permutation(30)
    for compared in (paired_difference, paired_auroc_difference):
        before = compared(y, a, b, groups, 3, resamples=50)
        assert compared(y[order], a[order], b[order], groups[order], 3, resamples=50) == before
    assert mcnemar(y[order], a[order], b[order]) == mcnemar(y, a, b)


def test_one_group_leaves_the_runs_tied() -> None:
    y, p = made_up(0)
    found = paired_difference(y, p, np.roll(p, 1, axis=1), np.zeros(60, np.int64), 0)
    assert (found["ci"], found["p"], found["tied"]) == (None, None, True)


@pytest.mark.slow
def test_the_auroc_difference_is_that_of_the_scores_with_the_interval_of_a_plain_loop() -> None:
    y, a = made_up(0, 900)  # so many that percentiles of the draws are told
    b = made_up(1, 900, skill=0.3)[1]
    groups = np.random.default_rng(3).integers(0, 500, 900)
    found = paired_auroc_difference(y, a, b, groups, 7, resamples=100)
    assert found["difference"] == pytest.approx(scores(y, a, CLASSES)["auroc"] - scores(y, b, CLASSES)["auroc"])
    names = np.unique(groups)
    drawn = []
    for row in np.concatenate(list(weight_blocks(len(names), 900, 100, seed=7))):
        took = np.repeat(np.arange(900), row[np.searchsorted(names, groups)].astype(int))
        gains = [
            roc_auc_score(y[took] == index, a[took, index]) - roc_auc_score(y[took] == index, b[took, index])
            for index in range(3)
        ]
        drawn.append(float(np.mean(gains)))
    assert found["ci"] == pytest.approx(list(np.percentile(drawn, [2.5, 97.5])))
    below = min(np.sum(np.array(drawn) <= 0), np.sum(np.array(drawn) >= 0))
    assert found["p"] == pytest.approx(2 * (below + 1) / 101)


def test_the_bootstrap_and_delongs_test_say_much_the_same_of_two_classes() -> None:
    rng = np.random.default_rng(0)
    y, groups = np.arange(400) % 2, np.arange(400) // 2
    shift = rng.normal(size=400) + y
    a, b = (1 / (1 + np.exp(-(shift + rng.normal(size=400) * noise))) for noise in (0.3, 0.8))
    drawn = paired_auroc_difference(y, np.column_stack([1 - a, a]), np.column_stack([1 - b, b]), groups)
    exact = auroc_difference(y == 1, a, b, groups)
    assert drawn["difference"] == pytest.approx(exact["difference"])
    assert drawn["ci"] == pytest.approx(exact["ci"], abs=0.01)
    assert not drawn["tied"]


def test_a_run_has_the_auroc_of_itself() -> None:
    y, p = made_up(0)
    found = paired_auroc_difference(y, p, p, np.arange(60))
    assert (found["difference"], found["tied"]) == (0.0, True)
    assert found["p"] == pytest.approx(1.0, abs=2e-3)
    low, high = found["ci"]
    assert -0.1 < low < 0 < high < 0.1
    many = made_up(0, 1200)
    low, high = paired_auroc_difference(*many, many[1], np.arange(1200), resamples=200)["ci"]
    assert -0.01 < low < 0 < high < 0.01, "draws of runs that are one never differ"


def test_an_absent_class_leaves_no_auroc_to_compare() -> None:
    y, p = np.arange(20) % 2, np.tile([0.5, 0.3, 0.2], (20, 1))
    nothing = {"difference": None, "ci": None, "p": None, "tied": True}
    assert paired_auroc_difference(y, p, p, np.arange(20)) == nothing
    assert paired_auroc_difference(np.zeros(20, np.int64), p, p, np.arange(20)) == nothing
    found = paired_auroc_difference(y, p[:, :2], p[:, :2], np.zeros(20, np.int64))
    assert (found["difference"], found["ci"], found["p"], found["tied"]) == (0.0, None, None, True)


def test_resamples_without_a_class_are_left_out() -> None:
    y = np.r_[np.zeros(600, np.int64), np.ones(8, np.int64)]  # once in 3000 draws there is none of the eight
    p = np.column_stack([1 - (y + 1) / 4, (y + 1) / 4])
    found = paired_auroc_difference(y, p, p[:, ::-1], np.arange(608), resamples=500, seed=4)
    assert found["difference"] == 1.0
    assert 0.5 < found["ci"][0] < found["ci"][1] == 1.0
    assert found["p"] < 0.01
    seven = np.r_[0:600, 600:607]
    none = {"difference": 1.0, "ci": None, "p": None, "tied": True}
    assert paired_auroc_difference(y[seven], p[seven], p[seven, ::-1], seven) == none


def matched(only_a: int, only_b: int, both: int = 3, neither: int = 2) -> tuple[Labels, Probabilities, Probabilities]:
    """Two runs that are right, and wrong, together and alone this often."""
    a = np.r_[np.ones(only_a), np.zeros(only_b), np.ones(both), np.zeros(neither)]
    b = np.r_[np.zeros(only_a), np.ones(only_b), np.ones(both), np.zeros(neither)]
    return np.zeros(len(a), np.int64), np.column_stack([a, 1 - a]), np.column_stack([b, 1 - b])


def test_the_textbook_example_of_mcnemars_exact_test() -> None:
    # Airway hyper-responsiveness of 21 children before and after a transplantation: 7 changed one way, 1 the other.
    # Fagerland, Lydersen & Laake 2013, table 2: exact conditional p 0.070.
    found = mcnemar(*matched(7, 1, both=1, neither=12))
    assert found == {"only_a": 7, "only_b": 1, "p": pytest.approx(0.070, abs=5e-4)}


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_p_is_the_binomial_tests(only_a: int, only_b: int) -> None:
    found = mcnemar(*matched(only_a, only_b))
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert found["p"] == pytest.approx(expected, rel=1e-9)
    assert found["p"] == mcnemar(*matched(only_b, only_a))["p"]


@pytest.mark.parametrize("compared", [paired_difference, paired_auroc_difference])
def test_arguments_that_do_not_fit_are_refused(compared: Callable[..., Any]) -> None:
    y, p = made_up(0)
    with pytest.raises(ValueError, match="Groups of 60 images"):
        compared(y, p, p, np.arange(59))
    with pytest.raises(ValueError, match="Probabilities of 60 images and 3 classes"):
        compared(y, p, p[:, :2], np.arange(60))


@pytest.mark.parametrize(
    ("raw", "corrected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),  # never smaller than the one before
        ([0.04, 0.01], [0.04, 0.02]),  # given order kept
        ([0.6, 0.7, 0.9], [1.0, 1.0, 1.0]),  # at most 1
        ([0.01, 0.01, 0.01], [0.03, 0.03, 0.03]),  # ties
    ],
)
def test_holm_table(raw: list[float], corrected: list[float]) -> None:
    assert holm(raw) == pytest.approx(corrected)


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, float("nan")])
