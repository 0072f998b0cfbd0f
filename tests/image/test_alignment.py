from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.image.alignment import SYMMETRIES, sampling, similarities, turn


def soft(seed: int) -> NDArray[np.uint8]:
    """A portrait of soft blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12))
    fine = np.kron(coarse, np.ones((4, 4)))[:42, :42]
    smooth = sum(fine[a : a + 40, b : b + 40] for a in range(3) for b in range(3)) / 9
    return np.asarray(smooth, np.uint8)


@pytest.mark.parametrize("symmetry", range(len(SYMMETRIES)))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_turned_portrait_is_alike_under_its_symmetry_and_no_other(symmetry: int, sign: int) -> None:
    one = soft(0)
    other = turn(one[np.newaxis], symmetry)[0]
    portraits = np.stack([one, other if sign > 0 else 255 - other])
    proposals = np.array([(0, 1, each, sign) for each in range(8)])
    similar = similarities(portraits, proposals)
    assert similar[symmetry] > 0.99
    assert np.delete(similar, symmetry).max() < 0.7


def test_different_portraits_are_not_alike_and_a_shifted_one_is() -> None:
    portraits = np.stack([soft(0), soft(1), np.roll(soft(0), (1, -1), (0, 1))])
    similar = similarities(portraits, np.array([(0, 1, 0, 1), (0, 2, 0, 1)]))
    assert similar[0] < 0.7
    assert similar[1] > 0.95


def test_a_sampling_matrix_reads_by_cubic_convolution_with_the_edges_repeated() -> None:
    zoom, shift = (np.array(each, np.float32) for each in ([0, 0.1, -0.12], [0, 2.6, -3]))
    cells = np.arange(40, dtype=np.float32)
    place = np.clip(19.5 + (cells - 19.5) * (1 + zoom[:, None]) + shift[:, None], 0, 39)
    far = np.abs(place[:, :, None] - cells)
    near, outer = (1.5 * far - 2.5) * far * far + 1, ((-0.5 * far + 2.5) * far - 4) * far + 2
    weights = np.where(far < 1, near, np.where(far < 2, outer, 0))
    expected = weights / weights.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(sampling(zoom, shift), expected, atol=1e-6)
    np.testing.assert_array_equal(sampling(zoom[:1], shift[:1])[0], np.eye(40))
