from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing import control
from cxrfeat.auditing.control import check_control, check_controls, check_outside, control_probabilities
from cxrfeat.auditing.short import check_thumbnail
from cxrfeat.feature.split import Fold
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.run.document import ControlScores
from cxrfeat.run.record import from_json
from cxrfeat.types import Status
from tests.auditing.verdict import verdict


def scores(auroc: float, ratio: float | None = None, groups: int = 100) -> dict[str, Any]:
    """Of a control, with intervals of 0.05 to both sides."""
    told: dict[str, Any] = {"accuracy": 0.5, "accuracy_ci": [0.4, 0.6]}
    enough = groups >= LEAST_GROUPS
    told |= {"judged": ["a", "b"] if enough else [], "too_few": {} if enough else {"a": groups, "b": groups}}
    told |= {"auroc": auroc, "auroc_ci": [auroc - 0.05, auroc + 0.05]}
    if ratio is not None:
        told |= {"ratio": ratio, "ratio_ci": [ratio - 0.05, ratio + 0.05]}
    return told


@pytest.mark.parametrize(
    ("auroc", "status"),
    [(0.50, Status.PASS), (0.64, Status.PASS), (0.66, Status.WARN), (0.84, Status.WARN), (0.86, Status.FAIL)],
)
def test_what_is_no_part_of_the_picture_is_judged_by_the_lower_end_of_its_auroc(auroc: float, status: Status) -> None:
    found = check_outside("container", "Files", "Judge within one source.", scores(auroc))
    assert verdict(found, "container") is status
    assert found.value == auroc


@pytest.mark.parametrize(
    ("ratio", "status"),
    [(0.0, Status.PASS), (0.54, Status.PASS), (0.56, Status.WARN), (0.84, Status.WARN), (0.86, Status.FAIL)],
)
def test_what_sees_no_lungs_is_judged_by_its_share_of_the_models_score(ratio: float, status: Status) -> None:
    found = check_control("lungs out", "Images", "Look.", scores(0.9, ratio))
    assert verdict(found, "lungs out") is status
    assert found.value == ratio
    assert f"{ratio:.2f} [" in found.why


def test_without_a_model_a_control_is_judged_by_itself() -> None:
    assert verdict(check_control("thumbnail", "Thumbnails", "Look.", scores(0.9)), "thumbnail") is Status.FAIL
    chance = scores(0.9) | {"ratio": None, "ratio_ci": None}
    assert verdict(check_control("thumbnail", "Thumbnails", "Look.", chance), "thumbnail") is Status.FAIL


def test_a_few_patients_prove_nothing() -> None:
    found = check_outside("container", "Files", "Judge.", scores(1.0, groups=LEAST_GROUPS - 1))
    assert verdict(found, "container") is Status.WARN
    assert "could not be tested" in found.why
    assert check_outside("container", "Files", "Judge.", scores(1.0, groups=LEAST_GROUPS)).status is Status.FAIL


def test_a_small_class_is_said_once_and_hides_nothing_of_the_others() -> None:
    assert check_controls({"a": LEAST_GROUPS, "b": LEAST_GROUPS}) is None
    some = check_controls({"a": 40, "b": 40, "c": 4})
    assert some is not None
    assert verdict(some, "controls") is Status.WARN
    assert "tested among a and b alone" in some.why
    assert "4 of c" in some.why
    none = check_controls({"a": 40, "c": 4})
    assert none is not None
    assert "could not be tested" in none.why


def test_a_class_that_a_piece_cannot_learn_has_no_probability() -> None:
    labels = np.array([0, 1, 0, 1, 2, 2])
    seen = np.eye(3, dtype=np.float32)[labels]
    folds = [Fold(name="a", train=np.arange(4), validation=np.arange(0), test=np.arange(4, 6))]
    told = control_probabilities(seen, labels, folds, ("a", "b", "c"))
    assert (told[:, 2] == 0).all()
    np.testing.assert_allclose(told.sum(axis=1), 1)
    alone = [Fold(name="a", train=np.array([0, 2]), validation=np.arange(0), test=np.array([1]))]
    assert control_probabilities(seen, labels, alone, ("a", "b", "c")).tolist() == [[1 / 3] * 3]


def test_thumbnails_are_told_once_there_is_a_model() -> None:
    assert check_thumbnail({}) == []
    assert check_thumbnail({"thumbnail": from_json(ControlScores, scores(0.9, 0.3, groups=2))}) == []
    (found,) = check_thumbnail({"thumbnail": from_json(ControlScores, scores(0.9, 0.95))})
    assert verdict(found, "thumbnail") is Status.FAIL


@pytest.mark.parametrize("width", [4, 400])
def test_a_control_learns_from_the_training_images_alone_and_is_asked_of_the_test_images(width: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    seen = (np.eye(3)[labels] @ rng.normal(size=(3, width)) * 3 + rng.normal(size=(90, width))).astype(np.float32)
    folds = [
        Fold(name="a", train=np.arange(30, 90), validation=np.arange(0), test=np.arange(30)[::-1]),
        Fold(name="b", train=np.arange(60), validation=np.arange(0), test=np.arange(60, 90)),
    ]
    told = control_probabilities(seen, labels, folds, ("a", "b", "c"))
    rows = np.concatenate([fold.test for fold in folds])
    assert told.shape == (60, 3)
    assert (told.argmax(axis=1) == labels[rows]).mean() > 0.9
    others = seen.copy()
    others[1:30] = 1e3  # images that test, but one
    again = control_probabilities(others, labels, folds[:1], ("a", "b", "c"))
    np.testing.assert_allclose(again[-1], told[29], atol=1e-12)
    assert not np.allclose(again[:-1], told[:29])


def test_of_very_many_training_images_a_draw_from_each_class_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [3000, 900, 20])
    seen = rng.normal(labels[:, None], 1.0, (len(labels), 3)).astype(np.float32)
    rows = rng.permutation(len(labels))
    fold = Fold(name="test", train=np.sort(rows[:3000]), validation=rows[:0], test=rows[3000:])
    whole = control_probabilities(seen, labels, [fold], ("A", "B", "C"))
    monkeypatch.setattr(control, "MOST_TRAINED", 600)
    chosen, weights = control._enough(fold.train, labels)
    assert weights is not None
    assert (len(chosen), set(labels[chosen].tolist())) == (400 + int((labels[fold.train] == 2).sum()), {0, 1, 2})
    np.testing.assert_allclose(np.bincount(labels[chosen], weights), np.bincount(labels[fold.train]))
    assert np.isin(chosen, fold.train).all()
    drawn = control_probabilities(seen, labels, [fold], ("A", "B", "C"))
    assert np.corrcoef(whole.ravel(), drawn.ravel())[0, 1] > 0.99, "as many of each class as there are count"
