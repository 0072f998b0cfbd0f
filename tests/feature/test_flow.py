from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cxrfeat.backbone.engine import Engine, Handing
from cxrfeat.feature.flow import Flow, Rows
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Features, Undrawn, Views
from cxrfeat.view.apply import drawn
from cxrfeat.view.device import undrawn
from cxrfeat.view.draw import draw_views
from tests.stub import DIM, StubEngine, stub_features, stub_request
from tests.view.test_device import by_tables


def stub(batch: int) -> StubEngine:
    request = stub_request()
    return StubEngine(request.network, request.spec, batch)


def images(count: int, views: int) -> list[Views]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (views, 32, 32), dtype=np.uint8) for _ in range(count)]


class Batches(StubEngine):
    """Remembers how large its batches were."""

    def __init__(self, batch: int) -> None:
        request = stub_request()
        super().__init__(request.network, request.spec, batch)
        self.sizes: list[int] = []

    def run(self, views: Views) -> Features:
        self.sizes.append(len(views))
        return super().run(views)


@pytest.mark.parametrize(("batch", "views", "per_shard"), [(16, 2, 3), (4, 3, 5), (5, 8, 1), (64, 2, 4), (1, 3, 2)])
def test_batches_run_across_shards_and_each_gets_its_own_features(batch: int, views: int, per_shard: int) -> None:
    engine, told = Batches(batch), list[int]()
    all_images, shards = images(17, views), list[Rows]()
    with Flow(engine, told.append) as flow:
        for place, image in enumerate(all_images):
            if place % per_shard == 0:
                shards.append(Rows(per_shard * views, DIM))
            flow.add(shards[-1], image)
        flow.finish()
    assert all(one.whole for one in shards)
    np.testing.assert_array_equal(
        np.concatenate([one.features for one in shards]), stub_features(np.concatenate(all_images))
    )
    assert all(size == batch for size in engine.sizes[:-1]), "only the last batch is not full"
    assert sum(told) == 17 * views


def test_a_shard_is_whole_long_before_the_last_is_begun() -> None:
    shards = []
    with Flow(stub(4), lambda _: None) as flow:
        for image in images(12, 2):
            shards.append(Rows(2, DIM))
            flow.add(shards[-1], image)
        assert shards[0].whole
        assert not shards[-1].whole
        flow.finish()
    assert shards[-1].whole


def test_an_engine_that_halves_its_batch_is_handed_smaller_ones() -> None:
    class Halving(Batches):
        def run(self, views: Views) -> Features:
            if len(views) > self.batch:  # cut before, and still of the old size: the stub counts it as one batch
                return stub_features(views)
            found = super().run(views)
            self.batch = 4
            return found

    engine, rows = Halving(16), Rows(200, DIM)
    all_images = images(100, 2)
    with Flow(engine, lambda _: None) as flow:
        for image in all_images:
            flow.add(rows, image)
        flow.finish()
    assert rows.whole
    np.testing.assert_array_equal(rows.features, stub_features(np.concatenate(all_images)))


def test_nothing_is_computed_of_nothing() -> None:
    rows = Rows(4, DIM)
    with Flow(stub(4), lambda _: None) as flow:
        flow.finish()
    assert rows.whole
    assert rows.features.shape == (0, DIM)


class Drawing(Handing):
    """A device that draws as the host does."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.kinds: list[str] = []

    def begin(self, views: Views | Sequence[Undrawn]) -> list[Features]:
        self.kinds.append("views" if isinstance(views, np.ndarray) else "tables")
        return super().begin(views if isinstance(views, np.ndarray) else np.concatenate([by_tables(v) for v in views]))


def test_tables_and_views_are_kept_apart_and_come_back_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Drawing] = []

    def handing(engine: Engine) -> Drawing:
        made.append(Drawing(engine))
        return made[-1]

    monkeypatch.setattr("cxrfeat.feature.flow.Handing", handing)
    spec, rng, rows = ViewSpec(size=32, count=4), np.random.default_rng(0), Rows(28, DIM)
    raw = [rng.integers(0, 256, (40, 50), dtype=np.uint8) for _ in range(7)]
    params = [draw_views(spec, f"{place:064d}") for place in range(7)]
    wanted = [drawn(spec, image, its) for image, its in zip(raw, params, strict=True)]
    with Flow(stub(6), lambda _: None) as flow:
        for place, (image, its) in enumerate(zip(raw, params, strict=True)):
            one = undrawn(spec, image, its)
            assert one is not None
            flow.add(rows, one if place % 3 else wanted[place])
        flow.finish()
    np.testing.assert_array_equal(rows.features, stub_features(np.concatenate(wanted)))
    assert made[0].kinds.count("views") == 2, "12 views, 6 at once"
    assert made[0].kinds.count("tables") == 3, "16 views"
