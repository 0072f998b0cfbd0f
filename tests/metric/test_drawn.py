"""Scores draw by draw: those of the tables, and the same draws for other probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.drawn import drawn_scores
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.score import scores
from cxrfeat.metric.small import score_interval

CLASSES = ["COVID", "NORMAL", "PNEUMONIA"]


def test_they_are_the_scores_of_the_tables_with_their_intervals() -> None:
    rng = np.random.default_rng(0)
    y, groups = rng.integers(0, 3, 300), np.arange(300) // 2
    p = rng.dirichlet(np.ones(3), 300) + 0.4 * np.eye(3)[y]
    p /= p.sum(1, keepdims=True)
    told, ends = scores(y, p, CLASSES), bootstrap(y, p, groups, CLASSES, seed=3)
    found = {(one.name, one.label): one for one in drawn_scores(y, p, groups, CLASSES, resamples=2000, seed=3)}
    expected: dict[tuple[str, str | None], tuple[float, list[float] | None]]
    expected = {("accuracy", None): (told["accuracy"], ends["accuracy_ci"]), ("auroc", None): (told["auroc"], None)}
    for name in CLASSES:
        expected["sensitivity", name] = told["sensitivity"][name], ends["sensitivity_ci"][name]
    assert found.keys() == expected.keys()
    for key, (value, interval) in expected.items():
        one = found[key]
        assert one.observed == pytest.approx(value)
        if interval is not None:
            assert score_interval(one.drawn, one.observed, one.bearing, 0.95) == pytest.approx(interval, abs=1e-9)


def test_other_probabilities_of_the_same_images_share_their_draws() -> None:
    y = np.arange(60) % 2
    p = np.eye(2)[np.where(np.arange(60) < 40, y, 1 - y)]
    one, same = (drawn_scores(y, p, np.arange(60), CLASSES[:2], resamples=50)[0].drawn for _ in range(2))
    np.testing.assert_array_equal(one, same)


def test_of_one_class_there_is_nothing_but_accuracy() -> None:
    (one,) = drawn_scores(np.zeros(20, np.int64), np.eye(2)[np.zeros(20, int)], np.arange(20), CLASSES[:2])
    assert (one.name, one.observed) == ("accuracy", 1.0)
