from __future__ import annotations

import logging
import sys
import types
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.svm
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrfeat.head import sklearn_head
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import TEMPERATURES, fit_temperature
from cxrfeat.spec import HeadKind, HeadSpec
from tests.head.blobs import NAMES, Blobs, blobs, fitted


def oracle(model: Any, data: Blobs) -> Any:
    """A scikit-learn pipeline fitted on all views of the training images."""
    X, y = data[0], data[1]
    rows = X.reshape(-1, X.shape[-1]).astype(np.float64)
    return make_pipeline(StandardScaler(), model).fit(rows, np.repeat(y, X.shape[1]))


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_numpy_predicts_what_the_logistic_regression_predicts(classes: int) -> None:
    data = blobs(classes, distance=0.8)
    found = fitted("logreg", data)
    expected = oracle(LogisticRegression(C=0.1, tol=1e-9, max_iter=5000), data)
    X = data[2].astype(np.float64)
    np.testing.assert_allclose(found.head.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(found.head.predict(X), expected.predict(X))
    assert (found.history.epochs, found.notes) == ((), [])


@pytest.mark.parametrize("engine", ["sklearn.svm", "sklearnex.svm"])
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize(("kind", "strength"), [("svm-linear", 0.01), ("svm-rbf", 1.0)])
def test_numpy_decides_what_the_svm_decides(
    kind: HeadKind, strength: float, classes: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    SVC = pytest.importorskip(engine, reason=f"{engine} is not installed").SVC
    monkeypatch.setattr(sklearn_head, "_svc", lambda: SVC)
    data = blobs(classes, distance=0.8, images=120)
    head = fitted(kind, data).head
    expected = oracle(SVC(C=strength, kernel=kind[4:]), data)
    X = np.concatenate([data[2], data[0][:, 0]]).astype(np.float64)
    decision = expected.decision_function(X)
    if classes == 2:
        decision = np.stack([-decision, decision], axis=1)
    np.testing.assert_allclose(head.decision(X), decision, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(head.predict(X), decision.argmax(1))
    if classes == 2:
        np.testing.assert_array_equal(head.predict(X), expected.predict(X))


@pytest.mark.parametrize("kind", ["svm-linear", "svm-rbf"])
def test_the_predicted_class_is_scikit_learns_with_ties_broken(kind: str) -> None:
    data = blobs(4, distance=0.5, images=120)
    strength = {"svm-linear": 0.01, "svm-rbf": 1.0}[kind]
    breaking = oracle(sklearn.svm.SVC(C=strength, kernel=kind[4:], break_ties=True), data)
    head = fitted("svm-linear" if kind == "svm-linear" else "svm-rbf", data).head
    X = data[0].reshape(-1, 16).astype(np.float64)
    assert (head.predict(X) == breaking.predict(X)).mean() > 0.99  # the two engines stop at slightly other solutions


def test_both_svm_engines_find_the_same_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearnex", reason="the extra fast is not installed")
    data = blobs(3, distance=0.8, images=120)
    fast = fitted("svm-rbf", data).head
    monkeypatch.setattr(sklearn_head, "_svc", lambda: sklearn.svm.SVC)
    plain = fitted("svm-rbf", data).head
    np.testing.assert_allclose(fast.decision(data[2]), plain.decision(data[2]), atol=2e-3)


def test_svm_probabilities_are_the_softmax_over_a_fitted_temperature() -> None:
    data = blobs(3, distance=0.8)
    head = fitted("svm-rbf", data).head
    decision = head.decision(data[2])
    assert TEMPERATURES[0] < head.temperature < TEMPERATURES[1]
    assert head.temperature == fit_temperature(decision, data[3])
    np.testing.assert_allclose(head.predict_proba(data[2]), scipy.special.softmax(decision / head.temperature, axis=1))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("neighbours", [1, 4, 15, 120])
def test_numpy_predicts_what_the_neighbours_predict(classes: int, neighbours: int) -> None:
    data = blobs(classes, distance=0.5)
    head = fitted("knn", data, neighbours=neighbours).head
    expected = oracle(KNeighborsClassifier(neighbours), data)
    X = np.concatenate([data[2], data[2] * 0.5 + 0.1]).astype(np.float64)
    np.testing.assert_array_equal(head.predict(X), expected.predict(X))
    votes = expected.predict_proba(X) * neighbours
    np.testing.assert_allclose(head.predict_proba(X), (votes + 1) / (neighbours + classes), rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("strength", [1e-4, 1e-2, 1.0])
def test_numpy_predicts_what_the_ridge_predicts(classes: int, strength: float) -> None:
    data = blobs(classes, distance=0.8)
    head = fitted("ridge", data, strength=strength).head
    expected = oracle(RidgeClassifier(alpha=1 / strength), data)
    X = data[2].astype(np.float64)
    decision = expected.decision_function(X)
    if classes == 2:
        decision = np.stack([-decision, decision], axis=1)
    np.testing.assert_allclose(head.decision(X), decision, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(head.predict(X), expected.predict(X))


def uneven() -> Blobs:
    X, y, X_val, y_val = blobs(3, distance=0.5, images=90)
    keep = (y == 0) | (np.arange(90) % 4 == 0)
    return X[keep], y[keep], X_val, y_val


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("logreg", LogisticRegression(C=0.1, class_weight="balanced", tol=1e-9, max_iter=5000)),
        ("svm-linear", sklearn.svm.SVC(C=0.01, kernel="linear", class_weight="balanced")),
        ("svm-rbf", sklearn.svm.SVC(C=1.0, class_weight="balanced")),
        ("ridge", RidgeClassifier(alpha=1000, class_weight="balanced")),
    ],
)
def test_balanced_class_weights_are_scikit_learns(kind: HeadKind, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_head, "_svc", lambda: sklearn.svm.SVC)
    data = uneven()
    head = fitted(kind, data, class_weights="balanced").head
    X = data[2].astype(np.float64)
    np.testing.assert_allclose(head.decision(X), oracle(model, data).decision_function(X), rtol=1e-6, atol=1e-6)
    plain = fitted(kind, data).head
    assert (head.predict(X) == 0).sum() < (plain.predict(X) == 0).sum()


@pytest.mark.parametrize("kind", ["svm-linear", "svm-rbf"])
def test_the_fast_svm_balances_too(kind: HeadKind, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearnex", reason="the extra fast is not installed")
    data = uneven()
    fast = fitted(kind, data, class_weights="balanced").head
    monkeypatch.setattr(sklearn_head, "_svc", lambda: sklearn.svm.SVC)
    plain = fitted(kind, data, class_weights="balanced").head
    np.testing.assert_allclose(fast.decision(data[2]), plain.decision(data[2]), atol=5e-3)


def test_neighbours_take_no_class_weights_and_say_so() -> None:
    weighted = fitted("knn", class_weights="balanced")
    assert weighted.head.to_npz() == fitted("knn").head.to_npz()
    (note,) = weighted.notes
    assert "Class weights balanced have no meaning for neighbours" in note


def test_of_fewer_rows_than_neighbours_the_square_root_votes() -> None:
    """All of them would give every image the same answer, and none at all would cost the others of `all+controls`."""
    as_asked = fitted("knn", neighbours=120)
    assert as_asked.head.arrays["neighbours"] == 120
    assert as_asked.notes == []
    fewer = fitted("knn", neighbours=121)
    assert fewer.head.arrays["neighbours"] == 11
    assert fewer.notes == [
        "121 neighbours were to vote, and there are 120 training rows: 11 vote, the square root of the rows."
    ]
    assert len(np.unique(fewer.head.predict_proba(blobs()[2]), axis=0)) > 1


def test_kept_rows_are_training_rows_as_they_came() -> None:
    X, y, *_ = data = blobs()
    arrays = fitted("knn", data).head.arrays
    np.testing.assert_array_equal(arrays["rows"], X.reshape(-1, 16))
    np.testing.assert_array_equal(arrays["labels"], np.repeat(y, 2))


def test_heads_share_the_standardised_rows() -> None:
    training = TrainingSet(*blobs(), NAMES[:3])
    rows = training.rows.copy()
    for kind in ("logreg", "svm-linear", "svm-rbf", "knn", "ridge"):
        fit_head(HeadSpec(kind=kind), training)
    np.testing.assert_array_equal(training.rows, rows)


def test_every_view_is_a_training_row() -> None:
    X, y, X_val, y_val = blobs(distance=0.8)
    flat = X.reshape(120, 1, 16), np.repeat(y, 2), X_val, y_val
    assert fitted("logreg", flat).head.to_npz() == fitted("logreg", (X, y, X_val, y_val)).head.to_npz()


def test_strength_can_be_chosen() -> None:
    weak, strong = (abs(fitted("logreg", strength=c).head.arrays["coef"]).max() for c in (0.001, 10.0))
    assert weak < strong / 10


def test_support_vectors_are_training_rows_as_they_came() -> None:
    X, *_ = data = blobs(distance=0.8)
    support = fitted("svm-rbf", data).head.arrays["support_vectors"]
    rows = {row.tobytes() for row in X.reshape(-1, 16)}
    assert {row.tobytes() for row in support} <= rows


@pytest.mark.parametrize("kind", ["logreg", "svm-linear", "svm-rbf", "knn", "ridge"])
def test_fitting_is_silent(kind: HeadKind, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fitted(kind)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_scikit_learns_own_svm_serves_where_the_fast_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearnex.svm", None)
    assert sklearn_head._svc() is sklearn.svm.SVC
    assert fitted("svm-linear").head.predict(blobs()[2]).shape == (30,)


def test_a_fast_svm_that_cannot_be_loaded_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a program has imported OpenVINO before, whose threading library is an older one of the same name."""
    for name in ("sklearnex", "sklearnex.svm"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))  # which has no SVC
    with caplog.at_level(logging.INFO, "cxrfeat.choice"):
        assert sklearn_head._svc() is sklearn.svm.SVC
    assert "cannot be loaded: cannot import name 'SVC'" in caplog.text
    assert "imports sklearnex before it" in caplog.text
