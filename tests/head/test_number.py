from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError
from cxrfeat.head.number import FittedNumber
from cxrfeat.spec import HeadKind

LINE = {"mean": np.zeros(2), "scale": np.ones(2), "coef": np.array([[1.0, 2.0]]), "intercept": np.ones(1)}
LAYERS = {
    "weights_0": np.eye(2, dtype=np.float32), "bias_0": np.zeros(2, np.float32),
    "weights_1": np.ones((2, 1), np.float32), "bias_1": np.zeros(1, np.float32),
}  # fmt: skip
CASES: list[tuple[HeadKind, dict[str, Any], list[float]]] = [("ridge", LINE, [7.0, 4.0]), ("dense", LAYERS, [3.0, 2.0])]


@pytest.mark.parametrize(("kind", "arrays", "said"), CASES)
def test_a_number_is_what_the_arrays_say_and_comes_back_as_it_was_stored(
    kind: HeadKind, arrays: dict[str, Any], said: list[float]
) -> None:
    X = np.array([[0.0, 3.0], [1.0, 1.0]])
    head = FittedNumber(kind=kind, arrays=arrays, level=10.0, spread=2.0)
    expected = [2 * one + 10 for one in said]
    assert head.predict(X).tolist() == expected
    again = FittedNumber.from_npz(head.to_npz(), head.record())
    assert again.predict(X).tolist() == expected
    with pytest.raises(StaleFeaturesError, match="fitted on features of width 2; these have 3"):
        head.predict(np.zeros((1, 3)))
    with pytest.raises(InputError, match="NaN"):
        head.predict(np.full((1, 2), np.nan))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kind": "knn"}, "its kind is 'knn', not one of ridge, dense, dropout"),
        ({"spread": 0.0}, "its spread 0.0"),
        ({"level": float("inf")}, "its level is inf"),
        ({"arrays": LINE | {"coef": np.ones((2, 2))}}, r"coef is float64 \(2, 2\), not float64 \(1, 2\)"),
    ],
)
def test_what_is_no_head_of_a_number_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        dataclasses.replace(FittedNumber(kind="ridge", arrays=LINE), **change)


def test_a_record_of_another_head_is_refused() -> None:
    head = FittedNumber(kind="ridge", arrays=LINE)
    with pytest.raises(IntegrityError, match="take features of width 2, and its description says 3"):
        FittedNumber.from_npz(head.to_npz(), dataclasses.replace(head.record(), dim=3))
    with pytest.raises(IntegrityError, match="its description says"):
        FittedNumber.from_npz(head.to_npz(), dataclasses.replace(head.record(), arrays=("coef",)))
