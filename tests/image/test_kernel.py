"""Compiled loops of looks against NumPy's sums; what a look is, `test_appearance` says, of both."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.image import appearance
from cxrfeat.image.appearance import look
from cxrfeat.system import compiled
from cxrfeat.system.compiled import Compiled


@pytest.fixture(autouse=True, scope="module")
def _none_of_itself() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "_wanted", threading.Event())
        patch.setattr(compiled, "LEAST_STEPS", math.inf)
        patch.setattr(appearance, "KERNEL", Compiled("cxrfeat.image.kernel"))
        yield


@given(height=st.integers(40, 300), width=st.integers(40, 300), seed=st.integers(0, 99), dark=st.integers(0, 4))
def test_both_ways_give_the_same_bits(height: int, width: int, seed: int, dark: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width), dtype=np.uint8)[dark : height - dark]
    image[: dark * 3] = image[:, max(0, width - dark * 9) :] = 7
    if seed % 2:
        image.flags.writeable = False
    found = look(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(appearance, "KERNEL", kernel := Compiled("cxrfeat.image.kernel"))
        kernel.load()
        other = look(image)
    for field in ("mean_grey", "black_border", "pixel_digest"):
        assert getattr(found, field) == getattr(other, field)
    np.testing.assert_array_equal(found.thumbnail, other.thumbnail)
    np.testing.assert_array_equal(found.portrait, other.portrait)
