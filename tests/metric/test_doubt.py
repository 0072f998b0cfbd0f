from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.metric.doubt import Doubt, doubt_labels

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def noisy(images: int = 300, share: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of which a share is wrong, probabilities that know better most of the time, and which are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, images)
    logits = rng.normal(size=(images, 3)) + 3 * np.eye(3)[truth]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = np.zeros(images, bool)
    wrong[rng.choice(images, round(share * images), replace=False)] = True
    return np.where(wrong, (truth + rng.integers(1, 3, images)) % 3, truth), p, wrong


def found(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None) -> Doubt:
    return doubt_labels(y, p, np.arange(len(y)) if groups is None else groups, CLASSES)


def test_wrong_labels_come_first_and_are_counted() -> None:
    y, p, wrong = noisy()
    doubt = found(y, p)
    assert wrong[doubt.order[:15]].all()
    assert doubt.expected_wrong_ci is not None
    low, high = doubt.expected_wrong_ci
    assert low < wrong.sum() < high
    assert low < doubt.expected_wrong < high
    np.testing.assert_allclose(doubt.joint.sum(1), np.bincount(y))
    assert (doubt.suggested != y)[wrong].mean() > 0.7 > 0.15 > (doubt.suggested != y)[~wrong].mean()


def test_few_labels_are_expected_to_be_wrong_where_none_is_and_classes_lie_apart() -> None:
    y, _, _ = noisy(share=0)
    sure = 0.02 + 0.94 * np.eye(3)[y]
    doubt = found(y, sure)
    assert doubt.expected_wrong == 0
    assert doubt.expected_wrong_ci is not None
    assert doubt.expected_wrong_ci[0] == 0 < doubt.expected_wrong_ci[1] < 6, "never without width"
    assert (doubt.suggested == y).all()


def test_joint_and_ranking_are_those_of_cleanlab() -> None:
    count = pytest.importorskip("cleanlab.count", reason="cleanlab, the oracle, is not installed")
    rank = pytest.importorskip("cleanlab.rank")
    for seed in range(5):
        y, p, _ = noisy(seed=seed, share=0.2)
        doubt = found(y, p)
        joint = count.compute_confident_joint(y, p, calibrate=True)
        np.testing.assert_allclose(doubt.joint, joint, atol=2, err_msg="cleanlab rounds to whole images")
        np.testing.assert_allclose(1 - doubt.score, rank.get_label_quality_scores(y, p))


def test_images_of_one_group_are_drawn_together() -> None:
    y, p, _ = noisy(100)
    again = np.repeat(np.arange(100), 4)
    alone, together = found(y, p), found(y[again], p[again], again)
    assert alone.expected_wrong_ci is not None
    assert together.expected_wrong_ci is not None
    np.testing.assert_allclose(np.array(together.expected_wrong_ci) / 4, alone.expected_wrong_ci, rtol=0.15)


def test_with_few_groups_there_is_no_interval() -> None:
    y, p, _ = noisy(70)
    assert found(y, p, np.arange(70) % 7).expected_wrong_ci is None
    assert found(y, p, np.arange(70) % 8).expected_wrong_ci is not None


def test_a_class_without_images_is_suggested_to_nobody() -> None:
    y, p, _ = noisy()
    kept = y != 2
    doubt = found(y[kept], p[kept])
    assert set(doubt.suggested.tolist()) == {0, 1}
    assert (doubt.joint[2] == 0).all()


def test_groups_of_other_images_are_refused() -> None:
    y, p, _ = noisy(30)
    with pytest.raises(ValueError, match="Groups of 30 images"):
        found(y, p, np.arange(29))
