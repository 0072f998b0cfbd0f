from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.spec import ViewSpec
from cxrfeat.view.apply import drawn_one_by_one
from cxrfeat.view.device import undrawn
from cxrfeat.view.draw import ViewParams, draw_views
from cxrfeat.view.host import draw_tables
from tests.effort import expensive

SIDE = st.one_of(st.integers(1, 12), st.integers(13, 300))


@expensive(15, 150)
@given(
    height=SIDE,
    width=SIDE,
    square=st.booleans(),
    size=st.integers(32, 90),
    views=st.lists(
        st.builds(ViewParams, flip=st.booleans(), zoom=st.floats(1, 3), gain=st.floats(0.2, 3)), min_size=1, max_size=9
    ),
    kind=st.sampled_from(["noise", "white", "edges"]),
)
def test_every_view_has_the_bits_of_pillows(
    height: int, width: int, square: bool, size: int, views: list[ViewParams], kind: str
) -> None:
    width = height if square else width
    image = np.random.default_rng(height * width).integers(0, 256, (height, width), np.uint8)
    image = {"noise": image, "white": np.full_like(image, 255), "edges": np.where(image > 127, 255, 0)}[kind]
    image = image.astype(np.uint8)
    spec = ViewSpec(size=size, count=len(views))
    tables = undrawn(spec, image, views)
    assert tables is not None
    np.testing.assert_array_equal(draw_tables(tables), drawn_one_by_one(spec, image, views))


def test_parts_of_an_image_and_what_is_read_only_are_drawn_too() -> None:
    whole = np.random.default_rng(0).integers(0, 256, (90, 110), np.uint8)
    part, spec = whole[5:77, 3:101], ViewSpec(size=33, count=3)
    params = draw_views(spec, "ab" * 32)
    tables = undrawn(spec, part, params)
    assert tables is not None
    whole = np.frombuffer(whole.tobytes(), np.uint8).reshape(whole.shape)
    read_only = undrawn(spec, whole, params)
    assert read_only is not None
    np.testing.assert_array_equal(draw_tables(read_only), drawn_one_by_one(spec, whole, params))
    np.testing.assert_array_equal(draw_tables(tables), drawn_one_by_one(spec, part, params))
    np.testing.assert_array_equal(draw_tables(tables.part(1, 3)), drawn_one_by_one(spec, part, params[1:3]))
