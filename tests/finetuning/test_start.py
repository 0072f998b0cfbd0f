from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import StaleFeaturesError, UsageError
from cxrfeat.finetuning.start import cold_head, warm_head
from cxrfeat.spec import HeadKind, HeadSpec
from tests.head.blobs import NAMES, blobs, fitted


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["logreg", "ridge", "softmax", "dense", "dropout"])
def test_a_warm_head_gives_the_probabilities_of_the_head_it_came_from(kind: HeadKind, classes: int) -> None:
    data = blobs(classes)
    head = fitted(kind, data, epochs=2, standardize=True, calibrate=True).head
    assert head.temperature != 1
    warm = warm_head(head, head.dim)
    assert warm.kind == ("softmax" if kind in ("logreg", "ridge") else kind)
    assert warm.temperature == 1
    np.testing.assert_allclose(warm.predict_proba(data[2]), head.predict_proba(data[2]), atol=1e-5)


@pytest.mark.parametrize("kind", ["svm-linear", "svm-rbf", "knn"])
def test_a_head_without_a_gradient_is_refused(kind: HeadKind) -> None:
    head = fitted(kind).head
    with pytest.raises(UsageError, match=rf"A {kind} head has no gradient .* fit-head` with `head=logreg`"):
        warm_head(head, head.dim)


def test_a_head_of_another_network_is_refused() -> None:
    head = fitted("logreg").head
    with pytest.raises(StaleFeaturesError, match=rf"width {head.dim}, and this network gives 99.*another network"):
        warm_head(head, 99)


def test_a_cold_head_is_the_one_that_stage_two_begins_with() -> None:
    spec = HeadSpec(kind="dropout", hidden=(7, 4), seed=3)
    X, y, _, _ = blobs(3)
    drawn = cold_head(spec, X.shape[2], NAMES[: y.max() + 1])
    untrained = fitted("dropout", hidden=(7, 4), seed=3, epochs=0, standardize=False).head
    assert drawn.arrays.keys() == untrained.arrays.keys()
    assert all(np.array_equal(drawn.arrays[name], untrained.arrays[name]) for name in drawn.arrays)
