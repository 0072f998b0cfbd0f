"""The sums of deep views, term by term; `test_deep` has whole views beside Pillow's."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.view.deep import KERNEL


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 11])
def test_lines_are_added_one_after_the_other_in_64_bits(count: int) -> None:
    rng = np.random.default_rng(count)
    lines = (rng.random((20, 33)) * 255).astype(np.float32)
    weights = rng.random(11)
    sums = np.full(33, 7.0)
    KERNEL.load().add_lines(lines, 6, np.array([count], np.int32), weights, sums)
    expected = np.zeros(33)
    for tap in range(count):
        expected += lines[6 + tap].astype(np.float64) * weights[tap]
    np.testing.assert_array_equal(sums, expected)


def test_what_is_brighter_than_white_is_white() -> None:
    image = np.full((40, 40), 200, np.float32)
    first, count = np.arange(32, dtype=np.int32)[None], np.ones((1, 32), np.int32)
    table = first, count, np.ones((1, 32, 1))
    views = np.empty((1, 32, 32), np.uint8)
    KERNEL.load().draw(image, *table, *table, np.array([True]), np.array([1.5]), views)
    assert views.min() == 255
