from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.head.archive import write_arrays
from cxrfeat.head.novelty import AXES, Novelty

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(3, 2, (500, 12)) @ RNG.normal(size=(12, 12))).astype(np.float32)
OTHER = np.abs(RNG.normal(3, 2, (100, 12)) * [9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0]).astype(np.float32)


def test_nearly_all_that_is_like_the_training_images_is_known_and_what_is_unlike_them_is_not() -> None:
    novelty = Novelty.fit(X[:400])
    assert novelty.outside(X[400:]).mean() <= 0.04
    assert novelty.outside(OTHER).all()
    np.testing.assert_allclose(np.square(novelty.distance(X[:400])).mean(), 1, rtol=1e-3)


def test_what_is_too_far_is_found_by_images_of_other_groups() -> None:
    """Of 200 patients with 5 nearly equal images each, new ones are flagged as often as is said; not so by images."""
    rng = np.random.default_rng(1)
    patients = np.abs(rng.normal(1, 0.3, (400, 40)))
    images = (np.repeat(patients, 5, axis=0) + rng.normal(0, 0.001, (2000, 40))).astype(np.float32)
    groups = np.repeat(np.arange(400), 5)
    ours = groups < 200
    by_group, by_image = (Novelty.fit(images[ours], one) for one in (groups[ours], None))
    assert by_group.outside(images[~ours]).mean() <= 0.02
    assert by_group.threshold > by_image.threshold


def test_the_rate_of_false_alarms_is_the_one_that_is_said() -> None:
    rates = []
    for seed in range(20):
        made = np.abs(np.random.default_rng(seed).normal(1, 0.4, (600, 30))).astype(np.float32)
        rates.append(Novelty.fit(made[:300]).outside(made[300:]).mean())
    assert np.mean(rates) == pytest.approx(0.01, abs=0.005)


def test_the_length_of_features_says_nothing() -> None:
    novelty = Novelty.fit(X)
    np.testing.assert_allclose(novelty.distance(X * 7), novelty.distance(X), rtol=1e-5)


def test_no_array_is_of_one_image() -> None:
    for images in (4, 5, 12, 40, 500):
        novelty = Novelty.fit(X[:images])
        assert len(novelty.axes) == min(AXES, images // 5)
        gram = novelty.axes @ novelty.axes.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    wide = np.abs(RNG.normal(size=(60, 200))).astype(np.float32)  # found by other arithmetic
    assert len(Novelty.fit(wide).axes) == AXES
    assert Novelty.fit(wide).to_npz() == Novelty.fit(wide).to_npz()


def test_features_that_never_varied_say_nothing() -> None:
    nothing = Novelty.fit(np.ones((4, 2), np.float32))
    assert not nothing.outside(X[:, :2]).any()
    assert not Novelty.fit(np.zeros((4, 2), np.float32)).outside(X[:, :2]).any()
    assert not Novelty.fit(X[:1]).outside(X).any(), "one image tells of no other"
    assert Novelty.fit(X).outside(np.zeros((1, 12), np.float32)).all(), "no feature at all is unlike all"


def test_it_comes_back_from_a_file() -> None:
    wide = np.abs(RNG.normal(size=(60, 200))).astype(np.float32)
    for images in (X, np.ones((4, 12), np.float32), wide):  # an infinite deviation too, and axes found otherwise
        novelty = Novelty.fit(images)
        again = Novelty.from_npz(novelty.to_npz(), images.shape[1])
        assert again.to_npz() == novelty.to_npz()
        np.testing.assert_array_equal(again.distance(images), novelty.distance(images))


GOOD: dict[str, np.ndarray] = {
    "mean": np.zeros(3),
    "centre": np.zeros(3),
    "axes": np.eye(3, dtype=np.float32)[:2],
    "spread": np.ones(2),
    "rest": np.array(0.5),
    "threshold": np.array(1.5),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.zeros(4)),
        ("mean", np.full(3, np.nan)),
        ("centre", np.zeros((1, 3))),
        ("axes", np.zeros((2, 4), np.float32)),
        ("axes", np.zeros(3, np.float32)),
        ("axes", np.full((2, 3), np.inf, np.float32)),
        ("spread", np.ones(3)),
        ("spread", np.zeros(2)),
        ("spread", np.full(2, np.nan)),
        ("rest", np.array(0.0)),
        ("rest", np.ones(1)),
        ("threshold", np.ones(1)),
        ("threshold", np.array(np.nan)),
        ("threshold", np.array(-1.0)),
    ],
)
def test_other_numbers_are_damage(name: str, value: np.ndarray) -> None:
    assert Novelty.from_npz(write_arrays(GOOD), 3).threshold == 1.5
    with pytest.raises(IntegrityError, match=r"novelty\.npz is damaged .* Fit the head again"):
        Novelty.from_npz(write_arrays({**GOOD, name: value}), 3)


def test_other_files_are_damage() -> None:
    for content in (b"", b"\x80\x04]q\x00.", write_arrays({"mean": np.zeros(3)})):
        with pytest.raises(IntegrityError, match=r"novelty\.npz is damaged"):
            Novelty.from_npz(content, 3)
