from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cxrfeat.metric.score import scores
from cxrfeat.types import Labels, Probabilities

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def made_up(seed: int, n: int = 60, classes: int = 3, *, skill: float = 1.0) -> tuple[Labels, Probabilities]:
    """Random labels, every class at least once, and probabilities in steps of a tenth, so that ties occur."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.r_[np.arange(classes), rng.integers(0, classes, n - classes)])
    raw = rng.integers(1, 5, (n, classes)).astype(float)
    raw[np.arange(n), y] += skill * rng.integers(0, 5, n)
    return y, raw / raw.sum(1, keepdims=True)


@pytest.mark.few(8)
@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_scikit_learn(seed: int, classes: int) -> None:
    y, p = made_up(seed, classes=classes)
    names = [f"c{index}" for index in range(classes)]
    found = scores(y, p, names)
    predicted = p.argmax(1)
    expected: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "macro_f1": metrics.f1_score(y, predicted, average="macro"),
        "auroc": np.mean([metrics.roc_auc_score(y == index, p[:, index]) for index in range(classes)]),
        "auprc": np.mean([metrics.average_precision_score(y == index, p[:, index]) for index in range(classes)]),
        "brier": metrics.brier_score_loss(y, p[:, 1]) * 2 if classes == 2 else None,
        "log_loss": metrics.log_loss(y, p, labels=range(classes)),
    }
    for name, value in expected.items():
        if value is not None:
            assert found[name] == pytest.approx(value, abs=1e-12), name
    recall = metrics.recall_score(y, predicted, average=None)
    assert list(found["sensitivity"].values()) == pytest.approx(list(recall))
    for index, name in enumerate(names):
        assert found["specificity"][name] == metrics.recall_score(y != index, predicted != index)
        assert found["precision"][name] == metrics.precision_score(y == index, predicted == index, zero_division=np.nan)
    assert found["confusion"] == metrics.confusion_matrix(y, predicted).tolist()
    json.dumps(found, allow_nan=False)


def test_macro_auroc_is_scikit_learns_one_against_the_rest() -> None:
    y, p = made_up(7)
    assert scores(y, p, CLASSES)["auroc"] == pytest.approx(metrics.roc_auc_score(y, p, multi_class="ovr"))


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_scores_do_not_depend_on_the_order_of_the_images(seed: int, n: int) -> None:
    y, p = made_up(seed, n)
    order = np.random.default_rng(seed + 1).permutation(n)
    assert flat(scores(y[order], p[order], CLASSES)) == pytest.approx(flat(scores(y, p, CLASSES)), abs=1e-12)


def test_perfect_predictions_score_one_everywhere() -> None:
    y = np.arange(9) % 3
    found = scores(y, np.eye(3)[y], CLASSES)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"):
        assert found[name] == 1.0
    assert (found["brier"], found["log_loss"], found["ece"]) == (0.0, 0.0, 0.0)


def test_even_probabilities_name_the_first_class_and_rank_nothing() -> None:
    y = np.arange(9) % 3
    found = scores(y, np.full((9, 3), 1 / 3), CLASSES)
    assert found["confusion"] == [[3, 0, 0], [3, 0, 0], [3, 0, 0]]
    assert found["auroc"] == 0.5
    assert found["precision"] == {"COVID": pytest.approx(1 / 3), "NORMAL": None, "PNEUMONIA": None}
    assert found["log_loss"] == pytest.approx(np.log(3))
    assert found["ece"] == pytest.approx(0.0, abs=1e-12)


def test_what_needs_an_absent_class_is_none() -> None:
    y, p = np.array([0, 0, 1]), np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    found = scores(y, p, CLASSES)
    assert found["accuracy"] == pytest.approx(2 / 3)
    for name in ("balanced_accuracy", "macro_f1", "auroc", "auprc"):
        assert found[name] is None
    for name in ("sensitivity", "auroc_per_class", "auprc_per_class"):
        assert found[name]["PNEUMONIA"] is None
        assert found[name]["NORMAL"] == 1.0
    assert found["specificity"]["PNEUMONIA"] == pytest.approx(2 / 3)
    assert found["precision"]["PNEUMONIA"] == 0.0


def test_one_class_alone_leaves_its_specificity_open() -> None:
    found = scores(np.zeros(4, np.int64), np.tile([0.6, 0.4], (4, 1)), ["COVID", "NORMAL"])
    assert found["accuracy"] == 1.0
    assert found["specificity"] == {"COVID": None, "NORMAL": 1.0}
    assert found["auroc_per_class"] == {"COVID": None, "NORMAL": None}
    assert found["brier"] == pytest.approx(0.32)
    assert found["ece"] == pytest.approx(0.4)


def test_certainty_in_the_wrong_class_has_a_finite_log_loss() -> None:
    assert scores(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]), "ab")["log_loss"] == pytest.approx(
        18.02, abs=0.01
    )


def test_calibration_error_follows_its_definition() -> None:
    y, p = made_up(3, 200)
    confidence, correct = p.max(1), p.argmax(1) == y
    expected = 0.0
    for edge in range(15):
        inside = (confidence > edge / 15) & (confidence <= (edge + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert scores(y, p, CLASSES)["ece"] == pytest.approx(expected)


def test_briers_own_example() -> None:
    # Ten forecasts of rain and whether it rained (Brier 1950, table 1); the score is 0.19.
    rain = np.array([0.7, 0.9, 0.8, 0.4, 0.2, 0.0, 0.0, 0.0, 0.0, 0.1])
    fell = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    found = scores(1 - fell, np.column_stack([rain, 1 - rain]), ["rain", "no rain"])
    assert found["brier"] == pytest.approx(0.19)


def test_the_papers_confusion_matrix_gives_the_papers_accuracy() -> None:
    # DN-V1 of the paper: 231 1 3 / 6 135 103 / 5 0 236, test accuracy 0.8361.
    matrix = np.array([[231, 1, 3], [6, 135, 103], [5, 0, 236]])
    y, predicted = (
        np.repeat(np.repeat(np.arange(3), 3), matrix.ravel()),
        np.repeat(np.tile(np.arange(3), 3), matrix.ravel()),
    )
    found = scores(y, np.eye(3)[predicted], CLASSES)
    assert found["accuracy"] == pytest.approx(0.8361, abs=5e-5)
    assert found["confusion"] == matrix.tolist()
    assert found["sensitivity"]["NORMAL"] == pytest.approx(135 / 244)
    assert found["specificity"]["COVID"] == pytest.approx(1 - 11 / 485)
    assert found["balanced_accuracy"] == pytest.approx(np.mean([231 / 235, 135 / 244, 236 / 241]))


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([], np.empty((0, 2)), "at least one image"),
        ([0, 1], np.ones((3, 2)), "Probabilities of 2 images and 2 classes"),
        ([0, 2], np.ones((2, 2)), "indices from 0 to 1"),
        ([0, 1], np.full((2, 2), np.nan), "NaN or infinity"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(y: list[int], p: Probabilities, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scores(np.array(y, np.int64), p, "ab")


def flat(found: dict[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            values |= {f"{name} {key}": inner for key, inner in value.items()}
        elif isinstance(value, list):
            values |= {f"{name} {place}": cell for place, cell in enumerate(np.ravel(value))}
        else:
            values[name] = value
    return values
