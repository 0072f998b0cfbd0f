from __future__ import annotations

import pytest

from cxrfeat.finetuning.cost import measure_network


@pytest.mark.slow
def test_a_step_of_training_costs_more_than_looking() -> None:
    cost = measure_network("scratch", 224, training=True, seconds=0.05)
    assert cost.training is not None
    assert cost.forward > cost.training > 0


def test_what_nothing_trains_is_not_trained() -> None:
    assert measure_network("scratch", 32, training=False, seconds=0.01).training is None
