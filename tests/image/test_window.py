"""Windows against SciPy's filters."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cxrfeat.image.window import windowed
from tests.effort import expensive


@expensive(15, 60)
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
