"""The weighted frequencies of portraits: under all symmetries, and as zoom and shift change them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.image import frequency
from cxrfeat.image.alignment import sampling, turn
from cxrfeat.image.frequency import (
    agreement,
    cosines,
    quarters,
    tangents,
    together,
    turn_cosines,
    weights_of,
    whitened,
)


@pytest.fixture(scope="module")
def portraits() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(2).integers(0, 256, (60, 14, 14))
    fine = np.kron(coarse, np.ones((1, 3, 3)))
    soft: NDArray[np.uint8] = np.mean([fine[:, a : a + 40, b : b + 40] for a in range(3) for b in range(3)], axis=0)
    return soft.astype(np.uint8)


def test_the_scatter_is_that_of_the_images_in_all_their_symmetries() -> None:
    planes = np.random.default_rng(0).normal(size=(7, 10, 10)).astype(np.float32)
    total = np.zeros((100, 100))
    for symmetry in range(8):
        flat = turn_cosines(planes, symmetry).reshape(7, -1).astype(np.float64)
        total += flat.T @ flat
    np.testing.assert_allclose(frequency._scatter(planes), total / 56, atol=1e-12)


@pytest.mark.parametrize("symmetry", range(8))
def test_turning_commutes_with_the_weighting(portraits: NDArray[np.uint8], symmetry: int) -> None:
    weights = weights_of(portraits, cosines(portraits))
    turned = whitened(cosines(turn(portraits, symmetry)), weights)
    np.testing.assert_allclose(turned, turn_cosines(whitened(cosines(portraits), weights), symmetry), atol=2e-4)


def test_quarters_are_even_and_odd_frequencies_apart() -> None:
    planes = np.arange(300, dtype=np.float32).reshape(3, 10, 10)
    apart = quarters(planes)
    np.testing.assert_array_equal(apart[1, 2].reshape(5, 5), planes[2, ::2, 1::2])
    np.testing.assert_array_equal(together(apart), planes)


def test_a_picture_that_was_moved_agrees_much_more_than_its_frequencies(portraits: NDArray[np.uint8]) -> None:
    """Zoomed by 5 % and shifted by half a cell, and inverted too; of other pictures they agree a little more."""
    weights = weights_of(portraits, cosines(portraits))
    rows = sampling(np.array([0.05], np.float32), np.array([0.5], np.float32))[0]
    moved = np.rint(rows @ portraits.astype(np.float32) @ rows.T).clip(0, 255).astype(np.uint8)
    told = tangents(portraits, weights)
    own = whitened(cosines(moved), weights).reshape(60, 100)
    plain = (told[:, 0] * own).sum(axis=1)
    assert (agreement(told, own) > np.maximum(plain, 0.85)).all()
    assert np.median(agreement(told, own) - plain) > 0.05
    np.testing.assert_allclose(agreement(told, -own), agreement(told, own), atol=1e-5)
    assert agreement(told, np.roll(own, 1, axis=0)).max() < 0.6
