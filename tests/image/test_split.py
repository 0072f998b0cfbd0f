from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from cxrfeat.errors import SplitError
from cxrfeat.image.regroup import regroup, torn
from cxrfeat.image.split import NO_PART, Parts, check_parts, digest, folds, own_way, split
from cxrfeat.spec import SplitSpec
from cxrfeat.types import Groups, Labels, Part
from tests.effort import expensive
from tests.image.groups import CLASSES, SOME

SPECS = st.builds(
    SplitSpec,
    by=st.sampled_from(["group", "date"]),
    test=st.sampled_from([0.1, 0.2, 0.3, 0.5]),
    validation=st.sampled_from([0.1, 0.25]),
    seed=st.integers(0, 5),
)


def dates_of(keys: list[str]) -> list[str]:
    return [f"2020-{int(key, 16) % 12 + 1:02d}-01" for key in keys]


def attempt(spec: SplitSpec, labels: Labels, groups: Groups, keys: list[str]) -> Parts | str:
    try:
        return split(spec, labels, groups, CLASSES, dates=dates_of(keys), keys=keys)
    except SplitError as error:
        return str(error)


@expensive(15, 60)
@given(SOME, SPECS)
def test_no_group_is_in_two_parts_and_every_class_in_each(
    some: tuple[Labels, Groups, list[str]], spec: SplitSpec
) -> None:
    labels, groups, keys = some
    parts = attempt(spec, labels, groups, keys)
    if isinstance(parts, str):
        assert spec.by == "date", parts  # the newest images need not hold every class
        return
    assert parts.dtype == np.dtype("<U10")
    assert torn(parts, groups) == 0
    check_parts(parts, labels, groups, CLASSES)


@expensive(15, 60)
@given(SOME, SPECS, st.integers(0, 99))
def test_the_split_depends_on_the_images_and_not_on_their_order(
    some: tuple[Labels, Groups, list[str]], spec: SplitSpec, seed: int
) -> None:
    labels, groups, keys = some
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    renamed = rng.permutation(groups.max() + 1)[groups]
    mixed = [keys[index] for index in order]
    parts, again = attempt(spec, labels, groups, keys), attempt(spec, labels[order], renamed[order], mixed)
    if isinstance(parts, str) or isinstance(again, str):
        assert parts == again
        return
    np.testing.assert_array_equal(parts[order], again)
    assert digest(parts, keys) == digest(again, mixed)


@settings(max_examples=20)
@given(SOME, st.integers(2, 6))
def test_folds_are_as_even_as_scikit_learns(some: tuple[Labels, Groups, list[str]], count: int) -> None:
    labels, groups, keys = some
    ours = folds(labels, groups, CLASSES, count, 0, keys=keys)
    theirs = list(StratifiedGroupKFold(count, shuffle=True, random_state=0).split(labels, labels, groups))
    assert sorted(np.concatenate([test for _, test in ours]).tolist()) == list(range(len(labels)))
    for train, test in ours:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(labels)))

    def unevenness(pairs: Any) -> float:
        return float(np.std([np.bincount(labels[test], minlength=3) for _, test in pairs], axis=0).max())

    assert unevenness(ours) <= unevenness(theirs) + 1.5


@pytest.mark.parametrize(
    ("test", "validation", "counts"),
    [
        (0.2, 0.1, {"train": 432, "validation": 48, "test": 120}),  # one fold of 5, one of 10
        (0.3, 0.1, {"train": 378, "validation": 42, "test": 180}),  # three of 10
        (0.5, 0.5, {"train": 150, "validation": 150, "test": 300}),
        (0.01, 0.1, {"train": 534, "validation": 60, "test": 6}),  # one of 100
    ],
)
@pytest.mark.parametrize("by", ["group", "date", "paper"])
def test_shares_are_as_asked(by: Any, test: float, validation: float, counts: dict[str, int]) -> None:
    labels, groups = np.tile([0, 1, 2], 200), np.arange(600)
    dates = [f"2020-01-{index % 28 + 1:02d}" for index in range(600)]
    parts = split(SplitSpec(by=by, test=test, validation=validation), labels, groups, CLASSES, dates=dates)
    for part, count in counts.items():
        assert abs(int((parts == part).sum()) - count) <= 3
        if by == "group":
            assert np.ptp(np.bincount(labels[parts == part])) <= 3


def test_another_seed_is_another_split() -> None:
    labels, groups = np.tile([0, 1, 2], 50), np.arange(150)
    for by in ("group", "paper"):
        one, other, again = (split(SplitSpec(by=by, seed=seed), labels, groups, CLASSES) for seed in (0, 1, 0))
        assert (one != other).any()
        np.testing.assert_array_equal(one, again)


def test_the_papers_split_tears_groups_and_that_is_seen() -> None:
    labels, groups = np.repeat([0, 1, 2], 100), np.repeat(np.arange(60), 5)
    parts = split(SplitSpec(by="paper"), labels, groups, CLASSES)
    assert torn(parts, groups) > 20


@pytest.mark.parametrize("groups_of_each", [3, 4, 5, 8, 11])
def test_small_data_get_larger_parts_rather_than_parts_without_a_class(groups_of_each: int) -> None:
    labels = np.repeat([0, 1, 2], groups_of_each)
    for seed in range(5):
        parts = split(SplitSpec(seed=seed), labels, np.arange(len(labels)), CLASSES)
        check_parts(parts, labels, np.arange(len(labels)), CLASSES)


def test_a_rare_class_does_not_change_the_shares() -> None:
    labels = np.array([0] * 400 + [1] * 400 + [2] * 4)
    parts = split(SplitSpec(), labels, np.arange(804), CLASSES)
    assert abs((parts == "test").mean() - 0.2) < 0.02


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0, 1], [0, 1], r"Class 'COVID' has 1 image in 1 group .*at least 3 images of 3 groups.*`classes`"),
        ([0] * 9 + [1] * 9, [0, 0, 0, 1, 1, 1, 1, 1, 1, *range(2, 11)], "Class 'COVID' has 9 images in 2 groups"),
        ([0] * 5, [*range(5)], "Class 'NORMAL' has 0 images in 0 groups"),
        ([], [], "no images"),
    ],
)
def test_too_few_groups_are_refused_by_class(labels: list[int], groups: list[int], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split(SplitSpec(), np.array(labels, np.int64), np.array(groups, np.int64), CLASSES[:2])


def test_a_patient_of_two_classes_stays_whole_or_is_refused() -> None:
    labels = np.array([0, 1, 1, 1, 1] + [0] * 20)
    groups = np.array([0, 0, 0, 1, 2, *range(3, 23)])
    parts = split(SplitSpec(), labels, groups, CLASSES[:2])
    assert torn(parts, groups) == 0
    check_parts(parts, labels, groups, CLASSES[:2])
    # Each class is in three groups, but only the last holds one class alone.
    labels, groups = np.array([0, 1, 0, 1, 0, 2, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2, 3, 3, 4])
    with pytest.raises(SplitError, match="cannot be split with every class in every part: class 'COVID' has only 3"):
        split(SplitSpec(), labels, groups, CLASSES)


def test_the_newest_images_are_the_test_part_groups_whole() -> None:
    labels = np.tile([0, 1], 50)
    groups = np.arange(100) // 2 * 2 + labels  # no two classes in a group
    groups[0] = groups[98]  # an old image of a patient seen again
    dates = [f"2020-{index // 28 + 1:02d}-{index % 28 + 1:02d}" for index in range(100)]
    parts = split(SplitSpec(by="date"), labels, groups, CLASSES[:2], dates=dates)
    assert set(np.flatnonzero(parts == "test").tolist()) == {0, *range(81, 100)}


def test_images_without_a_date_are_in_no_part_and_without_any_there_is_no_split() -> None:
    labels, groups = np.tile([0, 1], 10), np.arange(20)
    spec = SplitSpec(by="date")
    dates = [None, "", *(f"2020-01-{day:02}" for day in range(1, 19))]
    parts = split(spec, labels, groups, CLASSES[:2], dates=dates)
    assert parts[:2].tolist() == [NO_PART] * 2
    alone = split(spec, labels[2:], groups[2:], CLASSES[:2], dates=dates[2:])
    assert parts[2:].tolist() == alone.tolist(), "the others are parted as if these were not there"
    with pytest.raises(SplitError, match=r"'COVID' has 2 images in 2 .*\(15 of 20 images have no date"):
        split(spec, labels, groups, CLASSES[:2], dates=[None] * 15 + ["2020-01-01"] * 5)
    with pytest.raises(SplitError, match="20 of 20 images have no date"):
        split(spec, labels, groups, CLASSES[:2])


def test_a_class_that_stopped_early_cannot_be_split_by_date() -> None:
    labels = np.repeat([0, 1], 20)
    dates = [f"20{index + 10}-01-01" for index in range(40)]
    with pytest.raises(SplitError, match="No image of class 'COVID' falls into the test part: the class has 20 images"):
        split(SplitSpec(by="date"), labels, np.arange(40), CLASSES[:2], dates=dates)


def test_the_datas_own_split_is_kept_even_if_it_tears_groups() -> None:
    labels, groups = np.tile([0, 1], 15), np.zeros(30, np.int64)
    column = [Part.TRAIN] * 10 + [Part.VALIDATION] * 10 + [Part.TEST] * 10
    parts = split(SplitSpec(by="column"), labels, groups, CLASSES[:2], column=column)
    assert parts.tolist() == [str(part) for part in column]
    assert torn(parts, groups) == 1


def test_a_missing_validation_part_is_cut_from_train_groups_whole() -> None:
    labels, groups = np.tile([0, 1], 60), np.arange(120) // 4 * 2 + np.tile([0, 1], 60)
    column = [Part.TRAIN] * 100 + [Part.TEST] * 20
    parts = split(SplitSpec(by="column"), labels, groups, CLASSES[:2], column=column)
    assert set(parts[100:].tolist()) == {"test"}
    assert 6 <= (parts == "validation").sum() <= 14
    assert torn(parts, groups) == 0


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, "8 of 8 images have no part"),
        ([None] * 2 + [Part.TRAIN] * 6, r"no test part, only train.*\(2 of 8 images have no part"),
        ([None] * 8, "8 of 8 images have no part"),
        ([None] * 6 + [Part.TRAIN, Part.TEST], r"'COVID' has 1 image.*\(6 of 8 images have no part"),
        ([Part.TRAIN] * 8, "no test part, only train"),
        ([Part.TEST] * 4 + [Part.VALIDATION] * 4, "no train part, only test, validation"),
        ([Part.TRAIN] * 4 + [Part.VALIDATION] * 2 + [Part.TEST, Part.VALIDATION], "'NORMAL' falls into the test part"),
        ([Part.TRAIN] * 2 + [Part.TEST] * 6, "in the data's own train part, class 'COVID' has only 1 group"),
    ],
)
def test_a_column_that_is_no_split_is_refused(column: list[Part | None] | None, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        split(SplitSpec(by="column"), np.tile([0, 1], 4), np.arange(8), CLASSES[:2], column=column)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: folds(np.tile([0, 1], 3), np.arange(6), CLASSES[:2], 4, 0), "'COVID' has 3 groups .*fewer than the 4"),
        (lambda: folds(np.tile([0, 1], 3), np.arange(6), CLASSES[:2], 1, 0), "at least 2 folds; got 1"),
    ],
)
def test_folds_that_cannot_be_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        call()


@expensive(12, 50)
@given(SOME, st.integers(0, 99))
def test_images_without_a_part_stay_in_none_and_change_nothing_for_the_others(
    some: tuple[Labels, Groups, list[str]], seed: int
) -> None:
    labels, groups, keys = some
    drawn = np.random.default_rng(seed).choice(["train", "validation", "test", NO_PART], len(labels))
    column = [None if part == NO_PART else Part(part) for part in drawn.tolist()]
    assume(all(set(labels[drawn == part].tolist()) == {0, 1, 2} for part in Part))
    assert own_way(None, column) == "column"
    assert split(SplitSpec(by="column"), labels, groups, CLASSES, column=column, keys=keys).tolist() == drawn.tolist()
    inside = drawn != NO_PART
    assert digest(drawn, keys) == digest(drawn[inside], np.array(keys)[inside].tolist())
    assert torn(drawn, groups) == torn(drawn[inside], groups[inside])
    check_parts(drawn, labels, groups, CLASSES)
    mended = regroup(drawn, groups, labels)
    assert mended[~inside].tolist() == drawn[~inside].tolist()
    assert mended[inside].tolist() == regroup(drawn[inside], groups[inside], labels[inside]).tolist()


def test_a_missing_validation_part_is_not_cut_from_images_without_a_part() -> None:
    labels, groups = np.tile([0, 1], 60), np.arange(120)
    column = [Part.TRAIN] * 60 + [None] * 40 + [Part.TEST] * 20
    parts = split(SplitSpec(by="column"), labels, groups, CLASSES[:2], column=column)
    assert set(parts[60:100].tolist()) == {NO_PART}
    assert set(parts[:60].tolist()) == {"train", "validation"}


def test_a_class_whose_images_have_no_part_is_missing() -> None:
    labels = np.repeat([0, 1], 6)
    parts = np.array(["train", "validation", "test"] * 3 + [NO_PART] * 3)
    check_parts(parts, labels, np.arange(12), CLASSES[:2])
    parts[labels == 1] = NO_PART
    with pytest.raises(SplitError, match=r"'NORMAL' falls into the test part: the class has 0 images"):
        check_parts(parts, labels, np.arange(12), CLASSES[:2])


def test_the_digest_names_contents_and_parts() -> None:
    parts, keys = np.array(["train", "test", "train"]), ["a", "b", "a"]
    assert digest(parts, keys) == digest(parts[[2, 1, 0]], ["a", "b", "a"])
    assert digest(parts, keys) != digest(parts, ["a", "c", "a"])
    assert digest(parts, keys) != digest(np.array(["train", "test", "validation"]), keys)
    assert digest(parts, keys) != digest(parts[:2], keys[:2])
    assert len(digest(parts, keys)) == 64


def test_a_class_under_two_names_is_named_as_the_likely_cause() -> None:
    labels = np.array([0] * 8 + [1] * 8 + [2] * 2)
    with pytest.raises(SplitError, match=r"Class 'covid' has 2 images.*Or is it 'COVID'\? These names differ in case"):
        split(SplitSpec(), labels, np.arange(18), ["COVID", "NORMAL", "covid"])
    with pytest.raises(SplitError) as raised:
        split(SplitSpec(), labels, np.arange(18), ["COVID", "NORMAL", "OTHER"])
    assert "Or is it" not in str(raised.value)
