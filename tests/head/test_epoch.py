from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cxrfeat.head.epoch import Epochs
from cxrfeat.head.network_head import first_weights
from cxrfeat.spec import HeadSpec
from tests.head.blobs import blobs, fitted, one_by_one


def test_loss_and_accuracy_are_means_over_rows_whatever_the_batches() -> None:
    """At a learning rate of 0 every batch sees the first weights."""
    X, y, *_ = blobs(images=53, views=1)
    rows, targets = X[:, 0], np.eye(3, dtype=np.float32)[y]
    told = []
    for batch in (53, 10):  # the last one is shorter
        spec = HeadSpec(kind="dense", batch=batch)
        epochs = Epochs(spec, first_weights(spec, 16, 3), rows, targets, np.ones(53, np.float32), one_by_one)
        told.append(epochs.run(np.arange(53), np.zeros(-(-53 // batch))))
    assert told[0] == pytest.approx(told[1], rel=1e-5)


@pytest.mark.few(2)
@pytest.mark.parametrize("dim", [1000, pytest.param(1024, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "fields",
    [{}, {"optimizer": "adam", "learning_rate": 1e-4}, {"l2": 1e-3}, {"hidden": (333, 77, 31)}, {"batch": 100}],
)
def test_threads_do_not_change_a_bit(fields: dict[str, Any], dim: int) -> None:
    """Though BLAS parts some of these products differently for two: of 500 inner numbers, and of 1000."""
    data, heads = blobs(images=1000, dim=dim), []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            heads.append(fitted("dropout", data, epochs=1, **fields).head.to_npz())
    assert heads[0] == heads[1]
