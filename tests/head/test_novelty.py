from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.head.archive import write_arrays
from cxrfeat.head.novelty import Novelty

X = np.random.default_rng(0).normal(3, 2, (500, 8)).astype(np.float32)


def test_nearly_all_that_was_trained_on_is_known_and_what_lies_far_off_is_not() -> None:
    novelty = Novelty.fit(X)
    assert novelty.outside(X).sum() == 5  # 1 % of 500
    assert novelty.outside(X + 20).all()
    np.testing.assert_allclose(np.square(novelty.distance(X)).mean(), 1, rtol=1e-5)


def test_a_feature_that_never_varied_says_nothing() -> None:
    constant = X.copy()
    constant[:, 2] = 0.5
    novelty = Novelty.fit(constant)
    other = constant.copy()
    other[:, 2] = 1e6
    np.testing.assert_array_equal(novelty.distance(other), novelty.distance(constant))
    assert (Novelty.fit(np.ones((4, 2), np.float32)).distance(X[:, :2]) == 0).all()


def test_it_comes_back_from_a_file() -> None:
    novelty = Novelty.fit(np.hstack([X, np.ones((500, 1), np.float32)]))  # an infinite deviation too
    again = Novelty.from_npz(novelty.to_npz(), 9)
    assert again.to_npz() == novelty.to_npz()


GOOD = {"mean": np.zeros(3), "scale": np.ones(3), "threshold": np.array(1.5)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.zeros(4)),
        ("mean", np.full(3, np.nan)),
        ("scale", np.zeros(3)),
        ("scale", np.full(3, np.nan)),
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
