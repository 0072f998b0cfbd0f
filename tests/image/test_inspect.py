from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.image.appearance import look
from cxrfeat.image.inspect import BINS, inspect_image
from cxrfeat.image.letters import find_letters
from cxrfeat.phantom.drawing import draw_phantom
from cxrfeat.phantom.spec import PhantomSpec


def test_the_numbers_are_those_of_the_pixels() -> None:
    image = draw_phantom(PhantomSpec(letters="class"), 0, 0, 0).image
    seen = inspect_image(image, 3.5)
    np.testing.assert_array_equal(seen.histogram, np.histogram(image, BINS, (0, 256))[0])
    assert seen.histogram.dtype == np.int64
    assert seen.white == (image >= 250).mean()
    assert seen.black == (image <= 5).mean()
    assert seen.spread == pytest.approx(image.std())
    assert seen.levels == len(np.unique(image))
    assert seen.letters == find_letters(image).mean() > 0
    assert seen.colour == 3.5
    assert seen.look.pixel_digest == look(image).pixel_digest
    assert (image > seen.high).mean() <= 0.001 < (image >= seen.high).mean()
    assert (image < seen.low).mean() <= 0.001


@pytest.mark.parametrize("value", [0, 5, 6, 7, 8, 249, 250, 255])
def test_an_image_of_one_value(value: int) -> None:
    seen = inspect_image(np.full((40, 50), value, np.uint8))
    assert (seen.white, seen.black) == (float(value >= 250), float(value <= 5))
    assert (seen.low, seen.high, seen.levels, seen.spread, seen.letters) == (value, value, 1, 0, 0)
    assert np.flatnonzero(seen.histogram).tolist() == [value // 8]


def test_a_deep_image_is_measured_like_its_shallow_copy() -> None:
    image = draw_phantom(PhantomSpec(), 1, 0, 0).image
    shallow, deep = inspect_image(image), inspect_image(image.astype(np.float32))
    np.testing.assert_array_equal(deep.histogram, shallow.histogram)
    for name in ("white", "black", "levels", "letters", "low", "high"):
        assert getattr(deep, name) == getattr(shallow, name)
    assert deep.spread == pytest.approx(shallow.spread)
    ramp = np.linspace(0, 255, 40_000, dtype=np.float32).reshape(200, 200)
    assert inspect_image(ramp).levels > 30_000, "what has more than 256 levels is counted in full"
