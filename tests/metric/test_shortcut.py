from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.shortcut import control_scores

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def drawn(strength: float, images: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([7, int(strength * 10)])
    y = np.arange(images) % 3
    logits = rng.normal(size=(images, 3)) + strength * np.eye(3)[y]
    p = np.exp(logits)
    return y, p / p.sum(axis=1, keepdims=True)


def test_scores_are_those_of_scikit_learn() -> None:
    y, p = drawn(1.0)
    found = control_scores(y, p, np.arange(600), CLASSES)
    assert found["auroc"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr"), abs=1e-12)
    assert found["accuracy"] == pytest.approx((p.argmax(1) == y).mean())
    assert found["auroc_ci"][0] < found["auroc"] < found["auroc_ci"][1]
    assert "ratio" not in found


def test_the_ratio_is_the_share_of_the_score_above_chance() -> None:
    y, model = drawn(2.0)
    weak, none = drawn(1.0)[1], drawn(0.0)[1]
    groups = np.arange(600) // 2
    itself = control_scores(y, model, groups, CLASSES, model)
    assert itself["ratio"] == 1.0
    low, high = itself["ratio_ci"]
    assert 0.98 < low < 1 < high < 1.02, "both are drawn together"
    found = control_scores(y, weak, groups, CLASSES, model)
    expected = (found["auroc"] - 0.5) / (control_scores(y, model, groups, CLASSES)["auroc"] - 0.5)
    assert found["ratio"] == pytest.approx(expected)
    assert found["ratio_ci"][0] < expected < found["ratio_ci"][1]
    nothing = control_scores(y, none, groups, CLASSES, model)
    assert nothing["ratio_ci"][0] < 0.1
    assert abs(nothing["ratio"]) < 0.15


def test_a_model_at_chance_has_no_ratio() -> None:
    y, none = drawn(0.0)
    found = control_scores(y, drawn(1.0)[1], np.arange(600), CLASSES, np.full((600, 3), 1 / 3))
    assert (found["ratio"], found["ratio_ci"]) == (None, None)
    assert control_scores(y, none, np.zeros(600, np.int64), CLASSES)["auroc_ci"] is None


def test_a_class_of_few_patients_is_left_out_and_the_others_are_judged_as_if_it_were_not_there() -> None:
    y, p = drawn(1.0)
    model = drawn(2.0)[1]
    few = np.flatnonzero(y == 2)[: LEAST_GROUPS - 1]
    rows = np.concatenate([np.flatnonzero(y < 2), few])
    found = control_scores(y[rows], p[rows], rows, CLASSES, model[rows])
    assert (found["judged"], found["too_few"]) == (["COVID", "NORMAL"], {"PNEUMONIA": LEAST_GROUPS - 1})
    rows = np.flatnonzero(y < 2)

    def two(told: np.ndarray) -> np.ndarray:
        return np.asarray(told[rows, :2] / told[rows, :2].sum(axis=1, keepdims=True))

    alone = control_scores(y[rows], two(p), rows, CLASSES[:2], two(model))
    assert {name: found[name] for name in alone if name != "too_few"} == {
        name: value for name, value in alone.items() if name != "too_few"
    }
    missing = control_scores(y[rows], p[rows], rows, CLASSES)
    assert missing["auroc"] == found["auroc"], "a class without any image is no NaN"


def test_whole_groups_are_drawn() -> None:
    y, p = drawn(1.0, 60)
    copied = control_scores(np.tile(y, 5), np.tile(p, (5, 1)), np.tile(np.arange(60), 5), CLASSES)
    alone = control_scores(y, p, np.arange(60), CLASSES)
    assert copied["accuracy_ci"] == pytest.approx(alone["accuracy_ci"], abs=0.01)
    y, p = drawn(1.0)
    copied = control_scores(np.tile(y, 5), np.tile(p, (5, 1)), np.tile(np.arange(600), 5), CLASSES, resamples=200)
    assert copied["auroc_ci"] == pytest.approx(control_scores(y, p, np.arange(600), CLASSES, resamples=200)["auroc_ci"])


def test_a_perfect_control_of_few_patients_is_not_said_to_be_certain() -> None:
    y = np.arange(24) % 3
    found = control_scores(y, np.eye(3)[y], np.arange(24), CLASSES, np.eye(3)[y])
    assert found["ratio"] == 1.0
    assert 0.6 < found["auroc_ci"][0] < found["auroc_ci"][1] == 1.0
    assert found["ratio_ci"][0] < 1 < found["ratio_ci"][1]
    weak = np.where(np.arange(24)[:, None] % 2 == 0, np.eye(3)[y], np.full((24, 3), 1 / 3))
    doubtful = control_scores(y, np.eye(3)[y], np.arange(24), CLASSES, 0.2 * weak + 0.8 * drawn(0.0, 24)[1])
    assert doubtful["auroc_ci"] is not None
    assert doubtful["ratio_ci"] is None, "the model may be at chance"


def test_what_does_not_fit_together_is_refused() -> None:
    y, p = drawn(1.0, 6)
    with pytest.raises(ValueError, match="Groups of 6 images"):
        control_scores(y, p, np.arange(5), CLASSES)
    with pytest.raises(ValueError, match="6 images and 3 classes"):
        control_scores(y, p, np.arange(6), CLASSES, p[:5])
