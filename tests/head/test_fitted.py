from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.run.document import HeadRecord
from cxrfeat.run.record import from_json, to_json
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.effort import expensive
from tests.head.blobs import blobs, head_of


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_stored_head_predicts_the_same_bits(kind: HeadKind, classes: int) -> None:
    head, X = head_of(kind, classes), blobs(classes)[2]
    meta = from_json(HeadRecord, json.loads(json.dumps(to_json(head.record()))))
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


def test_temperature_changes_probabilities_but_no_class() -> None:
    head, X = head_of("dense"), blobs()[2]
    hot = FittedHead(kind="dense", classes=head.classes, arrays=head.arrays, temperature=5.0)
    assert (hot.predict(X) == head.predict(X)).all()
    assert hot.predict_proba(X).max() < head.predict_proba(X).max()


@pytest.mark.parametrize("content", [b"", b"\x80\x04]q\x00."])  # nothing, and a pickle
def test_what_is_no_archive_is_a_damaged_head(content: bytes) -> None:
    with pytest.raises(IntegrityError, match=r"damaged .* not a readable .npz"):
        FittedHead.from_npz(content, head_of("logreg").record())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "oracle", "its kind is 'oracle'"),
        ("kind", ["logreg"], "its kind is"),
        ("kind", "softmax", "missing"),
        ("classes", ("a", "a", "b"), "two or more different names"),
        ("classes", ("a",), "two or more different names"),
        ("classes", ("a", "b"), "coef is float64"),
        ("dim", 17, "its description says 17"),
        ("temperature", 0.0, "not a positive number"),
        ("temperature", float("nan"), "not a positive number"),
        ("arrays", (), "its description says"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(field: str, value: Any, message: str) -> None:
    head = head_of("logreg")
    with pytest.raises(IntegrityError, match=message):
        FittedHead.from_npz(head.to_npz(), replace(head.record(), **{field: value}))


@expensive(20, 200)
@given(st.data())
def test_a_flipped_bit_or_a_cut_never_escapes(data: st.DataObject) -> None:
    head = head_of(data.draw(st.sampled_from(["logreg", "knn"])))
    content = bytearray(head.to_npz())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        again = FittedHead.from_npz(bytes(content), head.record())
    except IntegrityError:
        return
    # A few bytes of a zip mean nothing to us (dates, attributes): what is not refused is the same head.
    assert again.to_npz() == head.to_npz()
