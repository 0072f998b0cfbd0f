from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.audit.people import check_children, check_labels, check_patients, metadata_features
from cxrfeat.types import Status
from tests.audit.verdict import verdict

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


def test_columns_that_say_nothing_are_no_control() -> None:
    columns = {
        "age": np.array([np.nan, np.nan, np.nan]),
        "sex": np.array(["", "", ""]),
        "view_position": np.array(["AP", "PA", ""]),
        "same": np.array(["x", "x", "x"]),
    }
    made = metadata_features(columns)
    assert list(made) == ["view_position"]
    assert made["view_position"].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
