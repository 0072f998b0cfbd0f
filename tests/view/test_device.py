"""Tables against the views that Pillow makes, bit for bit; what a device does with them is done here by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.spec import ViewSpec
from cxrfeat.types import TAP_BITS, Taps, Undrawn
from cxrfeat.view.apply import drawn
from cxrfeat.view.device import MOST, can_cross, undrawn
from cxrfeat.view.draw import PLAIN, ViewParams
from tests.view.cases import case


def by_tables(one: Undrawn) -> NDArray[np.uint8]:
    views = []
    for view in range(len(one)):
        pixels = _pass(one.image, one.columns, view)
        pixels = _pass(pixels.T, one.rows or one.columns, view).T
        views.append(one.gains[view][pixels[:, ::-1] if one.flips[view] else pixels])
    return np.stack(views)


def _pass(image: NDArray[np.uint8], table: Taps, view: int) -> NDArray[np.uint8]:
    first, weights = table.first[view], table.weights[view]
    total = np.full((len(image), len(first)), 1 << (TAP_BITS - 1), dtype=np.int64)
    for tap in range(weights.shape[-1]):
        total += image[:, np.minimum(first + tap, image.shape[1] - 1)].astype(np.int64) * weights[:, tap]
    assert total.max() < 2**31, "a device adds in 32 bits"
    return (total >> TAP_BITS).astype(np.uint8)


@pytest.mark.few(50)
@pytest.mark.parametrize("seed", range(150))
def test_tables_give_the_very_pixels_of_pillow(seed: int) -> None:
    spec, image, params = case(seed)
    one = undrawn(spec, image, params)
    assert one is not None
    assert len(one) == len(params)
    np.testing.assert_array_equal(by_tables(one), drawn(spec, image, params))
    np.testing.assert_array_equal(by_tables(one.part(1, 3)), drawn(spec, image, params[1:3]))


def test_the_sizes_that_are_usual() -> None:
    rng = np.random.default_rng(0)
    params = [PLAIN, ViewParams(flip=True, zoom=1.2, gain=1.25), ViewParams(zoom=1.0371, gain=0.8)]
    for height, width, size in (
        (299, 299, 224),
        (1024, 1024, 224),
        (1024, 1024, 299),
        (700, 551, 299),
        (224, 224, 224),
    ):
        image, spec = rng.integers(0, 256, (height, width), dtype=np.uint8), ViewSpec(size=size)
        one = undrawn(spec, image, params)
        assert one is not None
        assert (one.rows is None) == (height == width), "a square image has one table for both passes"
        np.testing.assert_array_equal(by_tables(one), drawn(spec, image, params))


def test_the_tables_are_small_beside_the_views() -> None:
    one = undrawn(ViewSpec(size=224), np.zeros((299, 299), np.uint8), [PLAIN] * 8)
    assert one is not None
    assert one.columns.first.nbytes + one.columns.weights.nbytes + one.gains.nbytes < 8 * 224**2 / 10


def test_what_a_device_cannot_draw_is_left_to_the_host() -> None:
    spec, image = ViewSpec(size=32), np.zeros((64, 64), np.uint8)
    assert undrawn(spec, image, [PLAIN]) is not None
    assert undrawn(spec, image.astype(np.float32), [PLAIN]) is None, "more than 8 bits"
    assert can_cross(ViewSpec(size=32), image)
    assert not can_cross(ViewSpec(size=32, shuffle=2), image), "blocks change places afterwards"
    side = int((MOST * 32 * 32) ** 0.5) + 1
    large = np.zeros((side, side), np.uint8)
    assert not can_cross(ViewSpec(size=32, count=1), large), "its one view is quicker to send"
    assert can_cross(ViewSpec(size=32, count=2), large)
