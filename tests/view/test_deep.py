from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.spec import ViewSpec
from cxrfeat.view import deep
from cxrfeat.view.apply import drawn, drawn_one_by_one
from cxrfeat.view.deep import draw_deep
from cxrfeat.view.draw import ViewParams, draw_views
from tests.effort import expensive

SIDE = st.one_of(st.integers(1, 12), st.integers(13, 300))
pytestmark = pytest.mark.skipif(not deep.ADDS_AS_PILLOW, reason="only Pillow draws deep images on this machine")


@expensive(37, 150)
@given(
    height=SIDE,
    width=SIDE,
    size=st.integers(32, 90),
    views=st.lists(
        st.builds(ViewParams, flip=st.booleans(), zoom=st.floats(1, 3), gain=st.floats(0.2, 3)), min_size=1, max_size=9
    ),
    steps=st.sampled_from([256, 4096, 65536, 0]),
)
def test_every_view_has_the_bits_of_pillows(
    height: int, width: int, size: int, views: list[ViewParams], steps: int
) -> None:
    """Of images in steps of 8, 12 and 16 bits, and of none: where halves occur, and where they do not."""
    image = (np.random.default_rng(height * width).random((height, width)) * 255).astype(np.float32)
    if steps:
        image = np.float32(255) * (image * np.float32((steps - 1) / 255)).round() / np.float32(steps - 1)
    spec = ViewSpec(size=size, count=len(views))
    np.testing.assert_array_equal(draw_deep(image, views, size), drawn_one_by_one(spec, image, views))


def test_the_sizes_that_are_usual_and_what_is_read_only_or_a_part() -> None:
    rng = np.random.default_rng(0)
    for height, width, size in ((1024, 1024, 224), (700, 551, 299), (551, 1700, 224), (224, 224, 224)):
        whole = (rng.random((height, width)) * 255).astype(np.float32)
        whole.flags.writeable = False
        spec = ViewSpec(size=size, count=3)
        params = draw_views(spec, "ab" * 32)
        for image in (whole, whole[5:-3, 7:-1], whole.T):
            np.testing.assert_array_equal(draw_deep(image, params, size), drawn_one_by_one(spec, image, params))


def test_elsewhere_pillow_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("compiled loops that add otherwise")

    deep.KERNEL.load()
    monkeypatch.setattr(deep, "ADDS_AS_PILLOW", False)
    monkeypatch.setattr(deep, "draw_deep", never)
    image, spec = np.full((40, 40), 100.5, np.float32), ViewSpec(size=32, count=2)
    params = draw_views(spec, "ab" * 32)
    np.testing.assert_array_equal(drawn(spec, image, params), drawn_one_by_one(spec, image, params))
