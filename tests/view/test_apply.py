"""Applying: pixel-exact against oracles written with Pillow and NumPy alone."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.spec import ViewSpec
from cxrfeat.types import Grey
from cxrfeat.view.apply import apply_views
from cxrfeat.view.draw import PLAIN, ViewParams, draw_views


def noise(height: int, width: int, *, deep: bool = False) -> Grey:
    rng = np.random.default_rng([height, width])
    values = rng.random((height, width)) * 255
    return values.astype(np.float32) if deep else values.astype(np.uint8)


def oracle(image: Grey, size: int, view: ViewParams) -> NDArray[np.uint8]:
    """The same view by another road: the box from the formula, mirror by Pillow, gain in float64."""
    height, width = image.shape
    margin_x, margin_y = width * (1 - 1 / view.zoom) / 2, height * (1 - 1 / view.zoom) / 2
    picture = Image.fromarray(image).resize(
        (size, size), Image.Resampling.BILINEAR, box=(margin_x, margin_y, width - margin_x, height - margin_y)
    )
    if view.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.clip(np.rint(np.asarray(picture, dtype=np.float64) * view.gain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(299, 299), (64, 200), (33, 47), (500, 320)])
def test_the_plain_view_is_pillows_own_bilinear_resize(height: int, width: int) -> None:
    image = noise(height, width)
    view = apply_views(ViewSpec(size=96, count=1), image, [PLAIN])[0]
    assert np.array_equal(view, np.asarray(Image.fromarray(image).resize((96, 96), Image.Resampling.BILINEAR)))


@given(st.integers(32, 90), st.integers(32, 90), st.booleans(), st.floats(1, 2), st.floats(0.5, 2), st.booleans())
def test_every_view_is_the_oracles(height: int, width: int, flip: bool, zoom: float, gain: float, deep: bool) -> None:
    view = ViewParams(flip=flip, zoom=zoom, gain=gain)
    image = noise(height, width, deep=deep)
    made = apply_views(ViewSpec(size=48, count=1), image, [view])[0]
    expected = oracle(image, 48, view)
    # The two boxes are the same numbers up to the last bit of a double, which may turn one rounding in thousands.
    assert np.abs(made.astype(int) - expected).max() <= 1
    assert (made != expected).mean() < 0.002


def test_views_do_not_depend_on_which_are_made_together() -> None:
    spec, image = ViewSpec(size=40, count=6), noise(70, 80)
    params = draw_views(spec, hashlib.sha256(b"image").hexdigest())
    together = apply_views(spec, image, params)
    alone = [apply_views(spec, image, [one])[0] for one in reversed(params)][::-1]
    assert np.array_equal(together, alone)


def test_zoom_magnifies_about_the_centre_so_that_the_border_falls_outside() -> None:
    image = np.zeros((100, 100), np.uint8)
    image[:8] = image[-8:] = 255
    image[:, :8] = image[:, -8:] = 255
    spec = ViewSpec(size=100, count=1)
    assert apply_views(spec, image, [PLAIN])[0].max() == 255
    assert apply_views(spec, image, [ViewParams(zoom=1.2)])[0].max() == 0


def test_a_deep_image_is_rounded_once_and_never_clipped_to_white() -> None:
    deep = np.linspace(0, 255, 64 * 64, dtype=np.float32).reshape(64, 64)
    view = apply_views(ViewSpec(size=64, count=1), deep, [PLAIN])[0]
    assert np.array_equal(view, np.rint(deep).astype(np.uint8))


def test_gain_clips_at_white() -> None:
    image = np.full((40, 40), 200, np.uint8)
    assert apply_views(ViewSpec(size=32, count=1), image, [ViewParams(gain=2.0)])[0].min() == 255


def test_border_crop_sees_nothing_of_the_rim_and_border_darken_blackens_it() -> None:
    image = noise(100, 100)
    cropped = apply_views(ViewSpec(size=50, count=1, border_crop=0.1), image, [PLAIN])[0]
    inside = Image.fromarray(image[10:90, 10:90])
    assert np.array_equal(cropped, np.asarray(inside.resize((50, 50), Image.Resampling.BILINEAR)))
    dark = apply_views(ViewSpec(size=100, count=1, border_darken=0.1), image, [PLAIN])[0]
    assert dark[:10].max() == dark[:, -10:].max() == 0
    assert np.array_equal(dark[10:90, 10:90], image[10:90, 10:90])
