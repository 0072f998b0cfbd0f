"""A torn group goes whole to one side, and the parts stay about as large as they were."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.image.regroup import regroup, torn
from cxrfeat.types import Groups, Labels
from tests.effort import expensive
from tests.image.groups import SOME


def test_regroup_moves_torn_groups_to_where_most_of_them_are() -> None:
    #                  torn 2:1    whole  a tie   torn 1:2
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 5])
    parts = np.array(["test", "test", "train", "test", "test", "test", "train", "train", *["validation"] * 3, "train"])
    labels = np.zeros(12, np.int64)
    mended = regroup(parts, groups, labels)
    expected = ["test"] * 5 + ["train"] * 2 + ["validation"] * 4 + ["train"]
    assert mended.tolist() == expected
    assert torn(mended, groups) == 0


def test_regroup_shares_ties_so_that_the_test_part_keeps_its_images() -> None:
    # 196 patients with one image in train and one in test, and 4 whole ones in test: majority has nothing to say.
    parts = np.array(["train", "test"] * 196 + ["test"] * 4 + ["train"] * 500 + ["validation"] * 50)
    groups = np.concatenate([np.repeat(np.arange(196), 2), 196 + np.arange(554)])
    labels = np.concatenate([np.repeat(np.arange(196) % 2, 2), np.arange(554) % 2])
    mended = regroup(parts, groups, labels)
    assert torn(mended, groups) == 0
    for label in (0, 1):
        assert ((mended == "test") & (labels == label)).sum() == 100
    assert (mended == "validation").sum() == 50


def test_regroup_keeps_a_part_that_is_nowhere_in_the_majority() -> None:
    # Each of 100 patients has three images in train and one in test: the test part keeps its hundred all the same.
    parts, groups = np.array(["train", "train", "train", "test"] * 100), np.repeat(np.arange(100), 4)
    mended = regroup(parts, groups, np.repeat(np.arange(100) % 2, 4))
    assert torn(mended, groups) == 0
    assert (mended == "test").sum() == 100


def test_regroup_moves_no_more_images_than_sizes_ask_for() -> None:
    # The sizes stay when each of these patients goes to where it mostly is, and so they would the other way round.
    parts = np.array(["test", "test", "test", "train", "test", "train", "train", "train"] * 5 + ["test"] * 30)
    groups = np.concatenate([np.repeat(np.arange(10), 4), 10 + np.arange(30)])
    mended = regroup(parts, groups, np.zeros(70, np.int64))
    assert (mended != parts).sum() == 10
    assert mended[:40].tolist() == (["test"] * 4 + ["train"] * 4) * 5


@expensive(12, 50)
@given(st.integers(0, 999), st.integers(2, 4), st.integers(1, 3))
def test_regroup_keeps_the_sizes_of_parts_class_by_class(seed: int, most: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(150), rng.integers(1, most + 1, 150))
    labels = rng.integers(0, classes, 150)[groups]
    parts = rng.choice(["train", "validation", "test"], len(groups), p=[0.7, 0.1, 0.2])
    mended = regroup(parts, groups, labels)
    assert torn(mended, groups) == 0
    for part, slack in (("test", 2 * most), ("validation", 2 * most), ("train", 4 * most)):
        for label in range(classes):
            was, now = (int(((each == part) & (labels == label)).sum()) for each in (parts, mended))
            assert abs(was - now) <= slack, (part, label, was, now)


def test_regroup_leaves_a_class_where_it_was_the_last() -> None:
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 3, 4])
    labels = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0])
    parts = np.array(["train", "train", "test", "train", "train", "test", "train", "test", "validation"])
    mended = regroup(parts, groups, labels)
    assert torn(mended, groups) == 0
    assert {"train", "test"} <= set(mended[labels == 1].tolist())


@expensive(12, 100)
@given(SOME, st.integers(0, 99))
def test_regroup_mends_any_split_and_only_what_is_torn(some: tuple[Labels, Groups, list[str]], seed: int) -> None:
    labels, groups, _ = some
    parts = np.random.default_rng(seed).choice(["train", "validation", "test"], len(labels))
    mended = regroup(parts, groups, labels)
    assert torn(mended, groups) == 0
    np.testing.assert_array_equal(regroup(mended, groups, labels), mended)
    for group in np.unique(groups):
        if len(set(parts[groups == group])) == 1:
            np.testing.assert_array_equal(mended[groups == group], parts[groups == group])
