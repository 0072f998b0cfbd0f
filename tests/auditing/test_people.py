from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.control import column_scores
from cxrfeat.auditing.people import (
    check_children,
    check_labels,
    check_mixed,
    check_patients,
    check_unknown,
    metadata_columns,
)
from cxrfeat.auditing.short import check_column
from cxrfeat.feature.split import Fold
from cxrfeat.image.patient import MixedPatients
from cxrfeat.types import Finding, Status
from tests.auditing.verdict import verdict

CLASSES = ("COVID", "NORMAL")


def test_unknown_patients_warn_and_are_counted() -> None:
    assert verdict(check_patients(np.array([True, True])), "patients") is Status.PASS
    found = check_patients(np.array([True, False, False]))
    assert verdict(found, "patients") is Status.WARN
    assert found.value == 2
    assert "2 of 3 images" in found.why


def test_a_patient_with_two_labels_is_named_and_one_with_one_is_not() -> None:
    groups, known = np.array([0, 0, 1, 1, 2, 2]), np.array([True, True, True, True, False, True])
    assert verdict(check_labels(np.array([0, 0, 1, 1, 0, 1]), groups, known), "labels") is Status.PASS
    found = check_labels(np.array([0, 1, 1, 1, 0, 1]), groups, known, tuple("abcdef"))
    assert verdict(found, "labels") is Status.WARN
    assert (found.value, found.images) == (1, ("a", "b"))


@pytest.mark.parametrize(
    ("ages", "status"),
    [
        ([30, 40, 50, 60], Status.PASS),
        ([5, 40, 6, 60], Status.PASS),
        ([30, 40, 50, 60, 30, 40, 5, 60], Status.WARN),
        ([30, 40, 5, 6], Status.FAIL),
    ],
)
def test_children_tied_to_a_class_are_found(ages: list[float], status: Status) -> None:
    labels = np.repeat([0, 1], len(ages) // 2)
    found = check_children(np.array(ages, np.float64), labels, CLASSES)
    assert found is not None
    assert verdict(found, "children") is status


def test_no_age_is_no_finding() -> None:
    assert check_children(np.full(4, np.nan), np.array([0, 0, 1, 1]), CLASSES) is None


def test_one_known_child_is_no_class_of_children_and_one_unknown_age_changes_nothing() -> None:
    labels = np.repeat([0, 1], 30)
    ages = np.where(labels == 0, 50.0, 60.0)
    ages[30:] = np.nan
    ages[30] = 4
    found = check_children(ages, labels, CLASSES)
    assert found is not None
    assert verdict(found, "children") is Status.WARN
    assert "NORMAL (1 of 30 known)" in found.why
    for children, status in ((0, Status.PASS), (9, Status.WARN), (20, Status.FAIL)):
        ages = np.full(60, 50.0)
        ages[:children] = 5
        for unknown in (None, 0, 59):
            seen = ages.copy()
            if unknown is not None:
                seen[unknown] = np.nan
            told = check_children(seen, labels, CLASSES)
            assert told is not None
            assert told.status is status


def test_columns_that_say_nothing_are_no_control_and_what_is_unknown_is_no_value() -> None:
    columns = {
        "age": np.array([np.nan, np.nan, np.nan]),
        "sex": np.array(["", "", ""]),
        "view_position": np.array(["AP", "PA", ""]),
        "same": np.array(["x", "x", ""]),
    }
    made = metadata_columns(columns)
    assert list(made) == ["view_position"]
    assert made["view_position"].seen.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert made["view_position"].known.tolist() == [True, True, False]


def told_of(texts: list[str], labels: Any) -> Finding | None:
    """The finding on a column of 40 patients a class, cross-validated in two folds."""
    groups, rows = np.arange(80), np.arange(80)
    folds = [
        Fold(name="", train=rows[rows % 2 == side], validation=rows[:0], test=rows[rows % 2 != side]) for side in (0, 1)
    ]
    column = metadata_columns({"sex": np.array(texts)})["sex"]
    scores = column_scores(column, labels, groups, folds, CLASSES)
    return check_column("sex", column, scores, {"COVID": 40, "NORMAL": 40})


@pytest.mark.parametrize(("male", "status"), [((40, 0), Status.FAIL), ((34, 8), Status.WARN), ((20, 20), Status.PASS)])
def test_a_column_is_judged_by_what_it_says_whatever_it_leaves_out(male: tuple[int, int], status: Status) -> None:
    labels = np.repeat([0, 1], 40)
    rng = np.random.default_rng(0)
    texts = [text for count in male for text in rng.permutation(["M"] * count + ["F"] * (40 - count)).tolist()]
    gaps = [[], [79], [0], list(range(40, 56))]  # the last: missing in one class alone, which tells it
    for gap in gaps:
        found = told_of(["" if row in gap else text for row, text in enumerate(texts)], labels)
        assert found is not None
        assert verdict(found, "sex") is status
        assert (f"unknown for {len(gap)} of 80 images" in found.why) == bool(gap)
    few = told_of([text if row < 44 else "" for row, text in enumerate(texts)], labels)
    assert few is not None
    assert few.status is Status.WARN
    assert "4 of NORMAL" in few.why


def test_what_the_metadata_leave_out_is_counted_by_class() -> None:
    labels = np.array([0, 0, 1, 1])
    ages, sexes = np.array([30, np.nan, 40, 50]), np.array(["", "", "", ""])
    found = check_unknown({"age": ages, "sex": sexes}, labels, CLASSES)
    assert found is not None
    assert verdict(found, "unknown metadata") is Status.WARN
    assert found.value == 1
    assert "age unknown for 1 of 2 COVID" in found.why
    assert "sex" not in found.why, "a column that is not there is no gap"
    assert check_unknown({"age": np.array([1.0, 2, 3, 4]), "sex": sexes}, labels, CLASSES) is None


def test_numbers_of_several_people_warn_and_name_the_images() -> None:
    assert verdict(check_mixed(MixedPatients(), 4), "patient numbers") is Status.PASS
    mixed = MixedPatients(rows=((0, 2),), reasons=(("in several sources", 1),))
    found = check_mixed(mixed, 4, ("a.png", "b.png", "c.png"))
    assert verdict(found, "patient numbers") is Status.WARN
    assert (found.value, found.images) == (1, ("a.png", "c.png"))
    assert "1 of 4 patient numbers" in found.why
