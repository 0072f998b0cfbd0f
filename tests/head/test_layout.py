from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.run.document import HeadRecord
from cxrfeat.run.record import from_json, to_json
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.head.blobs import head_of


def stored(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def network(sizes: list[int]) -> dict[str, Any]:
    return {
        name: np.full(shape, 0.1, np.float32)
        for index, (wide, narrow) in enumerate(itertools.pairwise(sizes))
        for name, shape in ((f"weights_{index}", (wide, narrow)), (f"bias_{index}", (narrow,)))
    }


@pytest.mark.parametrize("kind", ["dense", "dropout"])
@pytest.mark.parametrize("hidden", [[5], [5, 4, 3], [2] * 8])
def test_networks_have_one_to_eight_hidden_layers(kind: HeadKind, hidden: list[int]) -> None:
    head = FittedHead(kind=kind, classes=("a", "b"), arrays=network([4, *hidden, 2]))
    X = np.ones((3, 4))
    again = FittedHead.from_npz(head.to_npz(), from_json(HeadRecord, json.loads(json.dumps(to_json(head.record())))))
    np.testing.assert_array_equal(again.decision(X), head.decision(X))
    assert again.dim == 4


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [
        ("softmax", [4, 3, 2], "it has 2 layers, and a softmax head has 1 to 1"),
        ("dense", [4, 2], "it has 1 layers, and a dense head has 2 to 9"),
        ("dropout", [4, *[2] * 9, 2], "it has 10 layers, and a dropout head has 2 to 9"),
        ("dense", [4, 3, 3], r"weights_1 is float32 \(3, 3\), not float32 \(3, 2\)"),
    ],
)
def test_other_networks_are_refused(kind: HeadKind, sizes: list[int], message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        FittedHead(kind=kind, classes=("a", "b"), arrays=network(sizes))


def test_layers_that_do_not_follow_are_refused() -> None:
    arrays = network([4, 3, 2])
    with pytest.raises(IntegrityError, match="it holds the arrays"):
        FittedHead(kind="dense", classes=("a", "b"), arrays={**arrays, "weights_x": arrays["weights_1"]})
    with pytest.raises(IntegrityError, match=r"weights_1 is float32 \(5, 2\), not float32 \(3, 2\)"):
        FittedHead(kind="dense", classes=("a", "b"), arrays={**arrays, "weights_1": np.ones((5, 2), np.float32)})


def damage(name: str, value: Any, kind: HeadKind = "svm-rbf") -> dict[str, Any]:
    return {**head_of(kind).arrays, name: value}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gamma", np.array({}, dtype=object), "gamma.npy is not a plain array"),  # pickle
        ("gamma", np.array([("x", 1)], dtype="U1,i4"), "gamma.npy is not a plain array"),
        ("gamma", np.float32(1), r"gamma is float32 \(\), not float64"),
        ("gamma", np.float64(-1), "gamma holds values that are not above 0"),
        ("gamma", np.float64(np.nan), "gamma holds NaN or infinity"),
        ("gamma", np.ones(3), r"gamma is float64 \(3,\)"),
        ("mean", np.zeros(15), r"scale is float64 \(16,\), not float64 \(15,\)"),
        ("mean", np.float64(0), "a single number where a matrix belongs"),
        ("scale", np.zeros(16), "scale holds values that are not above 0"),
        ("n_support", np.array([1, 1, 1]), "n_support does not count"),
        ("n_support", np.array([-1, 1, 1]), "n_support does not count"),
        ("intercept", np.zeros(4), r"intercept is float64 \(4,\), not float64 \(3,\)"),
        ("extra", np.zeros(2), "it holds"),
    ],
)
def test_tampered_arrays_are_refused(name: str, value: Any, message: str) -> None:
    arrays = damage(name, value)
    meta = replace(head_of("svm-rbf").record(), arrays=tuple(sorted(arrays)))
    with pytest.raises(IntegrityError, match=message):
        FittedHead.from_npz(stored(arrays), meta)


LABELS = np.arange(120) % 3


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        ("knn", "rows", np.zeros((120, 16)), r"rows is float64 \(120, 16\), not float32"),
        ("knn", "rows", np.zeros((120, 15), np.float32), r"not float32 \(120, 16\)"),
        ("knn", "rows", np.full((120, 16), np.nan, np.float32), "rows holds NaN"),
        ("knn", "rows", np.float32(0), "a single number where a matrix belongs"),
        ("knn", "rows", np.zeros((0, 16), np.float32), r"labels is int64 \(120,\), not int64 \(0,\)"),
        ("knn", "labels", LABELS[1:], r"labels is int64 \(119,\)"),
        ("knn", "labels", LABELS * 1.0, "labels is float64"),
        ("knn", "labels", LABELS - 1, "labels does not hold the indices of 3 classes"),
        ("knn", "labels", LABELS + 2**40, "labels does not hold the indices of 3 classes"),
        ("knn", "labels", LABELS % 2, "labels does not hold the indices of 3 classes"),
        ("knn", "neighbours", np.array(0), "0 neighbours of 120 rows"),
        ("knn", "neighbours", np.array(-(2**62)), "neighbours of 120 rows"),
        ("knn", "neighbours", np.array(121), "121 neighbours of 120 rows"),
        ("knn", "neighbours", np.array([5]), r"neighbours is int64 \(1,\)"),
        ("knn", "neighbours", np.array(5.0), "neighbours is float64"),
        ("knn", "scale", np.zeros(16), "scale holds values that are not above 0"),
        ("ridge", "coef", np.zeros((1, 16)), r"coef is float64 \(1, 16\), not float64 \(3, 16\)"),
        ("ridge", "coef", np.full((3, 16), np.inf), "coef holds NaN or infinity"),
        ("ridge", "intercept", np.zeros((3, 1)), r"intercept is float64 \(3, 1\)"),
        ("ridge", "gamma", np.float64(1), "it holds the arrays"),
    ],
)
def test_tampered_controls_are_refused(kind: HeadKind, name: str, value: Any, message: str) -> None:
    arrays = damage(name, value, kind)
    with pytest.raises(IntegrityError, match=message):
        FittedHead.from_npz(stored(arrays), replace(head_of(kind).record(), arrays=tuple(sorted(arrays))))


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_missing_array_is_refused(kind: HeadKind) -> None:
    head = head_of(kind)
    for gone in head.arrays:
        arrays = {name: array for name, array in head.arrays.items() if name != gone}
        with pytest.raises(IntegrityError, match="damaged"):
            FittedHead.from_npz(stored(arrays), head.record())
        with pytest.raises(IntegrityError, match="damaged"):
            FittedHead.from_npz(stored(arrays), replace(head.record(), arrays=tuple(sorted(arrays))))


def test_refused_heads_say_what_to_do() -> None:
    with pytest.raises(IntegrityError, match=r"not written by cxrfeat: .*\. Fit it again\.$"):
        FittedHead(kind="softmax", classes=("a", "b"), arrays={})
