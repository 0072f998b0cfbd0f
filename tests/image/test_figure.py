"""What is a letter is tested by `test_letters`, on whole images."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.image.figure import Picture, letters_of


@pytest.mark.parametrize("times", [2, 3, 7, 16])
def test_sums_over_blocks_give_the_letters_of_their_means(times: int) -> None:
    rng = np.random.default_rng(times)
    grey = rng.integers(20, 40, (310, 290))
    for left in range(20, 80, 15):  # a word
        grey[20:38, left : left + 3] = grey[35:38, left : left + 10] = 220
    sums = grey * times**2 + rng.integers(0, times, grey.shape)
    unit = (310 * 290) ** 0.5 / 300
    means = sums.astype(np.float32) / np.float32(times**2)
    found = letters_of(Picture(sums=sums.astype(np.uint16), pixels=times**2, unit=unit))
    assert found[20:38, 20:23].all()
    np.testing.assert_array_equal(letters_of(Picture(sums=means, pixels=1, unit=unit)), found)
