"""The AUROC within strata: a count over pairs of one stratum, and what it rests on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cxrfeat.metric.small import Bearing
from cxrfeat.metric.stratified import Stratified


def test_it_is_a_count_over_pairs_of_one_stratum() -> None:
    rng = np.random.default_rng(0)
    kind, strata = rng.random(50) < 0.4, rng.integers(-1, 3, 50)
    score, weights = rng.integers(0, 6, 50) / 3, rng.integers(0, 3, (4, 50)).astype(float)
    found = Stratified.of(kind, score, np.arange(50), 50, strata).auroc(weights)
    for one, weight in zip(found, weights, strict=True):
        wins = pairs = 0.0
        for i, j in itertools.product(np.flatnonzero(kind), np.flatnonzero(~kind)):
            if strata[i] == strata[j] >= 0:
                wins += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
                pairs += weight[i] * weight[j]
        assert one == pytest.approx(wins / pairs)


def test_what_tells_strata_apart_is_no_help() -> None:
    strata = np.arange(40) // 20
    kind = np.arange(40) % 20 < np.where(strata == 0, 2, 18)  # commoner in the second
    found = Stratified.of(kind, strata.astype(float), np.arange(40), 40, strata)
    assert found.auroc(np.ones((1, 40))) == 0.5


def test_one_stratum_bears_what_it_would_alone_and_strata_of_one_kind_nothing() -> None:
    kind, strata = np.arange(30) % 2 == 0, np.repeat([0, 1, 2], 10)
    kind[10:20] = True
    ones = Bearing.of(np.ones(5))
    alone = Stratified.of(kind, np.arange(30.0), np.arange(30), 30, np.where(strata == 0, 0, -1))
    assert alone.bearing.units == pytest.approx(Bearing.against(ones, ones).units)
    both = Stratified.of(kind, np.arange(30.0), np.arange(30), 30, strata)
    assert (both.bearing.groups, both.bearing.images, len(both.ranked)) == (10, 20.0, 2)
    nothing = Stratified.of(kind, np.arange(30.0), np.arange(30), 30, np.where(strata == 1, 1, -1))
    assert nothing.bearing.groups == 0
    assert np.isnan(nothing.auroc(np.ones((1, 30)))).all()
