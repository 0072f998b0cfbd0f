from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.head.dropout import Dropout
from cxrfeat.spec import HeadSpec


def test_dropped_units_are_a_share_and_never_the_same_twice() -> None:
    def drawn(seed: int, step: int) -> NDArray[np.bool_]:
        spec = HeadSpec(kind="dropout", dropout=0.3, seed=seed)
        factors = Dropout(spec, rows=1000, units=500)(step, 32)
        assert set(np.unique(factors)) == {np.float32(0), np.float32(1) / np.float32(0.7)}
        assert (Dropout(spec, rows=1000, units=500)(step, 9) == factors[:9]).all()  # of a shorter last batch
        return factors > 0

    masks = [drawn(12345, step) for step in (0, 1, 2)]
    for mask in masks:
        assert mask.mean() == pytest.approx(0.7, abs=0.015)
        assert abs(np.corrcoef(mask[0], mask[1])[0, 1]) < 0.2
    assert (masks[0] != masks[1]).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)
    assert (masks[0] != drawn(54321, 0)).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)
