"""What is read from scores among images of one stratum: kinds against the rest, those that few bear apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrfeat.metric.encoded import encoded_scores


def test_of_one_stratum_it_is_the_mean_of_the_kinds_aurocs() -> None:
    rng = np.random.default_rng(0)
    kind, scores = rng.integers(0, 3, 120), rng.normal(size=(120, 3))
    scores[np.arange(120), kind] += 1
    found = encoded_scores(kind, scores, np.arange(120), np.zeros(120, np.int64))
    assert found["auroc"] == pytest.approx(np.mean([roc_auc_score(kind == one, scores[:, one]) for one in range(3)]))
    assert found["auroc_ci"][0] < found["auroc"] < found["auroc_ci"][1]
    assert (found["judged"], found["images"], found["groups"]) == ([0, 1, 2], 120, 120)


def test_a_kind_of_few_groups_is_not_judged() -> None:
    kind = np.r_[np.arange(40) % 2, np.full(10, 2)]
    groups = np.r_[np.arange(40), np.full(10, 40)]  # ten images of one patient
    scores: NDArray[np.float64] = np.eye(3, dtype=np.float64)[kind]
    found = encoded_scores(kind, scores, groups, np.zeros(50, np.int64))
    assert found["judged"] == [0, 1]
    few = encoded_scores(kind[:10], scores[:10, 1:2], groups[:10], np.zeros(10, np.int64))
    assert (few["auroc"], few["auroc_ci"], few["judged"]) == (1.0, None, [])


def test_without_two_kinds_in_one_stratum_there_is_nothing_to_say() -> None:
    kind = np.arange(40) % 2
    found = encoded_scores(kind, kind[:, None].astype(np.float64), np.arange(40), kind)
    assert (found["auroc"], found["auroc_ci"]) == (None, None)
    nowhere = encoded_scores(kind, kind[:, None].astype(np.float64), np.arange(40), np.full(40, -1))
    assert (nowhere["auroc"], nowhere["images"]) == (None, 0)
