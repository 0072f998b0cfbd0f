from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from cxrfeat.head import epoch
from cxrfeat.head.blas import Blas
from cxrfeat.head.constants import Constants
from cxrfeat.head.network_head import first_weights
from cxrfeat.head.optimizer import Matrices, Nesterov
from cxrfeat.head.thread_control import Pace
from cxrfeat.spec import HeadSpec
from tests.head.blobs import blobs, fitted


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 1.0])
def test_velocities_kept_divided_are_nesterovs_momentum(momentum: float, l2: float) -> None:
    """Step by step as Keras documents it, in float64, longer than the number they are divided by lasts."""
    rng = np.random.default_rng(0)
    kernel, bias = first_weights(HeadSpec(kind="softmax"), 6, 3)
    ours = Matrices([(6, 3), (1, 3)])
    for part, array in zip(ours.parts, (kernel, bias), strict=True):
        part[:] = array
    theirs, velocities = [part.astype(np.float64) for part in ours.parts], [np.zeros((6, 3)), np.zeros((1, 3))]
    move = Nesterov(Constants(batch=4, adam=False, momentum=momentum, dropout=0.0, l2=l2, seed=0), Blas(), ours)
    for step in range(1, 301):
        rate = 0.01 / step
        x, slope = (rng.normal(size=(4, width)).astype(np.float32) for width in (6, 3))
        move([x, np.ones((4, 1), np.float32)], [slope, slope], rate)
        gradients = [x.T.astype(np.float64) @ slope + 2 * l2 * theirs[0], slope.sum(0, dtype=np.float64)[None]]
        for place, gradient in enumerate(gradients):
            velocities[place] = momentum * velocities[place] - rate * gradient
            theirs[place] += momentum * velocities[place] - rate * gradient
    for part, other in zip(ours.parts, theirs, strict=True):
        np.testing.assert_allclose(part, other, atol=2e-5)


@pytest.mark.parametrize("dim", [1000, 1024])
@pytest.mark.parametrize(
    "fields",
    [{}, {"optimizer": "adam", "learning_rate": 1e-4}, {"l2": 1e-3}, {"hidden": (333, 77, 31)}, {"batch": 100}],
)
def test_threads_do_not_change_a_bit(fields: dict[str, Any], dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of products that BLAS parts differently for two: 500 inner numbers are, and 1000, with the one of today."""
    used: set[int] = set()

    class Spy(Pace):
        def took(self, seconds: float) -> None:
            used.add(self.threads)
            super().took(seconds)

    monkeypatch.setattr(epoch, "Pace", Spy)
    data, heads = blobs(images=1000, dim=dim), []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            heads.append(fitted("dropout", data, epochs=1, **fields).head.to_npz())
        assert used == ({1} if threads == 1 else {1, 2})
    assert heads[0] == heads[1]
