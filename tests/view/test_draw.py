"""Drawing: keyed by what a view is, within its intervals, and stored exactly."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import SpecError
from cxrfeat.spec import ViewSpec
from cxrfeat.view.draw import PLAIN, ViewParams, draw_order, draw_views, to_array, view_rng

shas = st.binary(min_size=1, max_size=3).map(lambda content: hashlib.sha256(content).hexdigest())


@given(shas, st.integers(1, 9), st.integers(0, 5))
def test_view_zero_is_plain_and_the_others_lie_in_their_intervals(sha: str, count: int, seed: int) -> None:
    spec = ViewSpec(size=32, count=count, zoom=(1.0, 1.3), brightness=(0.5, 2.0), seed=seed)
    views = draw_views(spec, sha)
    assert len(views) == count
    assert views[0] == PLAIN
    for view in views[1:]:
        assert 1.0 <= view.zoom <= 1.3
        assert 0.5 <= view.gain <= 2.0


@given(shas, st.integers(1, 5), st.integers(2, 9))
def test_more_views_keep_the_earlier_ones(sha: str, few: int, many: int) -> None:
    long = draw_views(ViewSpec(size=32, count=few + many), sha)
    assert draw_views(ViewSpec(size=32, count=few), sha) == long[:few]


@given(shas, st.integers(2, 9))
def test_stored_parameters_draw_the_same_view_again(sha: str, count: int) -> None:
    views = draw_views(ViewSpec(size=32, count=count), sha)
    stored = [ViewParams(flip=bool(flip), zoom=zoom, gain=gain) for flip, zoom, gain in to_array(views).tolist()]
    assert tuple(stored) == views


def test_seed_image_and_view_each_change_the_draw() -> None:
    one, other = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
    spec = ViewSpec(size=32, count=3)
    drawn = [draw_views(spec, one), draw_views(spec, other), draw_views(ViewSpec(size=32, count=3, seed=1), one)]
    assert len({view for views in drawn for view in views[1:]}) == 6


def test_switching_the_flip_off_leaves_the_other_draws_alone() -> None:
    sha = hashlib.sha256(b"x").hexdigest()
    with_flip, without = (draw_views(ViewSpec(size=32, count=50, flip=flip), sha) for flip in (True, False))
    assert any(view.flip for view in with_flip)
    assert not any(view.flip for view in without)
    assert [(view.zoom, view.gain) for view in with_flip] == [(view.zoom, view.gain) for view in without]


@given(shas, st.integers(2, 32), st.integers(0, 3))
def test_an_order_has_each_block_once_and_belongs_to_the_image_and_the_seed(sha: str, blocks: int, seed: int) -> None:
    spec = ViewSpec(size=32, shuffle=blocks, seed=seed)
    order = draw_order(spec, sha)
    assert sorted(order.tolist()) == list(range(blocks**2))
    assert np.array_equal(draw_order(ViewSpec(size=64, count=1, shuffle=blocks, seed=seed), sha), order)
    if blocks > 3:  # of four blocks, one order in 24 is another's
        other = hashlib.sha256(bytes.fromhex(sha)).hexdigest()
        assert not np.array_equal(draw_order(spec, other), order)
        assert not np.array_equal(draw_order(ViewSpec(size=32, shuffle=blocks, seed=seed + 1), sha), order)


def test_shuffling_leaves_the_other_draws_alone() -> None:
    sha = hashlib.sha256(b"x").hexdigest()
    assert draw_views(ViewSpec(size=32, shuffle=4), sha) == draw_views(ViewSpec(size=32), sha)
    assert draw_order(ViewSpec(size=32), sha).tolist() == []


def test_every_order_of_four_blocks_is_drawn_about_as_often() -> None:
    spec = ViewSpec(size=32, shuffle=2)
    drawn = Counter(tuple(draw_order(spec, f"{number:064x}").tolist()) for number in range(2400))
    assert len(drawn) == 24
    assert min(drawn.values()) > 60
    assert max(drawn.values()) < 150


def test_draws_are_uniform_over_many_images() -> None:
    spec = ViewSpec(size=32, count=5)
    views = np.concatenate(
        [
            to_array(draw_views(spec, hashlib.sha256(bytes([i, j])).hexdigest()))[1:]
            for i in range(20)
            for j in range(20)
        ]
    )
    assert np.allclose(views.mean(axis=0), [0.5, 1.1, 1.025], atol=0.03)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zoom", (1.2, 1.0)),
        ("zoom", (0.5, 1.0)),
        ("brightness", (0.0, 1.0)),
        ("count", 0),
        ("size", 8),
        ("size", 224.0),
        ("border_crop", 0.5),
        ("border_darken", -0.1),
        ("brightness", (1.0, float("nan"))),
        ("seed", -1),
    ],
)
def test_an_impossible_view_spec_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"^`(ViewSpec\.)?{field}`"):
        ViewSpec(**{"size": 32, field: value})  # type: ignore[arg-type]  # a field by its name


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63 - 1])
def test_the_generator_of_a_view_is_keyed_by_a_list_of_numbers(seed: int) -> None:
    words = np.frombuffer(bytes.fromhex("ab12" * 16), dtype="<u4").tolist()
    expected = np.random.default_rng([seed, 3, *words])
    assert (view_rng(seed, "ab12" * 16, 3).random(5) == expected.random(5)).all()
