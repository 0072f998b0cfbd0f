from __future__ import annotations

import functools
import io
import itertools
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.head.blobs import blobs, fitted


@functools.cache
def head_of(kind: HeadKind, classes: int = 3) -> FittedHead:
    return fitted(kind, blobs(classes, distance=0.8), epochs=1).head


def stored(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_stored_head_predicts_the_same_bits(kind: HeadKind, classes: int) -> None:
    head, X = head_of(kind, classes), blobs(classes)[2]
    meta = json.loads(json.dumps(head.meta()))
    again = FittedHead.from_npz(head.to_npz(), meta)
    np.testing.assert_array_equal(again.predict_proba(X), head.predict_proba(X))
    assert (again.kind, again.classes, again.dim, again.temperature) == (kind, head.classes, 16, head.temperature)
    assert again.to_npz() == head.to_npz()


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_blocks_do_not_change_decisions(kind: HeadKind, monkeypatch: pytest.MonkeyPatch) -> None:
    head, X = head_of(kind), blobs()[2]
    whole = head.decision(X)
    monkeypatch.setattr("cxrfeat.head.fitted._BLOCK", 700)
    np.testing.assert_allclose(head.decision(X), whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_no_rows_give_no_predictions(kind: HeadKind) -> None:
    assert head_of(kind).predict_proba(np.empty((0, 16), np.float32)).shape == (0, 3)


def test_features_of_another_width_are_stale() -> None:
    with pytest.raises(StaleFeaturesError, match=r"fitted on features of width 16; these have 20.*fit-head"):
        head_of("logreg").predict(np.zeros((2, 20), np.float32))
    with pytest.raises(StaleFeaturesError, match=r"shape \(16,\)"):
        head_of("logreg").predict(np.zeros(16, np.float32))


def test_features_that_are_not_numbers_are_counted() -> None:
    X = blobs()[2]
    X[3, 0] = X[5, 1] = np.nan
    with pytest.raises(InputError, match=r"2 of 30 rows of the features hold NaN or infinity \(the first is row 3\)"):
        head_of("svm-rbf").predict_proba(X)


def test_the_first_of_equal_classes_is_predicted() -> None:
    zeros = {"weights_0": np.zeros((4, 3), np.float32), "bias_0": np.zeros(3, np.float32)}
    head = FittedHead(kind="softmax", classes=("a", "b", "c"), arrays=zeros)
    assert head.predict(np.ones((2, 4))).tolist() == [0, 0]


def test_temperature_changes_probabilities_but_no_class() -> None:
    head, X = head_of("dense"), blobs()[2]
    hot = FittedHead(kind="dense", classes=head.classes, arrays=head.arrays, temperature=5.0)
    assert (hot.predict(X) == head.predict(X)).all()
    assert hot.predict_proba(X).max() < head.predict_proba(X).max()


def test_among_rows_equally_far_the_first_vote() -> None:
    rows = np.array([[2.0], [0.0], [2.0], [0.0], [9.0]], np.float32)  # 0 to 3 are equally far from 1
    arrays: dict[str, Any] = {
        "mean": np.zeros(1),
        "scale": np.ones(1),
        "rows": rows,
        "labels": np.array([2, 0, 0, 1, 1]),
    }
    shares = {1: [1, 1, 2], 2: [2, 1, 2], 3: [3, 1, 2], 5: [3, 3, 2]}
    for neighbours, votes in shares.items():
        kept = {**arrays, "neighbours": np.array(neighbours)}
        head = FittedHead(kind="knn", classes=("a", "b", "c"), arrays=kept)
        expected = np.array(votes) / (neighbours + 3)
        np.testing.assert_allclose(head.predict_proba(np.array([[1.0]]))[0], expected, rtol=1e-14)
        assert head.predict(np.array([[1.0]])) == np.argmax(votes)  # the first of equal classes


@pytest.mark.parametrize("block", [200, 3000, 2**22])
def test_ties_between_neighbours_are_the_same_in_every_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row four times with four labels, far from zero: the matrix product alone would break the ties by chance."""
    rng = np.random.default_rng(0)
    rows = np.tile(rng.normal(1000, 1, (20, 33)).astype(np.float32), (4, 1))
    arrays = {
        "mean": np.zeros(33), "scale": np.full(33, 0.3), "rows": rows, "labels": np.repeat(np.arange(4), 20),
        "neighbours": np.array(1),
    }  # fmt: skip
    monkeypatch.setattr("cxrfeat.head.fitted._BLOCK", block)
    head = FittedHead(kind="knn", classes=tuple("abcd"), arrays=arrays)
    assert head.predict(rows[rng.permutation(80)]).tolist() == [0] * 80


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
    again = FittedHead.from_npz(head.to_npz(), json.loads(json.dumps(head.meta())))
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
    meta = {**head_of("svm-rbf").meta(), "arrays": sorted(arrays)}
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
        FittedHead.from_npz(stored(arrays), {**head_of(kind).meta(), "arrays": sorted(arrays)})


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_missing_array_is_refused(kind: HeadKind) -> None:
    head = head_of(kind)
    for gone in head.arrays:
        arrays = {name: array for name, array in head.arrays.items() if name != gone}
        with pytest.raises(IntegrityError, match="damaged"):
            FittedHead.from_npz(stored(arrays), head.meta())
        with pytest.raises(IntegrityError, match="damaged"):
            FittedHead.from_npz(stored(arrays), {**head.meta(), "arrays": sorted(arrays)})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "oracle", "its kind is 'oracle'"),
        ("kind", ["logreg"], "its kind is"),
        ("kind", "softmax", "missing"),
        ("classes", ["a", "a", "b"], "two or more different names"),
        ("classes", ["a"], "two or more different names"),
        ("classes", "abc", "not a list of names"),
        ("classes", ["a", "b"], "coef is float64"),
        ("dim", 17, "its description says 17"),
        ("temperature", 0.0, "not a positive number"),
        ("temperature", float("nan"), "not a positive number"),
        ("temperature", "1", "not a number"),
        ("arrays", [], "its description says"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(field: str, value: Any, message: str) -> None:
    head = head_of("logreg")
    with pytest.raises(IntegrityError, match=message):
        FittedHead.from_npz(head.to_npz(), {**head.meta(), field: value})


def test_a_description_that_lacks_something_is_refused() -> None:
    head = head_of("logreg")
    for gone in head.meta():
        meta = {name: value for name, value in head.meta().items() if name != gone}
        with pytest.raises(IntegrityError, match=f"its description lacks '{gone}'"):
            FittedHead.from_npz(head.to_npz(), meta)


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return buffer.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no readable .npz"),
        (b"\x80\x04]q\x00.", "no readable .npz"),  # a pickle
        (npy(np.zeros(3)), "no readable .npz"),  # a lone array
        (archive({"coef.npy": b""}), "coef.npy is not a plain array"),
        (archive({"coef.npy": npy(np.zeros(9))}, zipfile.ZIP_DEFLATED), "compressed"),  # a bomb is compressed
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"(9,)", b"(8,)")}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9))[:-1]}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"(9,), }   ", b"(9999,), }")}), "not as long as its data"),
        (archive({"coef.npy": npy(np.zeros(9)).replace(b"False", b"True ")}), "not a plain array"),
        (archive({"coef.npy": npy(np.zeros((0, 9))).replace(b"0, 9", b"0,-9")}), "not a plain array"),
    ],
)
def test_files_that_are_no_head_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        FittedHead.from_npz(content, head_of("logreg").meta())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_flipped_bit_or_a_cut_never_escapes(data: st.DataObject) -> None:
    head = head_of(data.draw(st.sampled_from(["logreg", "knn"])))
    content = bytearray(head.to_npz())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        again = FittedHead.from_npz(bytes(content), head.meta())
    except IntegrityError:
        return
    # A few bytes of a zip mean nothing to us (dates, attributes): what is not refused is the same head.
    assert again.to_npz() == head.to_npz()


def test_refused_heads_say_what_to_do() -> None:
    with pytest.raises(IntegrityError, match=r"not written by cxrfeat: .*\. Fit it again\.$"):
        FittedHead(kind="softmax", classes=("a", "b"), arrays={})
