from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.head.epoch import Constants, _Nesterov
from cxrfeat.head.network_head import first_weights
from cxrfeat.spec import HeadSpec


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 1.0])
def test_velocities_kept_divided_are_nesterovs_momentum(momentum: float, l2: float) -> None:
    """Step by step as Keras documents it, in float64, longer than the number they are divided by lasts."""
    rng = np.random.default_rng(0)
    (weight, _) = first_weights(HeadSpec(kind="softmax"), 6, 3)
    ours, theirs, velocity = np.array(weight, order="F"), weight.astype(np.float64), np.zeros((6, 3))
    constants = Constants(batch=4, adam=False, momentum=momentum, dropout=0.0, l2=l2, seed=0)
    move = _Nesterov(constants, [ours])
    for step in range(1, 301):
        rate = 0.01 / step
        inputs, slope = (rng.normal(size=(4, width)).astype(np.float32) for width in (6, 3))
        move.begin(step)
        move(0, inputs, slope, rate, l2)
        gradient = inputs.T.astype(np.float64) @ slope + 2 * l2 * theirs
        velocity = momentum * velocity - rate * gradient
        theirs += momentum * velocity - rate * gradient
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
