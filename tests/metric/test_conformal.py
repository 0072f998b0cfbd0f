from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.conformal import conformal, coverage_of

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def patients(count: int, seed: int, *, images: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients of three classes whose images are more alike than those of two; probabilities that are far too sure."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, images + 1, count)
    groups = np.repeat(np.arange(count), sizes)
    y = rng.integers(0, 3, count)[groups]
    logits = 1.5 * np.eye(3)[y] + rng.normal(size=(count, 3))[groups] + 0.3 * rng.normal(size=(len(groups), 3))
    p = np.exp(4 * logits)
    return y, p / p.sum(1, keepdims=True), groups


def test_sets_hold_the_class_of_new_patients_as_often_as_asked_for_each_class_however_sure_the_head_is() -> None:
    held = []
    for seed in range(60):
        y, p, groups = patients(90, seed)
        found = conformal(y, p, groups, CLASSES, 0.9)
        new, q, theirs = patients(120, 1000 + seed)
        sets = found.sets(q)
        right = sets[np.arange(len(new)), new]
        # Patients, not images, are what is drawn alike: one with five images counts as much as one with one.
        weights = 1 / np.bincount(theirs)[theirs]
        held.append([np.average(right[new == index], weights=weights[new == index]) for index in range(3)])
    assert np.mean(held, axis=0) == pytest.approx(0.9, abs=0.03)
    assert np.mean(held) >= 0.895


def test_more_coverage_asked_gives_larger_sets_and_too_few_patients_hold_every_class() -> None:
    y, p, groups = patients(200, 0)
    sizes = [conformal(y, p, groups, CLASSES, coverage).sets(p).sum() for coverage in (0.5, 0.8, 0.95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    y, p, groups = patients(12, 1)
    found = conformal(y, p, groups, CLASSES, 0.95)  # at least 19 patients of a class could leave it out
    assert found.least == dict.fromkeys(CLASSES, 0.0)
    assert found.sets(p).all()


def test_a_class_that_nobody_has_is_never_left_out_and_no_share_is_refused() -> None:
    y, p, groups = patients(60, 2)
    found = conformal(np.minimum(y, 1), p, groups, CLASSES, 0.9)
    assert found.least["PNEUMONIA"] == 0
    assert found.groups["PNEUMONIA"] == 0
    with pytest.raises(ValueError, match="a share of cases between 0 and 1; got 1"):
        conformal(y, p, groups, CLASSES, 1)


def test_the_order_of_images_and_names_of_groups_decide_nothing() -> None:
    y, p, groups = patients(80, 3)
    order = np.random.default_rng(0).permutation(len(y))
    assert conformal(y, p, groups, CLASSES) == conformal(y[order], p[order], 1000 - groups[order], CLASSES)


def test_coverage_is_counted_with_what_sets_say() -> None:
    sets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], bool)
    found = coverage_of(sets, np.array([0, 0, 2, 1]), np.arange(4), CLASSES)
    assert found["coverage"] == 0.75
    assert (found["single"], found["several"], found["all"], found["none"]) == (0.25, 0.25, 0.25, 0.25)
    assert found["coverage_per_class"] == {"COVID": 1.0, "NORMAL": 0.0, "PNEUMONIA": 1.0}
    assert found["size"] == 1.5
