from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.head.network_head import first_weights
from cxrfeat.head.optimizer import BETAS, EPSILON, Adam, Matrices, Nesterov
from cxrfeat.spec import HeadSpec
from tests.head.blobs import one_by_one


@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 1.0])
def test_velocities_kept_divided_are_nesterovs_momentum(momentum: float, l2: float) -> None:
    """Step by step as Keras documents it, in float64, longer than the number they are divided by lasts."""
    rng = np.random.default_rng(0)
    kernel, bias = first_weights(HeadSpec(kind="softmax"), 6, 3)
    ours = Matrices([(6, 3), (1, 3)])
    for part, array in zip(ours.parts, (kernel, bias), strict=True):
        part[:] = array
    theirs, velocities = [part.astype(np.float64) for part in ours.parts], [np.zeros((6, 3)), np.zeros((1, 3))]
    move = Nesterov(HeadSpec(kind="softmax", momentum=momentum, l2=l2), ours, one_by_one)
    for step in range(1, 301):
        rate = 0.01 / step
        x, slope = (rng.normal(size=(4, width)).astype(np.float32) for width in (6, 3))
        move([x, np.ones((4, 1), np.float32)], [slope, slope], rate)
        gradients = [x.T.astype(np.float64) @ slope + 2 * l2 * theirs[0], slope.sum(0, dtype=np.float64)[None]]
        for place, gradient in enumerate(gradients):
            velocities[place] = momentum * velocities[place] - rate * gradient
            theirs[place] += momentum * velocities[place] - rate * gradient
    for part, other in zip(ours.parts, theirs, strict=True):
        np.testing.assert_allclose(part, other, atol=2e-5)


@pytest.mark.parametrize("l2", [0.0, 0.02])
def test_moments_in_pieces_are_adams(l2: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step as the paper writes it, in float64; the pieces end in the midst of a matrix."""
    monkeypatch.setattr("cxrfeat.head.optimizer._PIECE", 5)
    rng = np.random.default_rng(0)
    kernel, bias = first_weights(HeadSpec(kind="softmax"), 6, 3)
    ours = Matrices([(6, 3), (1, 3)])
    for part, array in zip(ours.parts, (kernel, bias), strict=True):
        part[:] = array
    theirs = [part.astype(np.float64) for part in ours.parts]
    first, second = ([np.zeros_like(part) for part in theirs] for _ in range(2))
    move = Adam(HeadSpec(kind="softmax", optimizer="adam", l2=l2), ours, one_by_one)
    for step in range(1, 51):
        x, slope = (rng.normal(size=(4, width)).astype(np.float32) for width in (6, 3))
        move([x, np.ones((4, 1), np.float32)], [slope, slope], 0.01)
        gradients = [x.T.astype(np.float64) @ slope + 2 * l2 * theirs[0], slope.sum(0, dtype=np.float64)[None]]
        for place, gradient in enumerate(gradients):
            first[place] += (1 - BETAS[0]) * (gradient - first[place])
            second[place] += (1 - BETAS[1]) * (gradient**2 - second[place])
            rate = 0.01 * np.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)
            theirs[place] -= rate * first[place] / (np.sqrt(second[place]) + EPSILON)
    for part, other in zip(ours.parts, theirs, strict=True):
        np.testing.assert_allclose(part, other, atol=1e-4)


def test_matrices_lie_in_one_array() -> None:
    """Of 1024 rows the first has 32 more, of zeros, so that its columns do not collide in a core's cache."""
    ours = Matrices([(1024, 5), (1, 5), (5, 2)])
    assert [part.shape for part in ours.parts] == [(1056, 5), (1, 5), (5, 2)]
    assert ours.parts[0].flags.f_contiguous
    for number, part in enumerate(ours.parts):
        part[:] = number + 1
    assert ours.whole.tolist() == [1.0] * 5280 + [2.0] * 5 + [3.0] * 10
    assert not ours.alike().whole.any()


@pytest.mark.parametrize(
    "shapes", [[(30, 500), (1, 500), (500, 3), (1, 3)], [(30, 7), (1, 7), (7, 3), (1, 3)], [(30, 90), (1, 90)]]
)
def test_halves_are_the_whole(shapes: list[tuple[int, int]]) -> None:
    """Of a wide hidden layer the first columns, and all others with what follows; else all is one."""
    ours = Matrices(shapes)
    for where, parts in ours.halves:
        ours.whole[where] += 1
        for place, columns in parts:
            ours.parts[place][:, columns] += 10
    assert set(ours.whole.tolist()) == {11.0}
    assert [where.stop for where, _ in ours.halves] == ([272 * 30, None] if shapes[0][1] == 500 else [None])
