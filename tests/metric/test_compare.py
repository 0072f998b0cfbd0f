from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.metric.compare import holm, paired_difference
from cxrfeat.metric.interval import bootstrap
from tests.metric.test_interval import grouped
from tests.metric.test_score import CLASSES, made_up


def test_a_run_is_tied_with_itself() -> None:
    y, p = made_up(0)
    assert paired_difference(y, p, p, np.arange(60), 0) == {"difference": 0.0, "ci": [0.0, 0.0], "p": 1.0, "tied": True}


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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_images_does_not_matter(seed: int) -> None:
    y, a = made_up(seed, 30)
    b = made_up(seed + 1, 30)[1]
    groups, order = np.random.default_rng(seed).integers(0, 8, 30), np.random.default_rng(seed + 1).permutation(30)
    before = paired_difference(y, a, b, groups, 3, resamples=50)
    assert paired_difference(y[order], a[order], b[order], groups[order], 3, resamples=50) == before


def test_one_group_leaves_the_runs_tied() -> None:
    y, p = made_up(0)
    found = paired_difference(y, p, np.roll(p, 1, axis=1), np.zeros(60, np.int64), 0)
    assert (found["ci"], found["p"], found["tied"]) == (None, None, True)


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
