from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.auroc import auroc_over_groups


def test_it_is_the_auroc_of_scikit_learn_and_its_interval_is_wider_over_fewer_groups() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    positive = np.arange(400) % 2 == 0
    value = rng.normal(positive * 1.0, 1.0)
    alone = auroc_over_groups(positive, value, np.arange(400))
    together = auroc_over_groups(positive, value, np.arange(400) // 20)
    assert alone["auroc"] == together["auroc"] == pytest.approx(roc_auc_score(positive, value))
    low, high = alone["auroc_ci"]
    assert low < alone["auroc"] < high
    assert together["auroc_ci"][0] < low


def test_one_kind_alone_has_none_and_few_groups_have_no_interval() -> None:
    assert auroc_over_groups(np.ones(9, bool), np.arange(9.0), np.arange(9)) == {"auroc": None, "auroc_ci": None}
    found = auroc_over_groups(np.arange(20) % 2 == 0, np.arange(20.0), np.arange(20) // 4)
    assert found["auroc"] is not None
    assert found["auroc_ci"] is None
