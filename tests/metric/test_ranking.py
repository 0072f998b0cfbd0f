from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import weight_blocks

SMALL = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=20)


@given(SMALL)
def test_the_areas_are_scikit_learns(images: list[tuple[bool, float]]) -> None:
    y, p = np.array([one for one, _ in images]), np.array([p for _, p in images])
    ranked = Ranked(y, p, np.arange(len(y)))
    auroc, auprc = ranked.auroc_and_auprc(np.ones((1, len(y))))
    assert ranked.auroc(np.ones((1, len(y)))) == pytest.approx(auroc, nan_ok=True)
    if y.any() and not y.all():
        assert auroc[0] == pytest.approx(metrics.roc_auc_score(y, p))
    else:
        assert np.isnan(auroc[0])
    if y.any():
        assert auprc[0] == pytest.approx(metrics.average_precision_score(y, p))
    else:
        assert np.isnan(auprc[0])


@given(SMALL, st.integers(1, 4), st.integers(0, 100))
def test_a_weight_counts_the_images_of_its_group_so_often(
    images: list[tuple[bool, float]], groups: int, seed: int
) -> None:
    y, p = np.array([one for one, _ in images]), np.array([p for _, p in images])
    groups = min(groups, len(y))
    group = np.arange(len(y)) % groups
    (weights,) = weight_blocks(groups, len(y), 3, seed)
    found = np.array(Ranked(y, p, group).auroc_and_auprc(weights))
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(len(y)), weight[group].astype(int))
        alone = np.array(Ranked(y[drawn], p[drawn], np.arange(len(drawn))).auroc_and_auprc(np.ones((1, len(drawn)))))
        np.testing.assert_allclose(found[:, row], alone[:, 0], atol=1e-12)


@given(SMALL)
def test_no_order_and_no_rising_scale_changes_a_bit(images: list[tuple[bool, float]]) -> None:
    y, p = np.array([one for one, _ in images]), np.array([p for _, p in images])
    order = np.random.default_rng(len(images)).permutation(len(y))
    weights = np.ones((1, len(y)))
    one = Ranked(y, p, np.arange(len(y))).auroc_and_auprc(weights)
    other = Ranked(y[order], np.exp(3 * p[order]), np.arange(len(y))).auroc_and_auprc(weights)
    np.testing.assert_array_equal(one, other)


def test_wins_are_pairs_with_ties_counted_half() -> None:
    ranked = Ranked(np.array([True, True, False, False]), np.array([0.9, 0.3, 0.3, 0.1]), np.arange(4))
    wins, pairs = ranked.wins(np.ones((1, 4)))
    assert (wins.tolist(), pairs.tolist()) == ([3.5], [4.0])
