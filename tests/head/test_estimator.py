"""Heads as scikit-learn sees them: its own checks, its own tools, and the same numbers as everywhere else."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import cxrfeat
from cxrfeat.errors import SpecError
from cxrfeat.head.estimator import (
    ESTIMATORS,
    DenseHead,
    DropoutHead,
    HeadClassifier,
    KnnHead,
    LogregHead,
    RidgeHead,
    SoftmaxHead,
    SvmLinearHead,
    SvmRbfHead,
)
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HEAD_KINDS, HeadKind, HeadSpec
from tests.head.blobs import NAMES, blobs
from tests.head.epochs import epochs_of

KERAS: tuple[HeadKind, ...] = ("softmax", "dense", "dropout")
QUICK = tuple(kind for kind in HEAD_KINDS if kind not in KERAS[1:])
"""Enough for what does not depend on the network; each new shape takes a second to compile."""

WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
MINI_BATCHES = "A row of weight 2 is in one of the shuffled mini-batches, and a row repeated twice may be in two."
TOLERANCE = "The solver stops within 1e-3 of the optimum; scikit-learn's own SVC fails this check as well."

CHECKED = [
    pytest.param(SoftmaxHead(epochs=6), MINI_BATCHES, id="softmax"),
    pytest.param(DenseHead(epochs=6), MINI_BATCHES, id="dense", marks=pytest.mark.slow),
    pytest.param(DropoutHead(epochs=6), MINI_BATCHES, id="dropout", marks=pytest.mark.slow),
    pytest.param(LogregHead(), None, id="logreg"),
    pytest.param(SvmLinearHead(), TOLERANCE, id="svm-linear"),
    pytest.param(SvmRbfHead(), TOLERANCE, id="svm-rbf"),
    pytest.param(RidgeHead(), None, id="ridge"),
    pytest.param(KnnHead(neighbours=5), None, id="knn"),  # scikit-learn's own has 5, and its checks so few rows
]

UNMET = ("pandas is not installed", "SCIPY_ARRAY_API is not set")


@pytest.mark.few(2)
@pytest.mark.parametrize(("head", "reason"), CHECKED)
def test_scikit_learns_own_checks_pass(head: HeadClassifier, reason: str | None) -> None:
    expected = {} if reason is None else {WEIGHTS: reason}
    told = check_estimator(head, expected_failed_checks=expected, on_skip=None)
    failed = [row["check_name"] for row in told if row["status"] == "xfail"]
    assert failed == list(expected), "a check that was to fail does not: take it off the list"
    skipped = [str(row["exception"]) for row in told if row["status"] == "skipped"]
    assert all(text.startswith(UNMET) for text in skipped)
    assert len(told) > 50


def small(kind: HeadKind, **parameters: Any) -> HeadClassifier:
    """A head of that kind that trains in no time."""
    if kind in KERAS:
        parameters = {"epochs": 4, **parameters}
    return ESTIMATORS[kind](**parameters)


def rows(classes: int = 3) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Features, class indices, and groups of four rows of one class."""
    X, y, *_ = blobs(classes, views=1, distance=4.0)
    groups = np.empty(len(y), np.int64)
    for index in range(classes):
        of = np.flatnonzero(y == index)
        groups[of] = 100 * index + np.arange(len(of)) // 4
    return X[:, 0], y, groups


def test_there_is_one_estimator_for_each_kind_and_the_package_names_them() -> None:
    assert tuple(ESTIMATORS) == HEAD_KINDS
    for one in ESTIMATORS.values():
        assert getattr(cxrfeat, one.__name__) is one


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_parameters_are_fields_of_the_spec_with_its_defaults(kind: HeadKind) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(HeadSpec)}
    found = {name: one.default for name, one in inspect.signature(ESTIMATORS[kind]).parameters.items()}
    assert found.pop("random_state", 0) == defaults["seed"]
    assert found == {name: defaults[name] for name in found}


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_an_estimator_is_the_head_that_fit_head_trains(kind: HeadKind) -> None:
    X, y, _ = rows()
    nothing, none = X[:0], y[:0]
    spec = HeadSpec(kind=kind, epochs=4, seed=3) if kind in KERAS else HeadSpec(kind=kind)
    fit = fit_head(spec, TrainingSet(X[:, None], y, nothing, none, NAMES[:3]))
    seed = {"random_state": 3} if kind in KERAS else {}
    head = small(kind, **seed).fit(X, y)
    np.testing.assert_array_equal(head.predict_proba(X), fit.head.predict_proba(X))
    np.testing.assert_array_equal(head.decision_function(X), fit.head.decision(X))
    assert head.predict(X).tolist() == fit.head.predict(X).tolist()
    assert head.history_ == epochs_of(fit)
    assert head.notes_ == fit.notes


@pytest.mark.few(3)
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_labels_may_be_anything_that_sorts(kind: HeadKind) -> None:
    X, y, _ = rows()
    plain = small(kind).fit(X, y)
    for names in (np.array(["COVID", "LUNG", "NORMAL"]), np.array(["a", "b", "cé"], object), np.array([-7, 0, 12])):
        head = small(kind).fit(X, names[y])
        assert head.classes_.tolist() == names.tolist()
        assert head.predict(X).dtype == names.dtype
        assert head.predict(X).tolist() == names[plain.predict(X)].tolist()
        assert head.head_.classes == tuple(map(str, names.tolist()))
        np.testing.assert_array_equal(head.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("kind", QUICK)
def test_two_classes_have_one_decision_value(kind: HeadKind) -> None:
    X, y, _ = rows(2)
    head = small(kind).fit(X, y == 1)
    decision = head.decision_function(X)
    assert decision.shape == (len(X),)
    assert ((decision > 0) == head.predict(X)).all()
    np.testing.assert_allclose(head.predict_proba(X)[:, 1], 1 / (1 + np.exp(-decision)), rtol=1e-9)
    assert head.score(X, y == 1) > 0.9


@pytest.mark.parametrize("kind", QUICK)
def test_cross_validation_by_groups(kind: HeadKind) -> None:
    X, y, groups = rows()
    told = cross_validate(small(kind), X, y, groups=groups, cv=GroupKFold(3), error_score="raise")
    assert told["test_score"].min() > 0.8


@pytest.mark.parametrize("kind", QUICK)
def test_a_head_ends_a_pipeline(kind: HeadKind) -> None:
    X, y, _ = rows()
    head = (
        small(kind, epochs=10) if kind in KERAS else small(kind)
    )  # standardised, the first direction is no longer a long one
    pipeline = make_pipeline(PCA(4), head).fit(X, y)
    assert pipeline.predict_proba(X).shape == (len(X), 3)
    assert pipeline[-1].n_features_in_ == 4
    assert pipeline.score(X, y) > 0.8


@pytest.mark.parametrize("kind", QUICK)
def test_a_feature_that_decides_is_found_important(kind: HeadKind) -> None:
    y = np.arange(60) % 2
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[:, 2] += 8 * y
    told = permutation_importance(small(kind).fit(X, y), X, y, n_repeats=3, random_state=0)
    assert told.importances_mean.argmax() == 2


def test_a_grid_search_sets_what_a_spec_holds() -> None:
    X, y, _ = rows()
    grid: dict[str, Any] = {"learning_rate": np.geomspace(1e-3, 1e-2, 2), "epochs": np.arange(2, 3), "hidden": [(4,)]}
    found = GridSearchCV(DenseHead(), grid, cv=2, error_score="raise").fit(X, y)
    assert found.best_params_["hidden"] == (4,)
    assert [array.shape for name, array in found.best_estimator_.head_.arrays.items() if name == "bias_0"] == [(4,)]
    strengths = {"strength": np.geomspace(1e-3, 1, 3)}
    assert GridSearchCV(LogregHead(), strengths, cv=2, error_score="raise").fit(X, y).best_score_ > 0.9


def test_a_clone_is_unfitted_and_trains_to_the_same() -> None:
    X, y, _ = rows()
    head = DropoutHead(epochs=2, hidden=(9,), dropout=0.25, random_state=4).fit(X, y)
    again = clone(head)
    assert again.get_params() == head.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        again.predict(X)
    np.testing.assert_array_equal(again.fit(X, y).predict_proba(X), head.predict_proba(X))
    assert repr(again) == "DropoutHead(dropout=0.25, epochs=2, hidden=(9,), random_state=4)"


def test_a_generator_as_random_state_gives_another_seed_each_time() -> None:
    X, y, _ = rows()
    first, second = (SoftmaxHead(epochs=1, random_state=np.random.RandomState(0)) for _ in range(2))
    one = first.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(second.fit(X, y).predict_proba(X), one)
    assert not np.array_equal(first.fit(X, y).predict_proba(X), one)


@pytest.mark.parametrize("kind", [kind for kind in QUICK if kind != "knn"])
def test_weights_of_one_change_nothing_and_rows_of_none_are_left_out(kind: HeadKind) -> None:
    X, y, _ = rows()
    plain = small(kind).fit(X[6:], y[6:]).predict_proba(X)
    weights = (np.arange(len(X)) >= 6).astype(float)
    np.testing.assert_allclose(small(kind).fit(X, y, sample_weight=weights).predict_proba(X), plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "class_weights"),
    [("logreg", "none"), ("logreg", "balanced"), ("ridge", "none"), ("svm-linear", "none"), ("svm-rbf", "none")],
)
def test_a_weight_is_a_row_repeated(kind: HeadKind, class_weights: str) -> None:
    X, y, _ = rows()
    weights = np.random.default_rng(0).integers(1, 5, len(X))
    weighed = small(kind, class_weights=class_weights).fit(X, y, sample_weight=weights)
    repeated = small(kind, class_weights=class_weights).fit(X.repeat(weights, 0), y.repeat(weights))
    np.testing.assert_allclose(weighed.predict_proba(X), repeated.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("kind", KERAS[:2])
@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_in_one_batch_a_weight_is_a_row_repeated_for_a_network_too(kind: HeadKind, class_weights: str) -> None:
    X, y, _ = rows()
    weights = np.random.default_rng(0).integers(1, 5, len(X))
    one_batch: dict[str, Any] = {"batch": 512, "epochs": 5, "class_weights": class_weights, "standardize": True}
    weighed = small(kind, **one_batch).fit(X, y, sample_weight=weights / weights.mean())
    repeated = small(kind, **one_batch).fit(X.repeat(weights, 0), y.repeat(weights))
    np.testing.assert_allclose(weighed.predict_proba(X), repeated.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("kind", QUICK)
def test_features_that_are_no_numbers_are_a_value_error(kind: HeadKind) -> None:
    X, y, _ = rows()
    head = small(kind).fit(X, y)
    for value, said in ((np.nan, "contains NaN"), (np.inf, "infinity"), (1e300, "too large")):
        bad = X.astype(np.float64)
        bad[3, 2] = value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, for the number that does not fit
            with pytest.raises(ValueError, match=said):
                small(kind).fit(bad, y)
            with pytest.raises(ValueError, match=said):
                head.predict(bad)
    with pytest.raises(ValueError, match="features"):
        head.predict(X[:, :3])


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_one_class_is_not_enough(kind: HeadKind) -> None:
    X, y, _ = rows()
    with pytest.raises(ValueError, match="only one class: 'NORMAL'"):
        small(kind).fit(X, np.full(len(y), "NORMAL"))


def test_weights_that_leave_one_class_are_refused() -> None:
    X, y, _ = rows()
    with pytest.raises(ValueError, match="only one class"):
        LogregHead().fit(X, y, sample_weight=(y == 1).astype(float))
    with pytest.raises(ValueError, match="Negative values"):
        LogregHead().fit(X, y, sample_weight=-np.ones(len(y)))


def test_a_parameter_out_of_range_is_refused_when_training_starts() -> None:
    X, y, _ = rows()
    with pytest.raises(SpecError, match=r"^`epochs` is passes over the training rows.*got -1"):
        SoftmaxHead(epochs=-1).fit(X, y)
    with pytest.raises(SpecError, match=r"`neighbours` is training rows that vote.*got 0"):
        KnnHead(neighbours=0).fit(X, y)


def test_of_fewer_rows_than_neighbours_the_square_root_votes_and_the_notes_say_so() -> None:
    X, y, _ = rows()
    head = KnnHead(neighbours=99).fit(X, y)
    assert int(head.head_.arrays["neighbours"]) == round(len(X) ** 0.5)
    assert "99 neighbours were to vote, and there are 60 training rows" in head.notes_[0]
    assert head.score(X, y) > 0.9


@pytest.mark.slow
def test_scikit_learn_heads_are_estimators_without_tensorflow() -> None:
    program = (
        "import sys, cxrfeat\n"
        "import numpy as np\n"
        "y = np.arange(40) % 2\n"
        "X = np.random.default_rng(0).normal(y[:, None], 0.1, (40, 3))\n"
        "for head in (cxrfeat.LogregHead(), cxrfeat.SvmRbfHead(), cxrfeat.RidgeHead(), cxrfeat.KnnHead()):\n"
        "    assert head.fit(X, y).score(X, y) == 1\n"
        "print(*{'tensorflow', 'keras', 'jax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.parametrize("classes", [2, 3])
def test_ridge_leaves_each_group_out_for_the_price_of_one_fit(classes: int) -> None:
    X, y, *_ = blobs(classes, images=90, views=1, distance=0.5)
    groups = np.array([f"p{row // 3:02}" for row in range(90)])
    rows, labels = X[:, 0], np.array(NAMES)[y]
    head = RidgeHead(strength=0.01, class_weights="balanced")
    found = head.leave_group_out(rows, labels, groups)
    assert not hasattr(head, "classes_")  # it is as unfitted as before
    refitted = cross_val_predict(head, rows, labels, groups=groups, cv=LeaveOneGroupOut(), method="decision_function")
    assert found.shape == refitted.shape == ((90,) if classes == 2 else (90, classes))
    np.testing.assert_allclose(found, refitted, atol=0.15 * np.abs(refitted).max())  # they standardise anew
    assert np.corrcoef(found.ravel(), refitted.ravel())[0, 1] > 0.995
    seen = head.fit(rows, labels).decision_function(rows)
    assert np.abs(found - seen).max() > 5 * np.abs(found - refitted).mean()


def test_ridge_says_what_it_cannot_leave_out() -> None:
    X, y = np.random.default_rng(0).normal(size=(6, 2)), np.array([0, 1] * 3)
    with pytest.raises(ValueError, match="at least two groups"):
        RidgeHead().leave_group_out(X, y, np.zeros(6))
    with pytest.raises(ValueError, match="A group for each of 6 rows"):
        RidgeHead().leave_group_out(X, y, np.zeros(5))
    with pytest.raises(ValueError, match="only one class"):
        RidgeHead().leave_group_out(X, np.zeros(6), np.arange(6))
