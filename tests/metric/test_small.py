"""Exact rules against SciPy's Clopper-Pearson, and how often intervals of few groups hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.small import (
    MANY_GROUPS,
    Bearing,
    difference_interval,
    loss_interval,
    p_value,
    ratio_interval,
    score_interval,
    share_interval,
    sum_of_sizes_interval,
)
from tests.effort import expensive
from tests.metric.coverage import KINDS, Kind, coverage

LEAST_HELD = 0.93
"""Of intervals of 95 %: what is asked of them, or none."""


@given(st.integers(LEAST_GROUPS, 60), st.data())
def test_independent_images_have_clopper_and_pearsons_interval(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    level = data.draw(st.sampled_from([0.8, 0.95, 0.99]))
    share = hits / count
    found = share_interval(share, share * (1 - share) / count, Bearing.of(np.ones(count)), level)
    expected = binomtest(hits, count).proportion_ci(level, "exact")
    assert found == pytest.approx([expected.low, expected.high], abs=1e-9)


@pytest.mark.parametrize(
    ("sizes", "units"),
    [
        ([1] * 8, 8),
        ([5] * 8, 8),  # images of a group are taken for alike where nothing says otherwise
        ([73, 1, 1, 1, 1, 1, 1, 1], 80**2 / (73**2 + 7)),  # one patient with most of the images is worth little more
    ],
)
def test_at_the_edge_images_count_as_their_groups_are_worth(sizes: list[int], units: float) -> None:
    bearing = Bearing.of(np.array(sizes))
    assert score_interval(np.ones(50), 1.0, bearing, 0.95) == pytest.approx([0.025 ** (1 / units), 1.0])
    assert score_interval(np.zeros(50), 0.0, bearing, 0.95) == pytest.approx([0.0, 1 - 0.025 ** (1 / units)])


def test_seven_groups_have_no_interval_however_many_images() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.1, 200)
    assert score_interval(draws, 0.5, Bearing.of(np.full(7, 1000)), 0.95) is None
    assert score_interval(draws, 0.5, Bearing.of(np.full(8, 1000)), 0.95) is not None
    assert score_interval(draws, math.nan, Bearing.of(np.full(8, 1000)), 0.95) is None


def test_many_groups_have_percentiles_of_the_draws_unless_hardly_any_is_wrong() -> None:
    groups = 10 * MANY_GROUPS
    for share, exact in ((0.9, False), (0.995, True), (1.0, True)):
        draws = np.random.default_rng(1).binomial(groups, share, 500) / groups
        found = score_interval(draws, share, Bearing.of(np.ones(groups)), 0.95)
        assert (found != list(np.percentile(draws, [2.5, 97.5]))) is exact
        assert found is not None
        assert found[0] < share <= found[1]


@expensive(20, 200)
@given(st.floats(0, 1), st.floats(0, 0.25), st.lists(st.integers(1, 50), min_size=8, max_size=30))
def test_no_interval_is_without_width_or_without_its_value(share: float, spread: float, sizes: list[int]) -> None:
    low, high = share_interval(share, spread, Bearing.of(np.array(sizes)), 0.95)
    assert 0 <= low <= share <= high <= 1
    assert low < high


def test_groups_that_vary_more_make_the_interval_wider() -> None:
    bearing = Bearing.of(np.full(20, 5))
    widths = [np.ptp(share_interval(0.6, 0.24 / images, bearing, 0.95)) for images in (100, 50, 30, 20)]
    assert sorted(widths) == widths
    assert widths[0] < 0.7 * widths[-1]


def test_a_loss_that_few_mistakes_bear_has_no_interval() -> None:
    draws = np.random.default_rng(2).gamma(80, 0.0025, 400)
    assert loss_interval(draws, 0.2, Bearing.of(np.ones(7)), 300, 0.95) is None
    assert loss_interval(draws, 0.2, Bearing.of(np.ones(30)), 300, 0.95) == pytest.approx(
        np.percentile(draws, [2.5, 97.5])
    )
    few = loss_interval(draws, 0.2, Bearing.of(np.ones(8)), 300, 0.95)
    assert few == pytest.approx([0.2 * 3.4538 / 8, 0.2 * 15.7632 / 8], rel=1e-4)  # Garwood 1936: 8 events


def test_a_calibration_error_of_nothing_may_be_something_and_one_of_chance_may_be_nothing() -> None:
    bearing = Bearing.of(np.ones(20))
    assert sum_of_sizes_interval(np.zeros((50, 3)), np.zeros(3), bearing, 0.95) == pytest.approx(
        [0.0, 1 - 0.025 ** (1 / 20)]
    )
    rng = np.random.default_rng(3)
    observed = rng.normal(0, 0.02, 15)
    chance = sum_of_sizes_interval(observed + rng.normal(0, 0.02, (500, 15)), observed, bearing, 0.95)
    assert chance is not None
    assert chance[0] == 0.0
    many = Bearing.of(np.ones(5000))
    large = sum_of_sizes_interval(0.03 + rng.normal(0, 0.002, (500, 15)), np.full(15, 0.03), many, 0.95)
    assert large is not None
    assert 0.3 < large[0] < 0.45 < large[1]


def test_a_difference_has_the_interval_of_two_independent_means_where_both_are_symmetric() -> None:
    for together in (-0.5, 0.0, 0.5):
        reach = math.sqrt(0.3**2 + 0.4**2 - 2 * together * 0.3 * 0.4)
        found = difference_interval(2.0, [1.7, 2.3], 1.0, [0.6, 1.4], together)
        assert found == pytest.approx([1 - reach, 1 + reach])


def test_a_ratio_has_fiellers_interval_where_both_are_symmetric() -> None:
    a, b, over_a, over_b, together = 0.2, 0.4, 0.1, 0.15, 0.3
    found = ratio_interval(a, [a - over_a, a + over_a], b, [b - over_b, b + over_b], together)
    square, mixed = b**2 - over_b**2, a * b - together * over_a * over_b
    root = math.sqrt(mixed**2 - square * (a**2 - over_a**2))
    assert found == pytest.approx([(mixed - root) / square, (mixed + root) / square], abs=1e-5)
    below = ratio_interval(-0.1, [-0.2, 0.0], b, [0.2, 0.6], 0.0)
    assert below is not None
    assert below[0] < -0.25 < below[1]
    assert ratio_interval(a, [0.1, 0.3], b, [0.0, 0.5], together) is None, "the model may be at chance"


def test_p_is_where_the_interval_begins_to_leave_zero_out() -> None:
    for z in (0.1, 1.0, 3.0, 6.0):

        def interval(level: float, z: float = z) -> list[float]:
            return [z - norm.ppf((1 + level) / 2), 99.0]

        assert p_value(interval) == pytest.approx(2 * norm.sf(z), rel=2e-3)


@pytest.mark.parametrize(
    ("kind", "groups"),
    [(KINDS[7], 8), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((KINDS[4], 12), (KINDS[11], 20)))],
)
def test_intervals_of_few_groups_hold_the_truth_about_as_often_as_they_say(kind: Kind, groups: int) -> None:
    for name, (held, told, width) in coverage(kind, groups, 40, large=3000).items():
        assert held >= 0.8 or told < 0.5, name  # of 40 that hold 38, fewer than 32 come once in 2000 times
        assert told > 0.9 or name in {"log_loss", "shortcut ratio", "precision"}, name
        assert width < 1 or told < 1 or name in {"log_loss", "shortcut ratio"}, name


@pytest.mark.parametrize("groups", [2, 7])
def test_too_few_groups_have_no_interval_of_what_takes_two_classes(groups: int) -> None:
    found = coverage(KINDS[6], groups, 10, large=1000)
    whole = {"accuracy", "brier", "ece", "log_loss", "within source: accuracy", "difference: accuracy"}
    whole |= {"specificity", "at a threshold: specificity"}  # of the rest
    assert all(told == 0 for name, (_, told, _) in found.items() if name not in whole)
    assert (found["accuracy"][1] == 0) is (3 * groups < LEAST_GROUPS)
    assert (found["specificity"][1] == 0) is (2 * groups < LEAST_GROUPS)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 3, 8, 20])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_intervals_hold_the_truth_93_times_in_100_or_are_not_given(kind: Kind, groups: int) -> None:
    for name, (held, told, _) in coverage(kind, groups, 2000).items():
        assert not told or held >= LEAST_HELD, (name, held, told)
