from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.feature.split import Fold
from cxrfeat.feature.target import Target
from cxrfeat.head.findings_fit import fit_to_findings
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadSpec


def test_a_finding_known_of_all_images_gets_the_ridge_head_that_it_would_have_alone() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2, 5)).astype(np.float32)
    labels = (X[:, 0, 1] + rng.normal(size=120) > 0).astype(np.int64)
    some = np.where(rng.random(120) < 0.3, -1, (X[:, 0, 2] > 0).astype(np.int64))
    targets = [Target(name=name, classes=(f"no {name}", name), values=values)
               for name, values in (("Mass", labels), ("Edema", some))]  # fmt: skip
    fold = Fold(name="test", train=np.arange(80), validation=np.arange(80, 100), test=np.arange(100, 120))
    fit = fit_to_findings(HeadSpec(kind="ridge"), X, fold, targets)
    training = TrainingSet(X[:80], labels[:80], X[80:100, 0], labels[80:100], targets[0].classes)
    alone = fit_head(HeadSpec(kind="ridge"), training).head
    np.testing.assert_allclose(fit.heads[0].predict_proba(X[:, 0]), alone.predict_proba(X[:, 0]), atol=1e-6)
    np.testing.assert_allclose(fit.probabilities[:, 0], alone.predict_proba(X[80:, 0])[:, 1], atol=1e-6)
    assert fit.files == ("head-1.npz", "head-2.npz")
    assert set(fit.arrays) == set(fit.files)
    with pytest.raises(UsageError, match="`views=3` of each image were asked for; the features hold 2"):
        fit_to_findings(HeadSpec(kind="ridge", views=3), X, fold, targets)
