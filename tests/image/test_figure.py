"""Windows against SciPy's filters; what is a letter is tested by `test_letters`, on whole images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cxrfeat.image.figure import Picture, letters_of
from cxrfeat.image.window import windowed


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    half=st.integers(0, 9),
    seed=st.integers(0, 99),
    kind=st.sampled_from([np.uint8, np.uint16, np.uint32, np.float32]),
)
def test_windows_are_those_of_scipy(height: int, width: int, half: int, seed: int, kind: type[np.generic]) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(kind)
    for extreme, filtered in ((np.minimum, ndimage.minimum_filter), (np.maximum, ndimage.maximum_filter)):
        expected = filtered(image, 2 * half + 1, mode="nearest")
        np.testing.assert_array_equal(windowed(extreme, image, 2 * half + 1), expected)
    mask = image > 200
    square = np.ones((2 * half + 1, 2 * half + 1))
    np.testing.assert_array_equal(windowed(np.logical_or, mask, 2 * half + 1), ndimage.binary_dilation(mask, square))


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
