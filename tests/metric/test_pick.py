from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cxrfeat.metric.pick import by_margin, diverse, typical


def clusters(sizes: tuple[int, ...] = (40, 20, 10), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1 around as many directions as there are sizes, and which each is of."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.eye(8)[of] + 0.1 * rng.normal(size=(len(of), 8))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), of


NONE = np.empty(0, np.intp)


def test_narrow_decisions_come_first_and_a_group_gives_one_before_any_gives_two() -> None:
    p = np.array([[0.5, 0.5], [0.51, 0.49], [0.6, 0.4], [0.9, 0.1]])
    rows, margins = by_margin(p, np.array([0, 0, 1, 2]), np.arange(4), 4)
    assert rows.tolist() == [0, 2, 3, 1]
    np.testing.assert_allclose(margins, [0, 0.2, 0.8, 0.02])
    assert by_margin(p, np.arange(4), np.array([1, 3]), 9)[0].tolist() == [1, 3]


def test_diverse_images_are_of_every_cluster_and_far_from_those_with_labels() -> None:
    unit, of = clusters()
    rows, far = diverse(unit, np.arange(70), np.arange(70), NONE, 3)
    assert set(of[rows].tolist()) == {0, 1, 2}
    assert (np.diff(far) <= 0).all()
    labelled = np.flatnonzero(of == 2)[:1]
    pool = np.setdiff1d(np.arange(70), labelled)
    assert set(of[diverse(unit, np.arange(70), pool, labelled, 2)[0]].tolist()) == {0, 1}


def test_typical_images_are_in_the_midst_of_the_largest_clusters_without_labels() -> None:
    unit, of = clusters()
    rows, typicality = typical(unit, np.arange(70), np.arange(70), NONE, 3)
    assert of[rows].tolist() == [0, 1, 2], "the largest first"
    for row in rows:
        inside = unit[of == of[row]]
        assert unit[row] @ inside.mean(0) > np.median(inside @ inside.mean(0))
    assert (typicality > 0).all()
    labelled = np.flatnonzero(of == 0)[:1]
    pool = np.setdiff1d(np.arange(70), labelled)
    assert set(of[typical(unit, np.arange(70), pool, labelled, 2)[0]].tolist()) == {1, 2}


@pytest.mark.parametrize("way", [diverse, typical])
def test_every_image_can_be_chosen_once_each_group_first(way: Callable[..., Any]) -> None:
    unit, _ = clusters((10, 6))
    groups = np.arange(16) // 2
    rows, scores = way(unit, groups, np.arange(16), NONE, 99)
    assert sorted(rows.tolist()) == list(range(16))
    assert len(set(groups[rows[:8]].tolist())) == 8
    assert len(scores) == 16
    given = way(unit, groups, np.arange(1, 16), np.array([0]), 7)[0]
    assert 1 not in given, "its group has a label"
