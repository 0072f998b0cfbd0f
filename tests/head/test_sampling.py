from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.head.sampling import epoch_rows

small = st.integers(1, 6)


@given(small, small, st.integers(0, 3), st.integers(0, 3))
def test_every_view_of_every_image_comes_once(images: int, views: int, seed: int, epoch: int) -> None:
    image, view = epoch_rows(images, views, None, seed, epoch)
    assert sorted(zip(image, view, strict=True)) == [(i, v) for i in range(images) for v in range(views)]


@given(small, small, small, st.integers(0, 3), st.integers(0, 3))
def test_each_image_comes_with_that_many_different_views(
    images: int, views: int, wanted: int, seed: int, epoch: int
) -> None:
    wanted = min(wanted, views)
    image, view = epoch_rows(images, views, wanted, seed, epoch)
    assert len(set(zip(image, view, strict=True))) == images * wanted
    assert (np.bincount(image, minlength=images) == wanted).all()
    assert view.max() < views


def test_seed_and_epoch_each_give_another_order() -> None:
    orders = {tuple(epoch_rows(20, 1, None, seed, epoch)[0]) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9  # seed + epoch would give 5


def test_views_are_drawn_anew_each_epoch_and_all_come_up() -> None:
    drawn = [epoch_rows(50, 4, 1, 0, epoch) for epoch in range(20)]
    per_image = np.array([view[np.argsort(image)] for image, view in drawn])
    assert {len(set(column)) for column in per_image.T} >= {4}
    assert np.bincount(per_image.ravel()).min() > 200
