from __future__ import annotations

import functools
import io
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


def damage(name: str, value: Any) -> dict[str, Any]:
    return {**head_of("svm-rbf").arrays, name: value}


RBF_SUPPORT = "support_vectors"


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
    head = head_of("logreg")
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
