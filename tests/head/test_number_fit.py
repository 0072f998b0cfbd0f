from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import UsageError
from cxrfeat.head.number_fit import fit_to_number, number_specs
from cxrfeat.spec import HeadSpec


def test_a_network_stops_by_its_validation_images_and_keeps_its_epochs() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1, 4)).astype(np.float32)
    y = X[:, 0, 0].astype(np.float64) * 3 + 20
    spec = HeadSpec(kind="dense", hidden=(8, 4), epochs=40, patience=2, min_delta=0.2)
    fit = fit_to_number(spec, X[:60], y[:60], X[60:, 0], y[60:])
    assert len(fit.history.epochs) < 40
    assert fit.history.kept is not None
    assert all(one.accuracy is None and one.val_loss is not None for one in fit.history.epochs)
    assert not fit_to_number(HeadSpec(kind="ridge"), X, y, X[:0, 0], y[:0]).history


def test_heads_that_cannot_tell_a_number_are_refused() -> None:
    assert [spec.kind for spec in number_specs("age", ["ridge", "dropout"], 0)] == ["ridge", "dropout"]
    with pytest.raises(UsageError, match="which ridge, dense, dropout can predict and logreg cannot"):
        number_specs("age", "logreg", 0)
