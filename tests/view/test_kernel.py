"""Compiled loops that draw views, as everything calls them; `test_host` has their tables one by one."""

from __future__ import annotations

import numpy as np

from cxrfeat.spec import ViewSpec
from cxrfeat.view import deep as deep_views
from cxrfeat.view.apply import drawn, drawn_one_by_one
from cxrfeat.view.draw import draw_views
from cxrfeat.view.host import KERNEL


def test_with_compiled_functions_and_without_all_views_are_the_same() -> None:
    KERNEL.load()
    deep_views.KERNEL.load()
    assert KERNEL.functions(0) is not None
    spec = ViewSpec(size=64, count=8)
    for shape in ((100, 100), (230, 400), (400, 230), (33, 50)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        before = image.copy()
        params = draw_views(spec, "ab" * 32)
        np.testing.assert_array_equal(drawn(spec, image, params), drawn_one_by_one(spec, image, params), strict=True)
        np.testing.assert_array_equal(image, before)
        deep = image.astype(np.float32) + np.float32(0.25)
        np.testing.assert_array_equal(drawn(spec, deep, params), drawn_one_by_one(spec, deep, params), strict=True)
