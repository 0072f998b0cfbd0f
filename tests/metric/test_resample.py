from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.resample import numbered, percentile_interval, weight_blocks


def test_every_draw_is_of_as_many_groups_as_there_are() -> None:
    weights = np.concatenate(list(weight_blocks(7, 100, 500, seed=1)))
    assert weights.shape == (500, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.rint(weights)).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.2)
    assert weights.var(axis=0) == pytest.approx(6 / 7, abs=0.2)  # n draws of n, one in n each


def test_blocks_stay_small_and_their_size_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(weight_blocks(5, 9, 40, seed=2)))
    monkeypatch.setattr("cxrfeat.metric.resample._BLOCK", 30)
    blocks = list(weight_blocks(5, 9, 40, seed=2))
    assert len(blocks) == 14
    assert max(block.shape[0] for block in blocks) * 9 <= 30
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_groups_are_numbered_in_their_own_order() -> None:
    index, count = numbered(np.array([30, -2, 30, 7]))
    assert (index.tolist(), count) == ([2, 0, 2, 1], 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(101.0), [2.5, 97.5]),
        (np.r_[np.arange(101.0), np.full(50, np.nan)], [2.5, 97.5]),
        (np.r_[1.0, np.nan, np.nan], None),
        (np.array([]), None),
    ],
)
def test_an_interval_holds_the_middle_of_what_is_defined(values: np.ndarray, expected: list[float] | None) -> None:
    assert percentile_interval(values, 0.95) == (expected and pytest.approx(expected))
