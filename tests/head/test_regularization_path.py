from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.regularization_path import (
    STRENGTHS,
    logistic_head,
    logistic_path,
    ridge_leave_group_out,
    ridge_left_out,
    ridge_path,
)
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import ClassWeights
from tests.head.blobs import NAMES, blobs, fitted

FEW = (1e-4, 1e-2, 1.0, 30.0)
SHAPES = [(60, 16), (12, 50)]  # more rows than features, and fewer
WEIGHTS: tuple[ClassWeights, ...] = ("none", "balanced")


def training_of(classes: int = 3, *, images: int = 60, dim: int = 16, distance: float = 0.8) -> TrainingSet:
    """Uneven classes, two views of each image."""
    X, y, X_val, y_val = blobs(classes, images=images, dim=dim, distance=distance)
    y[: images // 4] = 0
    return TrainingSet(X, y, X_val, y_val, NAMES[:classes])


def weights_of(y: NDArray[Any], classes: int, class_weights: ClassWeights) -> NDArray[np.float64]:
    if class_weights == "none":
        return np.ones(len(y))
    return np.array([len(y) / (classes * np.count_nonzero(y == label)) for label in y])


def direct_ridge(
    X: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], classes: int, strength: float
) -> NDArray[np.float64]:
    """`(classes, 1 + dim)`, intercept first, from the normal equations of `[1, X]`."""
    columns = np.hstack([np.ones((len(X), 1)), X])
    targets = np.where(y[:, None] == np.arange(classes), 1.0, -1.0)
    penalty = np.eye(columns.shape[1]) / strength
    penalty[0, 0] = 0
    solved: NDArray[np.float64] = np.linalg.solve(
        columns.T @ (weights[:, None] * columns) + penalty, columns.T @ (weights[:, None] * targets)
    )
    return solved.T


@pytest.mark.parametrize("class_weights", WEIGHTS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("images", "dim"), SHAPES)
def test_the_ridge_path_is_the_direct_solution(
    images: int, dim: int, classes: int, class_weights: ClassWeights
) -> None:
    training = training_of(classes, images=images, dim=dim)
    weights = weights_of(training.row_labels, classes, class_weights)
    for strength, head in zip(FEW, ridge_path(training, FEW, class_weights), strict=True):
        expected = direct_ridge(training.rows, training.row_labels, weights, classes, strength)
        np.testing.assert_allclose(head.arrays["coef"], expected[:, 1:], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(head.arrays["intercept"], expected[:, 0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("class_weights", WEIGHTS)
@pytest.mark.parametrize("classes", [2, 4])
def test_the_ridge_path_is_the_ridge_head(classes: int, class_weights: ClassWeights) -> None:
    data = blobs(classes, distance=0.8)
    training = TrainingSet(*data, NAMES[:classes])
    for strength, head in zip(FEW, ridge_path(training, FEW, class_weights), strict=True):
        single = fitted("ridge", data, strength=strength, class_weights=class_weights).head
        np.testing.assert_allclose(head.decision(data[2]), single.decision(data[2]), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("class_weights", WEIGHTS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("images", "dim"), SHAPES)
def test_the_logistic_path_is_the_cold_fit(images: int, dim: int, classes: int, class_weights: ClassWeights) -> None:
    training = training_of(classes, images=images, dim=dim)
    class_weight = None if class_weights == "none" else class_weights
    for strength, head in zip(FEW, logistic_path(training, FEW, class_weights), strict=True):
        cold = LogisticRegression(C=strength, class_weight=class_weight, tol=1e-9, max_iter=20_000)
        cold.fit(training.rows, training.row_labels)
        assert head.arrays["coef"].shape == cold.coef_.shape
        found = head.predict_proba(training.X.reshape(-1, dim))
        np.testing.assert_allclose(found, cold.predict_proba(training.rows), atol=1e-5)
        np.testing.assert_allclose(head.arrays["coef"], cold.coef_, atol=1e-4 * abs(cold.coef_).max())


def test_the_logistic_head_is_what_the_path_gives_there() -> None:
    data = blobs(distance=3.0)
    training = TrainingSet(*data, NAMES[:3])
    path = logistic_path(training, STRENGTHS)
    for index in (8, 20, 32, 44):
        head = fitted("logreg", data, strength=STRENGTHS[index]).head
        np.testing.assert_allclose(head.predict_proba(data[2]), path[index].predict_proba(data[2]), atol=1e-3)
    (lone,) = logistic_path(training, [0.1])
    assert lone.to_npz() == fitted("logreg", data, strength=0.1).head.to_npz()


@pytest.mark.parametrize("class_weights", WEIGHTS)
@pytest.mark.parametrize("classes", [2, 3])
def test_weighted_images_are_scikit_learns(classes: int, class_weights: ClassWeights) -> None:
    X, y, X_val, y_val = blobs(classes, distance=0.8)
    weights = np.random.default_rng(0).uniform(0.1, 3, 60)
    training = TrainingSet(X, y, X_val, y_val, NAMES[:classes], weights)
    class_weight = None if class_weights == "none" else class_weights
    cold = LogisticRegression(C=0.3, class_weight=class_weight, tol=1e-9, max_iter=20_000)
    cold.fit(training.rows, training.row_labels, sample_weight=training.row_weights)
    head, notes = logistic_head(training, 0.3, class_weights)
    np.testing.assert_allclose(head.arrays["coef"], cold.coef_, atol=1e-5)
    np.testing.assert_allclose(head.predict_proba(X[:, 0]), cold.predict_proba(training.rows[::2]), atol=1e-5)
    assert notes == []


def test_a_regression_that_did_not_converge_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrfeat.head.regularization_path._MOST_ITERATIONS", 1)
    found = fitted("logreg", blobs(distance=0.8), strength=10.0)
    (note,) = found.notes
    assert "stopped after 1 iterations" in note
    assert "smaller strength than 10" in note


def test_threads_do_not_change_a_bit_of_a_logistic_head() -> None:
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(fitted("logreg", blobs(images=700, dim=300)).head.to_npz())
    assert found[0] == found[1]


def test_logistic_regression_needs_no_scikit_learn() -> None:
    """Which takes half a second to load."""
    code = "import sys; from tests.head.blobs import fitted; fitted('logreg'); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", [logistic_path, ridge_path])
def test_no_strengths_give_no_heads(path: Callable[..., list[FittedHead]]) -> None:
    assert path(training_of(), []) == []


@pytest.mark.parametrize("path", [logistic_path, ridge_path])
def test_a_path_comes_in_the_order_asked_for(path: Callable[..., list[FittedHead]]) -> None:
    training = training_of()
    mixed = path(training, [1.0, 1e-3, 1e-3, 0.1])
    sizes = [abs(head.arrays["coef"]).max() for head in mixed]
    assert sizes[1] == sizes[2] < sizes[3] < sizes[0]


@pytest.mark.parametrize("path", [logistic_path, ridge_path])
@pytest.mark.parametrize("strength", [0.0, -1.0, np.nan, np.inf])
def test_strengths_that_are_none_are_refused(path: Callable[..., list[FittedHead]], strength: float) -> None:
    with pytest.raises(ValueError, match="numbers above 0"):
        path(training_of(), [1.0, strength])


def test_weighted_images_have_no_path_of_ridge() -> None:
    X, y, X_val, y_val = blobs()
    with pytest.raises(ValueError, match="images of weight 1"):
        ridge_path(TrainingSet(X, y, X_val, y_val, NAMES[:3], np.full(60, 2.0)), [1.0])


def test_all_forty_five_strengths_work_on_features_that_separate_and_repeat() -> None:
    X, y, X_val, y_val = blobs(distance=6.0)
    X[..., 1], X_val[:, 1] = X[..., 0], X_val[:, 0]  # one feature twice
    X[..., 2], X_val[:, 2] = 0.5, 0.5  # and one constant
    training = TrainingSet(X, y, X_val, y_val, NAMES[:3])
    assert (len(STRENGTHS), STRENGTHS[0], STRENGTHS[4], STRENGTHS[-1]) == (45, 1e-6, 1e-5, 1e5)
    for path in (logistic_path, ridge_path):
        heads = path(training, STRENGTHS)
        assert len(heads) == 45
        assert (heads[-1].predict(X_val) == y_val).mean() > 0.95
        twice = heads[20].arrays["coef"][:, :2]
        np.testing.assert_allclose(twice[:, 0], twice[:, 1], rtol=1e-6)


def groupings(rows: int, kind: str) -> NDArray[np.int64]:
    rng = np.random.default_rng(0)
    return {
        "single rows": np.arange(rows),
        "pairs": np.arange(rows) // 2,
        "uneven, not in order": rng.permutation(np.repeat([7, -3, 40, 2], [1, 4, 5, rows - 10])),
        "two halves": rng.permutation(np.arange(rows) % 2),
    }[kind]


@pytest.mark.parametrize("class_weights", WEIGHTS)
@pytest.mark.parametrize("kind", ["single rows", "pairs", "uneven, not in order", "two halves"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("images", "dim"), SHAPES)
def test_leaving_groups_out_is_refitting_without_them(
    images: int, dim: int, classes: int, kind: str, class_weights: ClassWeights
) -> None:
    training = training_of(classes, images=images, dim=dim)
    X, y = training.rows + 0.3, training.row_labels  # not quite centred: the intercept must matter
    groups = groupings(len(y), kind)
    found = ridge_leave_group_out(X, y, groups, classes, FEW, class_weights)
    weights = weights_of(y, classes, class_weights)  # those of all rows
    expected = np.empty_like(found)
    for index, strength in enumerate(FEW):
        for group in set(groups.tolist()):
            out = groups == group
            solved = direct_ridge(X[~out], y[~out], weights[~out], classes, strength)
            expected[index, out] = X[out] @ solved[:, 1:].T + solved[:, 0]
    assert found.shape == (4, len(y), classes)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


def test_memory_bounds_do_not_change_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    training = training_of()
    arguments = training.rows, training.row_labels, np.arange(120) // 2, 3, FEW
    whole = ridge_leave_group_out(*arguments)
    monkeypatch.setattr("cxrfeat.head.regularization_path._BLOCK", 100)
    np.testing.assert_allclose(ridge_leave_group_out(*arguments), whole, rtol=1e-10)


def test_one_group_cannot_be_left_out() -> None:
    training = training_of()
    with pytest.raises(ValueError, match="at least two groups; got 1"):
        ridge_leave_group_out(training.rows, training.row_labels, np.zeros(120, np.int64), 3, [1.0])


def test_leaving_groups_out_does_not_profit_from_a_feature_that_names_the_group() -> None:
    """Labels that depend on the group alone, and a feature for each group: seen, it is right; left out, it is not."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    y = rng.integers(0, 2, 40)[groups]
    X = np.hstack([rng.normal(size=(200, 5)), np.eye(40)[groups] * 5])
    seen = ridge_leave_group_out(X, y, np.arange(200), 2, [1.0])[0].argmax(1)
    unseen = ridge_leave_group_out(X, y, groups, 2, [1.0])[0].argmax(1)
    assert (seen == y).mean() > 0.95
    assert (unseen == y).mean() < 0.65


def test_ranked_together_rows_left_out_are_no_better_and_no_worse_than_chance() -> None:
    rng = np.random.default_rng(0)
    raw, freed = [], []
    for _ in range(40):
        X, y = rng.normal(size=(40, 30)), rng.permutation(np.arange(40) % 2)
        one = ridge_leave_group_out(X, y, np.arange(40), 2, [1e-4])[0][:, 1]
        raw.append(roc_auc_score(y, one))
        found = ridge_left_out(X, np.where(y == 1, 1.0, -1.0)[:, None], np.arange(40), 1e-4)[:, 0]
        freed.append(roc_auc_score(y, found))
    assert np.mean(raw) < 0.2, "the mean of the others is lower where one's own target is high"
    assert np.mean(freed) == pytest.approx(0.5, abs=0.06)


def test_left_out_regressions_are_refits_less_the_mean_of_what_they_were_fitted_on() -> None:
    rng = np.random.default_rng(1)
    X, targets, groups = rng.normal(size=(30, 5)), rng.normal(size=(30, 2)), np.arange(30) // 4
    found = ridge_left_out(X, targets, groups, 0.5)
    for group in range(8):
        rows = groups == group
        model = Ridge(alpha=2.0).fit(X[~rows], targets[~rows])
        np.testing.assert_allclose(found[rows], model.predict(X[rows]) - targets[~rows].mean(0), atol=1e-9)
