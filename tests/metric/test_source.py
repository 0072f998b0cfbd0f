"""Within-source scores: against a count by hand, and blind to what only tells sources apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cxrfeat.metric.source import within_source

CLASSES = ["COVID", "NORMAL", "PNEUMONIA"]


def test_a_model_that_knows_the_source_alone_scores_nothing_within_it() -> None:
    rng = np.random.default_rng(0)
    sources = rng.integers(0, 2, 400)
    y = np.where(rng.random(400) < 0.9, sources, 1 - sources)  # the class follows the source
    p = np.eye(3)[sources] * 0.8 + 0.2 / 3
    p /= p.sum(1, keepdims=True)
    found = within_source(y, p, np.arange(400), sources, CLASSES)
    assert found["accuracy"] == pytest.approx(found["chance"])
    pair = found["pairs"][0]
    assert pair["auroc"] == 0.5
    low, high = pair["auroc_ci"]
    assert 0.3 < low < 0.5 < high < 0.7
    assert (p.argmax(1) == y).mean() > 0.85, "which looked like a good score"


def test_stratified_auroc_is_a_count_over_pairs_of_one_source() -> None:
    rng = np.random.default_rng(1)
    y, sources = rng.integers(0, 3, 60), rng.integers(-1, 3, 60)
    p = rng.dirichlet(np.ones(3), 60).round(2) + 0.01
    p /= p.sum(1, keepdims=True)
    found = within_source(y, p, np.arange(60), sources, CLASSES, resamples=50)
    for pair, (a, b) in zip(found["pairs"], itertools.combinations(range(3), 2), strict=True):
        wins = pairs = 0.0
        for i, j in itertools.product(np.flatnonzero(y == a), np.flatnonzero(y == b)):
            if sources[i] == sources[j] >= 0:
                odds = [np.log(p[k, a]) - np.log(p[k, b]) for k in (i, j)]
                wins += (odds[0] > odds[1]) + 0.5 * (odds[0] == odds[1])
                pairs += 1
        assert pair["auroc"] == pytest.approx(wins / pairs)
        assert pair["auroc_ci"][0] <= pair["auroc"] <= pair["auroc_ci"][1]
    assert found["known"] == (sources >= 0).sum()
    assert found["unknown"] == (sources < 0).sum()


def test_pairs_of_few_patients_have_no_interval_and_perfect_ones_a_width() -> None:
    y = np.r_[np.arange(32) % 2, np.full(7, 2)]
    found = within_source(y, np.eye(3)[y], np.arange(39), np.zeros(39, int), CLASSES, resamples=50)
    assert [pair["auroc"] for pair in found["pairs"]] == [1.0, 1.0, 1.0]
    assert found["pairs"][0]["auroc_ci"] == pytest.approx([0.025 ** (17 / 512), 1.0])  # Hanley & McNeil, 16 against 16
    assert [pair["auroc_ci"] for pair in found["pairs"][1:]] == [None, None]
    assert found["accuracy_ci"] == pytest.approx([0.025 ** (1 / 39), 1.0])
    halves = within_source(y, np.eye(3)[y], np.arange(39), np.arange(39) // 2 % 2, CLASSES, resamples=50)
    assert halves["pairs"][0]["auroc_ci"][0] < found["pairs"][0]["auroc_ci"][0], "pairs of one source alone count"


def test_classes_that_share_no_source_are_not_identifiable() -> None:
    y = np.array([0, 0, 1, 1, 2, 2])
    p = np.eye(3)[y] * 0.9 + 0.1 / 3
    found = within_source(y, p, np.arange(6), np.array([0, 0, 1, 1, 1, 1]), CLASSES)
    assert [pair["identifiable"] for pair in found["pairs"]] == [False, False, True]
    assert found["pairs"][0]["auroc"] is None
    assert found["pairs"][2]["auroc"] == 1.0
    assert (found["images"], found["sources"], found["accuracy"], found["chance"]) == (4, 1, 1.0, 0.5)


def test_unknown_or_pure_sources_give_no_number() -> None:
    y = np.array([0, 1, 0, 1])
    p = np.eye(2)[y]
    for sources in ([-1, -1, -1, -1], [0, 1, 0, 1]):
        found = within_source(y, p, np.arange(4), np.array(sources), CLASSES[:2])
        assert (found["accuracy"], found["accuracy_ci"], found["chance"], found["images"]) == (None, None, None, 0)
        assert not found["pairs"][0]["identifiable"]


def test_a_pair_of_which_no_source_is_known_is_not_said_to_share_none() -> None:
    y = np.array([0, 0, 1, 1, 2, 2])
    found = within_source(y, np.eye(3)[y], np.arange(6), np.array([0, 0, 1, 1, -1, -1]), CLASSES)
    assert [pair["known"] for pair in found["pairs"]] == [True, False, False]
    assert not any(pair["identifiable"] for pair in found["pairs"])


def test_a_class_outside_the_source_cannot_be_predicted_there() -> None:
    y = np.array([0, 1])
    p = np.array([[0.2, 0.1, 0.7], [0.1, 0.2, 0.7]])
    found = within_source(y, p, np.arange(2), np.zeros(2, int), CLASSES)
    assert found["accuracy"] == 1.0


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="sources of 2 images"):
        within_source(np.array([0, 1]), np.eye(2), np.arange(2), np.zeros(3, int), CLASSES[:2])
