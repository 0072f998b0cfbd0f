"""Features of changed images are the network's of each view, by the image's number, however they came together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import InputError
from cxrfeat.feature.variant import Variants
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features, Views
from tests.stub import DIM, StubEngine, stub_features, stub_request

PLAIN = ViewSpec(size=32, count=1)
CUT, DARK = replace(PLAIN, border_crop=0.2), replace(PLAIN, border_darken=0.2)
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), dtype=np.uint8)
"""Of seven images, each in three ways."""


def engine() -> StubEngine:
    request = stub_request(views=1)
    return StubEngine(request.network, request.spec, batch=4)


def test_every_description_has_the_features_of_every_image_that_is_asked_for() -> None:
    with Variants([PLAIN, CUT, DARK], 9, engine) as variants:
        assert [variants.add(views) for views in PIXELS] == list(range(7))
        for place, view in enumerate(variants.views):
            np.testing.assert_array_equal(
                variants.features(view, [5, 0, 0, 6]), stub_features(PIXELS[[5, 0, 0, 6], place])
            )


def test_the_network_is_loaded_when_the_first_image_comes_and_computes_before_the_last() -> None:
    made: list[StubEngine] = []

    def load() -> Engine:
        made.append(engine())
        return made[-1]

    with Variants([PLAIN, CUT, DARK], 7, load) as variants:
        assert made == []
        for views in PIXELS[:6]:
            variants.add(views)
        variants._flow._handing._thread.submit(int).result()  # type: ignore[union-attr]  # behind what was handed over
        assert made[0].rows == 16
        variants.add(PIXELS[6])
        assert len(variants.features(CUT, range(7))) == 7
    assert len(made) == 1
    assert made[0].rows == 21


def test_what_is_dropped_is_not_computed_any_more() -> None:
    made = engine()
    with Variants([PLAIN, CUT], 7, lambda: made) as variants:
        variants.add(PIXELS[0, :2])
        variants.drop([CUT])
        for views in PIXELS[1:]:
            variants.add(views[:2])
        np.testing.assert_array_equal(variants.features(PLAIN, range(7)), stub_features(PIXELS[:, 0]))
        with pytest.raises(AssertionError):
            variants.features(CUT, [0])
    assert made.rows == 8


def test_numbers_that_are_none_are_refused() -> None:
    class Odd(StubEngine):
        def run(self, views: Views) -> Features:
            return np.where(super().run(views) < 1, np.nan, 1).astype(np.float32)

    request = stub_request(views=1)
    with Variants([PLAIN], 2, lambda: Odd(request.network, request.spec)) as variants:
        variants.add(np.zeros((1, 32, 32), np.uint8))
        variants.add(np.full((1, 32, 32), 9, np.uint8))
        assert variants.features(PLAIN, [1]).tolist() == [[1.0] * DIM]
        with pytest.raises(InputError, match="NaN or infinity"):
            variants.features(PLAIN, [0, 1])
