from __future__ import annotations

import math

import numpy as np
import pytest

from cxrfeat.explaining.judge import (
    BORDER,
    CORNER,
    Seen,
    border_of,
    check_border,
    check_corners,
    check_lungs,
    check_randomised,
    check_views,
    corners_of,
    correlation,
    rank_correlation,
    share,
)
from cxrfeat.explaining.place import FRAME
from cxrfeat.image.mask import template
from cxrfeat.types import Status

CLASSES = ("COVID", "NORMAL")


def seen_of(frames: list[np.ndarray], explained: list[int], groups: list[int] | None = None) -> Seen:
    lungs, border, corners = template(FRAME), border_of(FRAME), corners_of(FRAME)
    n = len(frames)
    return Seen(
        classes=CLASSES,
        explained=np.array(explained),
        groups=np.array(groups or range(n)),
        lungs=np.array([share(one, lungs) for one in frames]),
        lungs_area=np.full(n, lungs.mean()),
        border=np.array([share(one, border) for one in frames]),
        border_area=np.full(n, border.mean()),
        corners=np.array([[share(one, corner) for corner in corners] for one in frames]),
        corner_area=np.tile(corners.mean(axis=(1, 2)), (n, 1)),
    )


def blob(x: float, y: float, seed: int, *, ground: float = 0.2) -> np.ndarray:
    """Heat about a place, in shares of the picture, on an uneven ground."""
    rng = np.random.default_rng(seed)
    across = (np.arange(FRAME[1]) + 0.5) / FRAME[1]
    down = ((np.arange(FRAME[0]) + 0.5) / FRAME[0])[:, None]
    spot = np.exp(-(((across - x) / 0.1) ** 2) - ((down - y) / 0.1) ** 2)
    return np.asarray(spot + ground * rng.uniform(0, 1, FRAME), np.float32)


def many(x: float, y: float, count: int = 12, start: int = 0) -> list[np.ndarray]:
    return [blob(x, y, seed) for seed in range(start, start + count)]


def test_regions_are_as_large_as_they_say() -> None:
    assert border_of((100, 100)).mean() == pytest.approx(1 - (1 - 2 * BORDER) ** 2)
    corners = corners_of((100, 100))
    assert [corner.mean() for corner in corners] == pytest.approx([CORNER**2] * 4)
    ends = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    assert all(corner[end] for corner, end in zip(corners, ends, strict=True))
    assert corners.any(axis=0).mean() == pytest.approx(4 * CORNER**2)


def test_heat_in_the_lungs_passes_and_heat_beside_them_fails() -> None:
    good = seen_of(many(0.3, 0.5) + many(0.7, 0.5), [0] * 12 + [1] * 12)
    for check in (check_lungs(good, masked=0), check_border(good), check_corners(good)):
        assert check.status is Status.PASS, check.why
        assert not check.do
    bad = seen_of(many(0.3, 0.5) + many(0.5, 0.97), [0] * 12 + [1] * 12)
    found = check_lungs(bad, masked=len(bad.lungs))
    assert found.status is Status.FAIL
    assert "of the heat for NORMAL lies in the lungs (by masks), which are 62% of the picture: clearly" in found.why
    assert found.value is not None
    assert found.value < 0.61
    assert check_border(bad).status is Status.FAIL


def test_even_heat_neither_passes_nor_fails() -> None:
    even = seen_of([np.random.default_rng(seed).uniform(0, 1, FRAME) for seed in range(24)], [0, 1] * 12)
    assert check_lungs(even, masked=0).status is Status.WARN
    assert check_border(even).status is Status.WARN
    assert "not clearly better than an even spread" in check_border(even).why
    assert check_corners(even).status is Status.PASS


def test_a_marker_in_either_corner_is_a_hot_corner() -> None:
    marked = [*many(0.08, 0.08, 6), *many(0.92, 0.08, 6, start=50)]
    found = check_corners(seen_of(marked + many(0.5, 0.5, start=90), [0] * 12 + [1] * 12))
    assert found.status is Status.FAIL
    assert "of the heat for COVID lies in the corners, most in the upper" in found.why
    assert "side markers" in found.why
    assert "`letters=True`" in found.do
    one_side = check_corners(seen_of(many(0.08, 0.92) + many(0.5, 0.5, start=90), [0] * 12 + [1] * 12))
    assert "most in the lower left one" in one_side.why


def test_corners_that_are_warm_but_cooler_than_the_lungs_warn() -> None:
    lungs, corners = template(FRAME), corners_of(FRAME).any(axis=0)
    frames = [np.where(lungs, 6.0, 0.1) + rng.uniform(0, 0.5, FRAME) for rng in map(np.random.default_rng, range(12))]
    frames = [np.where(corners, 5.0, frame) for frame in frames]
    found = check_corners(seen_of(frames, [0] * 12))
    assert found.status is Status.WARN
    assert "more than an even spread. No disease shows there" in found.why


def test_many_images_of_few_patients_are_not_judged() -> None:
    found = check_lungs(seen_of(many(0.3, 0.5), [0] * 12, [0, 1, 2, 3] * 3), masked=0)
    assert found.status is Status.WARN
    assert found.value is None
    assert "8 patients" in found.why
    seven = check_lungs(seen_of(many(0.3, 0.5, 14), [0] * 14, [*range(7)] * 2), masked=0)
    assert seven.value is None, "a bound of a mean takes as many patients as an interval of a score"
    half = check_lungs(seen_of(many(0.3, 0.5, 14), [0] * 12 + [1] * 2), masked=0)
    assert half.status is Status.PASS
    assert "Too few patients to judge NORMAL." in half.why


def test_images_without_heat_do_not_count() -> None:
    frames = many(0.3, 0.5) + [np.zeros(FRAME, np.float32)] * 3
    found = check_lungs(seen_of(frames, [0] * 15), masked=0)
    assert found.value == check_lungs(seen_of(frames[:12], [0] * 12), masked=0).value
    assert math.isnan(share(frames[-1], template(FRAME)))


def test_intervals_are_over_patients() -> None:
    """Nine patients, three of them odd: sure when each image counts as a patient, and unsure when it does not."""
    frames = [blob(0.5, 0.97 if patient < 3 else 0.5, patient, ground=0.5) for patient in range(9) for _ in range(8)]
    patients = [patient for patient in range(9) for _ in range(8)]
    assert check_border(seen_of(frames, [0] * 72)).status is Status.PASS
    unsure = check_border(seen_of(frames, [0] * 72, patients))
    assert unsure.status is Status.WARN
    assert unsure.value is not None


@pytest.mark.parametrize(("value", "status"), [(0.9, Status.PASS), (0.5, Status.WARN), (0.1, Status.FAIL)])
def test_views_agree_or_do_not(value: float, status: Status) -> None:
    found = check_views(np.array([value] * 5 + [math.nan]), np.arange(6))
    assert found.status is status
    assert found.value == pytest.approx(value)
    assert bool(found.do) is (status is not Status.PASS)
    assert "mean of 5 images" in found.why


def test_maps_of_few_patients_are_no_verdict() -> None:
    for correlations, groups, patients in (([math.nan] * 6, range(6), 0), ([0.9] * 8, [0, 1, 2, 3] * 2, 4)):
        found = check_views(np.array(correlations), np.array(groups))
        assert (found.status, found.value) == (Status.WARN, None)
        assert f"Views can be compared in images of {patients} patients, fewer than 5, so this" in found.why
    for head in (0.1, 0.9):
        found = check_randomised(head, None, 4)
        assert (found.status, found.value) == (Status.WARN, None)
        assert "in images of 4 patients" in found.why


def test_lungs_are_told_by_masks_and_by_the_template() -> None:
    assert (
        "(by masks for 3 of 12, a template for the rest)"
        in check_lungs(seen_of(many(0.3, 0.5), [0] * 12), masked=3).why
    )


@pytest.mark.parametrize(
    ("head", "network", "status"),
    [(0.2, 0.3, Status.PASS), (0.6, 0.1, Status.WARN), (0.1, 0.8, Status.FAIL), (0.2, None, Status.PASS)],
)
def test_maps_that_stay_the_same_without_what_was_learnt_fail(
    head: float, network: float | None, status: Status
) -> None:
    found = check_randomised(head, network, 5)
    assert found.status is status
    assert found.value == max(head, network or 0)
    assert ("shuffled network" in found.why) is (network is not None)


def test_correlations_are_those_of_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(0)
    one = rng.normal(size=(5, 5))
    other = one + rng.normal(size=(5, 5))
    where = np.ones((5, 5), bool)
    where[0] = False
    assert correlation(one, other, where) == pytest.approx(pearsonr(one[1:].ravel(), other[1:].ravel())[0])
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel())[0])
    assert rank_correlation(one, np.zeros((5, 5))) == 0
    assert math.isnan(correlation(one, np.zeros((5, 5)), where))


def test_ranks_and_quantiles_are_those_of_scipy() -> None:
    from scipy.stats import rankdata, spearmanr, t

    from cxrfeat.explaining.judge import _lower, _ranks, rank_correlation

    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (7, 7)).astype(np.float32), rng.normal(size=(7, 7))
    np.testing.assert_array_equal(_ranks(one).ravel(), rankdata(one.ravel()))
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    values = rng.normal(size=12)
    low = t.interval(1 - 0.05 / 3, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))[0]
    assert _lower(values, np.arange(12), 3) == pytest.approx(low)
