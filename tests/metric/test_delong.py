from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from cxrfeat.metric.delong import auroc_difference, auroc_interval
from cxrfeat.metric.interval import bootstrap
from tests.effort import expensive

Floats = NDArray[np.float64]
Drawn = tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.int64]]


def pairs(positive: NDArray[np.bool_], p: Floats) -> Floats:
    """Who wins, pair by pair, `(images of the class, images of the rest)`."""
    ours, theirs = p[positive][:, None], p[~positive][None]
    return np.asarray((ours > theirs) + 0.5 * (ours == theirs))


def slowly(positive: NDArray[np.bool_], runs: list[Floats], groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """AUROCs and their covariance, by the letter of Obuchowski 1997 and one pair at a time."""
    names = np.unique(groups)
    m, n = positive.sum(), (~positive).sum()
    aurocs, tens, ones = [], [], []
    for p in runs:
        won = pairs(positive, p)
        auroc = won.mean()
        ten, one = won.mean(1), won.mean(0)
        aurocs.append(auroc)
        tens.append([sum(ten[groups[positive] == g] - auroc) for g in names])
        ones.append([sum(one[groups[~positive] == g] - auroc) for g in names])
    with_m, with_n = len(np.unique(groups[positive])), len(np.unique(groups[~positive]))
    ten_matrix, one_matrix = np.array(tens), np.array(ones)
    s10 = with_m / ((with_m - 1) * m) * ten_matrix @ ten_matrix.T
    s01 = with_n / ((with_n - 1) * n) * one_matrix @ one_matrix.T
    s11 = len(names) / (len(names) - 1) * ten_matrix @ one_matrix.T
    return np.array(aurocs), s10 / m + s01 / n + (s11 + s11.T) / (m * n)


def made_up(seed: int, n: int = 40, groups: int | None = None) -> Drawn:
    """Labels of both kinds, two runs that agree in part, in steps so that ties occur, and groups that mix the kinds."""
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n) % 3 == 0)
    shared = rng.normal(size=n) + positive
    a, b = (np.round(shared + rng.normal(size=n) * size, 1) for size in (0.5, 1.0))
    return positive, a, b, rng.integers(-3, groups - 3, n) if groups else np.arange(n)


def test_the_ratings_of_hanley_and_mcneil_give_the_published_figures() -> None:
    # 109 CT images rated 1 to 5 (Hanley & McNeil 1982, table 1); Stata's manual, [R] roctab, has DeLong's figures:
    # area 0.8932, standard error 0.0307, asymptotic normal interval 0.83295 to 0.95339.
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    rating = np.r_[np.arange(5.0).repeat(normal), np.arange(5.0).repeat(abnormal)]
    found = auroc_interval(np.arange(109) >= 58, rating)
    assert found["auroc"] == pytest.approx(0.8932, abs=5e-5)
    error = math.sqrt(found["variance"])
    assert error == pytest.approx(0.0307, abs=5e-5)
    assert found["auroc"] - norm.ppf(0.975) * error == pytest.approx(0.83295, abs=5e-6)
    assert found["auroc"] + norm.ppf(0.975) * error == pytest.approx(0.95339, abs=5e-6)
    four = auroc_interval(
        np.tile(np.arange(109) >= 58, 4), np.tile(rating, 4)
    )  # so many that the normal quantile holds
    error = math.sqrt(four["variance"])
    logit, width = math.log(found["auroc"] / (1 - found["auroc"])), 1.959964 * error / (0.89317106 * 0.10682894)
    assert four["ci"] == pytest.approx([1 / (1 + math.exp(-logit + width)), 1 / (1 + math.exp(-logit - width))])


@pytest.mark.parametrize("groups", [None, 4, 15])
@pytest.mark.parametrize("seed", range(5))
def test_sorting_gives_what_counting_pairs_gives(seed: int, groups: int | None) -> None:
    positive, a, b, group = made_up(seed, groups=groups)
    aurocs, covariance = slowly(positive, [a, b], group)
    for p, auroc, variance in zip((a, b), aurocs, covariance.diagonal(), strict=True):
        found = auroc_interval(positive, p, group)
        assert found["auroc"] == pytest.approx(auroc, abs=1e-14)
        assert found["auroc"] == pytest.approx(roc_auc_score(positive, p), abs=1e-14)
        assert found["variance"] == pytest.approx(variance, rel=1e-9)
    found = auroc_difference(positive, a, b, group)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert found["difference"] == pytest.approx(aurocs[0] - aurocs[1], abs=1e-14)
    assert found["variance"] == pytest.approx(variance, rel=1e-9)


def test_many_images_have_the_normal_interval_of_a_difference_and_its_p() -> None:
    positive, a, b, group = made_up(0, 900, 500)
    found = auroc_difference(positive, a, b, group)
    error = math.sqrt(found["variance"])
    assert found["p"] == pytest.approx(2 * norm.sf(abs(found["difference"]) / error), rel=1e-9)
    reach = norm.ppf(0.975) * error
    assert found["ci"] == pytest.approx([found["difference"] - reach, found["difference"] + reach], rel=1e-6)


def test_few_images_leave_a_difference_open_that_many_would_show() -> None:
    positive, a, b, _ = made_up(0, 60)
    found = auroc_difference(positive, a, b)
    reach = norm.ppf(0.975) * math.sqrt(found["variance"])
    low, high = found["ci"]
    assert low < found["difference"] - reach
    assert high > found["difference"] + reach
    assert (found["p"] < 0.05) is not (low <= 0 <= high)


def test_no_groups_are_groups_of_one() -> None:
    positive, a, b, _ = made_up(0)
    assert auroc_interval(positive, a) == auroc_interval(positive, a, np.arange(40))
    assert auroc_difference(positive, a, b) == auroc_difference(positive, a, b, np.arange(40))


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_an_image_in_its_group_add_no_certainty(copies: int) -> None:
    positive, a, b, group = made_up(1)
    once, again = positive.repeat(copies), group.repeat(copies)
    copied = auroc_interval(once, a.repeat(copies), again)
    assert copied["variance"] == pytest.approx(auroc_interval(positive, a)["variance"])
    assert auroc_interval(once, a.repeat(copies))["variance"] < copied["variance"] / 1.5
    pair = auroc_difference(once, a.repeat(copies), b.repeat(copies), again)
    assert pair["p"] == pytest.approx(auroc_difference(positive, a, b)["p"])


@expensive(12, 50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 3, 10]))
def test_the_order_of_the_images_does_not_change_a_bit(seed: int, groups: int | None) -> None:
    positive, a, b, group = made_up(seed, 30, groups)
    order = np.random.default_rng(seed).permutation(30)
    moved = positive[order], a[order], b[order], group[order]
    assert auroc_interval(moved[0], moved[1], moved[3]) == auroc_interval(positive, a, group)
    assert auroc_difference(*moved) == auroc_difference(positive, a, b, group)


@expensive(12, 50)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 3, 10]))
def test_the_interval_holds_the_value_and_stays_where_it_can_be(seed: int, groups: int | None) -> None:
    positive, a, b, group = made_up(seed, 30, groups)
    found = auroc_interval(positive, a, group)
    if found["ci"] is not None:
        assert 0 <= found["ci"][0] <= found["auroc"] <= found["ci"][1] <= 1
        assert found["variance"] >= 0
    pair, mirrored = auroc_difference(positive, a, b, group), auroc_difference(positive, b, a, group)
    assert pair["p"] == (None if mirrored["p"] is None else pytest.approx(mirrored["p"], rel=1e-6))
    assert pair["difference"] == -mirrored["difference"]
    assert pair["p"] is None or 0 <= pair["p"] <= 1


def test_the_interval_of_grouped_images_agrees_with_the_bootstrap() -> None:
    positive, a, _, group = made_up(3, 600, 80)
    p = 1 / (1 + np.exp(-a))
    low, high = auroc_interval(positive, p, group)["ci"]
    drawn = bootstrap(positive.astype(int), np.column_stack([1 - p, p]), group, ["no", "yes"])
    assert drawn["auroc_per_class_ci"]["yes"] == pytest.approx([low, high], abs=0.006)


def test_equally_good_runs_are_told_apart_as_often_as_p_says() -> None:
    found = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        group = np.arange(40).repeat(3)
        fate = rng.normal(size=(3, 40)).repeat(3, axis=1)
        positive = np.arange(120) % 4 == 0
        a, b = (positive + fate[0] + own + rng.normal(size=120) * 0.5 for own in fate[1:])
        found += auroc_difference(positive, a, b, group)["p"] < 0.05
    assert 5 <= found <= 30  # 15 expected; 8 % more than that would be an error of the variance


@pytest.mark.parametrize(
    ("positive", "groups", "auroc", "variance", "interval"),
    [
        ([1, 1, 1], [0, 1, 2], None, None, None),  # one kind of image only
        ([0, 0, 0], [0, 1, 2], None, None, None),
        ([0, 0, 1], [0, 1, 2], 1.0, None, None),  # one image of the class: how it varies cannot be seen
        ([0, 0, 1, 1], [0, 0, 0, 0], 1.0, None, None),  # one group
        ([0, 0, 1, 1], [0, 1, 2, 2], 1.0, None, None),  # one group of the class
        ([0, 0, 1, 1], [0, 1, 2, 3], 1.0, 0.0, None),  # perfect, but fewer than eight of either kind
        ([1, 1, 0, 0], [0, 1, 2, 3], 0.0, 0.0, None),
    ],
)
def test_what_does_not_exist_is_none(
    positive: list[int], groups: list[int], auroc: float | None, variance: float | None, interval: None
) -> None:
    of_class, p = np.array(positive) > 0, np.arange(len(positive)) / 10
    found = auroc_interval(of_class, p, np.array(groups))
    assert found == {"auroc": auroc, "variance": variance, "ci": interval}
    pair = auroc_difference(of_class, p, p, np.array(groups))
    assert pair["difference"] == (None if auroc is None else 0.0)
    assert pair["p"] is None, "fewer than eight groups"
    json.dumps([found, pair], allow_nan=False)


def test_equal_probabilities_rank_nothing_for_certain() -> None:
    found = auroc_interval(np.arange(40) % 2 == 0, np.full(40, 0.5))
    assert (found["auroc"], found["variance"]) == (0.5, 0.0)
    assert found["ci"] == pytest.approx([0.334, 0.666], abs=1e-3)  # Clopper & Pearson of half of 2 * 20 * 20 / 21


def test_a_difference_without_variance_has_an_interval_all_the_same() -> None:
    positive = np.arange(16) >= 8
    p = np.arange(16) / 16
    found = auroc_difference(positive, p, -p)
    assert (found["difference"], found["variance"]) == (1.0, 0.0)
    assert 0.6 < found["ci"][0] < found["ci"][1] == 1.0
    assert found["p"] < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda of, p: auroc_interval(of.astype(int), p), "bool"),
        (lambda of, p: auroc_interval(of, p[1:]), "probabilities of 6 images"),
        (lambda of, p: auroc_difference(of, p, p * np.nan), "Finite probabilities"),
        (lambda of, p: auroc_interval(of, p, np.arange(5)), "Groups of 6 images"),
        (lambda of, p: auroc_interval(of, p, level=95), "between 0 and 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.arange(6) % 2 == 0, np.arange(6) / 10)
