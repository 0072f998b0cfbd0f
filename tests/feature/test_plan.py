from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.feature.plan import SHARD_VIEWS, Settings, make_plan

CONTENTS = st.lists(st.text("0123", min_size=1, max_size=3))
BATCH = st.integers(1, 40)
VIEWS = st.integers(1, 40)


def settings(batch: int = 16) -> Settings:
    return Settings(engine="stub", batch=batch, threads=1)


@given(CONTENTS, VIEWS, BATCH)
def test_shards_tile_what_is_to_do(todo: list[str], views: int, batch: int) -> None:
    plan = make_plan(todo, views=views, settings=settings(batch))
    plan = replace(plan, shard_images=1 + plan.shard_images % 5)  # small, so that there are several
    tiled = [sha for index in range(plan.count) for sha in plan.shard(index)]
    assert tiled == sorted(set(todo))
    assert all(plan.shard(index) for index in range(plan.count)), "no shard is empty"
    assert plan.shard(plan.count) == ()


@given(VIEWS, BATCH)
def test_a_full_shard_is_whole_batches(views: int, batch: int) -> None:
    plan = make_plan([], views=views, settings=settings(batch))
    assert plan.count == 0
    assert plan.shard_images >= 1
    assert plan.shard_images * views % batch == 0
    smallest = batch // math.gcd(batch, views) * views  # views in the fewest images that fill batches
    assert abs(plan.shard_images * views - SHARD_VIEWS) <= max(smallest, SHARD_VIEWS / 2)


@given(CONTENTS, VIEWS, st.randoms(use_true_random=False))
def test_a_plan_depends_on_what_is_to_do_and_not_on_its_order(todo: list[str], views: int, random: object) -> None:
    shuffled = [*todo, *todo[:2]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands over a `Random`
    a, b = (make_plan(one, views=views, settings=settings()) for one in (todo, shuffled))
    assert a == b
    assert a.id == b.id


def test_plans_that_differ_have_other_ids() -> None:
    plain = make_plan(["a", "b"], views=8, settings=settings())
    others = [
        make_plan(["a"], views=8, settings=settings()),
        make_plan(["a", "c"], views=8, settings=settings()),
        make_plan(["a", "b"], views=4, settings=settings()),
        make_plan(["a", "b"], views=8, settings=settings(32)),
        make_plan(["a", "b"], views=8, settings=replace(settings(), threads=2)),
        make_plan(["a", "b"], views=8, settings=replace(settings(), engine="other")),
    ]
    assert len({plan.id for plan in [plain, *others]}) == 7
    assert len(plain.id) == 8
