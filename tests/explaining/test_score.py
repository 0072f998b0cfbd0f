from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.explaining.score import NO_GRADIENT, linear_of, score_of, scores, shuffled
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.explaining.nets import CHANNELS, CLASSES, head_of

X = np.random.default_rng(1).normal(size=(200, CHANNELS)).astype(np.float32)
PAIR = ("COVID", "NORMAL")


@pytest.mark.parametrize("classes", [CLASSES, PAIR])
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_scores_sum_to_zero_and_mostly_agree_with_the_class(kind: HeadKind, classes: tuple[str, ...]) -> None:
    head = head_of(kind, classes=classes)
    found = scores(head, X)
    assert found.shape == (len(X), len(classes))
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-4)
    agree = float((found.argmax(axis=1) == head.predict(X)).mean())
    stepped = kind in ("knn", "svm-linear", "svm-rbf") and not (len(classes) == 2 and kind != "knn")
    assert agree > 0.5 if stepped else agree == 1.0, "votes are steps, and what stands behind them is explained"


@pytest.mark.parametrize("kind", ["softmax", "dense", "dropout", "logreg", "ridge"])
def test_scores_are_the_decision_values_less_their_mean(kind: HeadKind) -> None:
    for classes in (CLASSES, PAIR):
        head = head_of(kind, classes=classes)
        decision = head.decision(X)
        np.testing.assert_allclose(scores(head, X), decision - decision.mean(axis=1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("kind", ["svm-linear", "svm-rbf"])
def test_the_score_of_two_classes_is_the_margin_of_an_svm(kind: HeadKind) -> None:
    head = head_of(kind, classes=PAIR)
    np.testing.assert_allclose(scores(head, X), head.decision(X), atol=1e-4)


@pytest.mark.parametrize("kind", ["softmax", "logreg", "ridge", "svm-linear"])
def test_the_linear_form_has_the_scaler_folded_in(kind: HeadKind) -> None:
    for classes in (CLASSES, PAIR):
        head = head_of(kind, classes=classes)
        linear = linear_of(head)
        assert linear is not None
        np.testing.assert_allclose(X @ linear.weights.T + linear.offset, scores(head, X), atol=1e-4)


def test_other_heads_have_no_linear_form() -> None:
    assert [kind for kind in HEAD_KINDS if linear_of(head_of(kind)) is None] == ["dense", "dropout", "svm-rbf", "knn"]


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_shuffled_head_reads_each_standardised_feature_as_another(kind: HeadKind) -> None:
    head = head_of(kind)
    order = np.random.default_rng(3).permutation(CHANNELS)
    other = shuffled(head, np.random.default_rng(3))
    mean, scale = head.arrays.get("mean", np.zeros(CHANNELS)), head.arrays.get("scale", np.ones(CHANNELS))
    z = (X - mean) / scale
    moved = np.empty_like(z)
    moved[:, np.argsort(order)] = z  # the feature that stood at order[i] is now read at i
    moved = z[:, np.argsort(order)]
    np.testing.assert_allclose(scores(other, X), scores(head, (moved * scale + mean).astype(np.float32)), atol=1e-3)
    assert np.abs(scores(other, X) - scores(head, X)).max() > 0.1


@pytest.mark.parametrize("classes", [CLASSES, PAIR])
@pytest.mark.parametrize("kind", [kind for kind in HEAD_KINDS if kind not in NO_GRADIENT])
def test_slopes_are_the_differences_of_scores(kind: HeadKind, classes: tuple[str, ...]) -> None:
    head = head_of(kind, classes=classes)
    some = X[:5].astype(np.float64)
    wanted = np.arange(5) % len(classes)
    score, rows = score_of(head), np.arange(5)
    slopes = score.slopes(some, wanted)
    step = np.random.default_rng(2).normal(size=some.shape) * 1e-3
    there, back = (score.values(some + sign * step)[rows, wanted].astype(np.float64) for sign in (1, -1))
    np.testing.assert_allclose((slopes * step).sum(axis=1), (there - back) / 2, atol=1e-5, rtol=0.02)
