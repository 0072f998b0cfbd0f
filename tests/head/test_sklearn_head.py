from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.svm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxrfeat.head import sklearn_head
from cxrfeat.metric.calibrate import TEMPERATURES, fit_temperature
from cxrfeat.spec import HeadKind
from tests.head.blobs import Blobs, blobs, fitted


def oracle(model: Any, data: Blobs) -> Any:
    """A scikit-learn pipeline fitted on all views of the training images."""
    X, y = data[0], data[1]
    rows = X.reshape(-1, X.shape[-1]).astype(np.float64)
    return make_pipeline(StandardScaler(), model).fit(rows, np.repeat(y, X.shape[1]))


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_numpy_predicts_what_the_logistic_regression_predicts(classes: int) -> None:
    data = blobs(classes, distance=0.8)
    found = fitted("logreg", data)
    expected = oracle(LogisticRegression(C=0.1, max_iter=5000), data)
    X = data[2].astype(np.float64)
    np.testing.assert_allclose(found.head.predict_proba(X), expected.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(found.head.predict(X), expected.predict(X))
    assert (found.history, found.notes) == ([], [])


@pytest.mark.parametrize("engine", ["sklearn.svm", "sklearnex.svm"])
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize(("kind", "strength"), [("svm-linear", 0.01), ("svm-rbf", 1.0)])
def test_numpy_decides_what_the_svm_decides(
    kind: HeadKind, strength: float, classes: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    SVC = pytest.importorskip(engine).SVC
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
    pytest.importorskip("sklearnex")
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


def test_every_view_is_a_training_row() -> None:
    X, y, X_val, y_val = blobs(distance=0.8)
    flat = X.reshape(120, 1, 16), np.repeat(y, 2), X_val, y_val
    assert fitted("logreg", flat).head.to_npz() == fitted("logreg", (X, y, X_val, y_val)).head.to_npz()


def test_strength_can_be_chosen() -> None:
    weak, strong = (abs(fitted("logreg", strength=c).head.arrays["coef"]).max() for c in (0.001, 10.0))
    assert weak < strong / 10


def test_a_regression_that_did_not_converge_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_head, "MAX_ITERATIONS", 1)
    found = fitted("logreg", blobs(distance=0.8), strength=10.0)
    (note,) = found.notes
    assert "stopped after 1 iterations" in note
    assert "smaller strength than 10" in note


def test_support_vectors_are_training_rows_as_they_came() -> None:
    X, *_ = data = blobs(distance=0.8)
    support = fitted("svm-rbf", data).head.arrays["support_vectors"]
    rows = {row.tobytes() for row in X.reshape(-1, 16)}
    assert {row.tobytes() for row in support} <= rows


@pytest.mark.parametrize("kind", ["logreg", "svm-linear", "svm-rbf"])
def test_fitting_is_silent(kind: HeadKind, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fitted(kind)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_scikit_learns_own_svm_serves_where_the_fast_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearnex.svm", None)
    assert sklearn_head._svc() is sklearn.svm.SVC
    assert fitted("svm-linear").head.predict(blobs()[2]).shape == (30,)
