"""Whole groups are dealt out evenly, in an order that is theirs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.image.deal import canonical, cuts, deal, renumbered
from cxrfeat.types import Groups, Labels
from tests.image.groups import SOME


@settings(max_examples=20)
@given(SOME, st.integers(2, 6))
def test_a_group_is_in_one_fold_and_every_fold_has_some(some: tuple[Labels, Groups, list[str]], count: int) -> None:
    labels, groups, _ = some
    fold = deal(labels, renumbered(groups), count, (0, 0))
    assert set(fold.tolist()) == set(range(count))
    for group in np.unique(groups):
        assert len(set(fold[groups == group].tolist())) == 1


@settings(max_examples=20)
@given(SOME, st.integers(0, 99))
def test_the_order_is_that_of_the_images_whatever_their_rows(some: tuple[Labels, Groups, list[str]], seed: int) -> None:
    labels, groups, keys = some
    rows = np.random.default_rng(seed).permutation(len(keys))
    first = canonical(labels, groups, keys)
    again = canonical(labels[rows], groups[rows], [keys[row] for row in rows])
    assert [keys[row] for row in first] == [keys[rows[row]] for row in again]


def test_without_keys_the_rows_keep_their_order_and_groups_are_numbered_as_they_come() -> None:
    groups = np.array([7, 3, 7, 5])
    assert canonical(np.zeros(4, np.int64), groups, None).tolist() == [0, 1, 2, 3]
    assert renumbered(groups).tolist() == [0, 1, 0, 2]


def test_every_cut_takes_whole_groups_and_the_first_about_its_share() -> None:
    labels, groups = np.arange(200) % 2, np.arange(200) // 2
    taken = list(cuts(labels, groups, 0.2, (0, 0)))
    assert int(taken[0].sum()) == 40
    assert len(taken) == 5 + 4 + 3 + 2, "each fold in turn, then fewer folds"
    for one in taken:
        assert not set(groups[one].tolist()) & set(groups[~one].tolist())
