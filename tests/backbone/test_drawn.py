from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.drawn import draw, random_identity
from cxrfeat.backbone.place import Place
from cxrfeat.backbone.quiet import import_keras

UNIFORM, NORMAL = "variance_scaling 1 fan_avg uniform", "variance_scaling 2 fan_out truncated_normal"


def place(start: str = UNIFORM, shape: tuple[int, ...] = (3, 3, 16, 64), name: str = "conv/kernel") -> Place:
    return Place(name, "layers/conv2d/vars/0", shape, start)


def digest(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:16]


def test_a_seed_gives_the_weights_that_it_gave_before() -> None:
    """What these say must not change: `REVISION` would have to be raised."""
    assert random_identity(3) == "random:seed=3,rev=1"
    assert draw(place(), 0).ravel()[:3].tolist() == [0.07005248963832855, -0.07194917649030685, 0.05139933526515961]
    assert digest(draw(place(), 0)) == "c31fe87d7f734fd0"
    assert draw(place(NORMAL), 0).ravel()[:3].tolist() == [
        0.03804360702633858,
        0.07427474111318588,
        -0.007694960571825504,
    ]
    assert digest(draw(place(NORMAL), 0)) == "752cb61c8c6b6cbd"


def test_weights_depend_on_seed_and_name_alone() -> None:
    first = draw(place(), 0)
    assert np.array_equal(draw(place(), 0), first)
    assert first.dtype == np.float32
    others = [draw(place(), 1), draw(place(name="conv/other"), 0), draw(place(), 2**32 - 1)]
    for other in others:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("shape", [(3, 3, 16, 64), (7, 7, 1, 96), (64, 256), (3, 3, 96, 1)])
@pytest.mark.parametrize(
    ("start", "initializer"),
    [
        (UNIFORM, lambda keras: keras.initializers.GlorotUniform(seed=0)),
        (NORMAL, lambda keras: keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal", seed=0)),
        ("variance_scaling 2 fan_in truncated_normal", lambda keras: keras.initializers.HeNormal(seed=0)),
    ],
)
def test_weights_are_spread_as_kerass_own(start: str, initializer: object, shape: tuple[int, ...]) -> None:
    keras = import_keras()
    theirs = np.asarray(initializer(keras)(shape))  # type: ignore[operator]  # mypy knows no parameters of functions
    ours = draw(place(start, shape), 0)
    assert ours.shape == theirs.shape
    assert abs(ours.mean()) < 4 * ours.std() / np.sqrt(ours.size)
    assert ours.std() == pytest.approx(theirs.std(), rel=6 / np.sqrt(ours.size))
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.1)
    some = np.linspace(0.02, 0.98, 25)
    spread = np.quantile(ours, some) - np.quantile(theirs, some)
    assert np.abs(spread).max() < 8 * ours.std() / np.sqrt(ours.size)


def test_what_is_not_drawn_is_as_keras_begins() -> None:
    assert np.array_equal(draw(place("zeros", (3,)), 0), np.zeros(3, np.float32))
    assert np.array_equal(draw(place("ones", (3,)), 0), np.ones(3, np.float32))
    assert np.array_equal(draw(place("constant 1e-06", (2,)), 0), np.full(2, 1e-6, np.float32))


def test_a_place_of_few_numbers_is_the_beginning_of_none_other() -> None:
    """Odd counts: bits are drawn eight bytes at a time."""
    for start in (UNIFORM, NORMAL):
        sizes = [draw(place(start, (count, 1)), 0).size for count in range(1, 9)]
        assert sizes == list(range(1, 9))
