from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.audit.short import (
    check_conflicts,
    check_patients,
    check_quarantine,
    check_sources,
    check_split,
    check_weights,
    short_audit,
)
from cxrfeat.feature.store import FeatureFile
from cxrfeat.types import Finding, Part, Status
from tests.study.helpers import PARTS, make_features

AB = ("COVID", "NORMAL")


def verdict(finding: Finding, check: str) -> Status:
    """The status of a finding that is of this check, with a sentence, and a remedy unless all is well."""
    assert finding.check == check
    assert finding.why.endswith(".")
    assert bool(finding.do) == (finding.status is not Status.PASS)
    return finding.status


def test_random_weights_warn_and_real_ones_pass() -> None:
    assert verdict(check_weights(f"sha256:{'0' * 64}"), "weights") is Status.PASS
    found = check_weights("random:seed=0,keras=3,backend=tensorflow")
    assert verdict(found, "weights") is Status.WARN
    assert "RANDOM WEIGHTS" in found.why


@pytest.mark.parametrize(
    ("labels", "sources", "status", "value"),
    [
        ([0, 0, 1, 1], ["A", "B", "A", "B"], Status.PASS, 0.5),
        ([0, 0, 1, 1], ["A", "A", "A", "A"], Status.PASS, 0.5),
        ([0, 0, 0, 0, 1, 1, 1, 1], ["A", "A", "A", "B", "A", "B", "B", "B"], Status.WARN, 0.75),
        ([0, 0, 1, 1], ["A", "A", "A", None], Status.WARN, None),
        ([0, 0, 1, 1], [None] * 4, Status.WARN, None),
        ([0, 0, 1, 1], ["A", "A", "B", "B"], Status.FAIL, 1.0),
        ([0, 0, 0, 1], ["A", "B", "B", "C"], Status.FAIL, 1.0),
    ],
    ids=["balanced", "one source", "lopsided", "one unknown", "all unknown", "disjoint", "disjoint, many"],
)
def test_a_source_that_tells_the_class_is_found(
    labels: list[int], sources: list[str | None], status: Status, value: float | None
) -> None:
    found = check_sources(np.array(labels), sources, AB)
    assert verdict(found, "source") is status
    assert found.value == (pytest.approx(value) if value is not None else None)


def test_a_pair_of_classes_without_a_common_source_is_named() -> None:
    found = check_sources(np.array([0, 1, 1, 2]), ["A", "A", "B", "B"], ("COVID", "NORMAL", "PNEUMONIA"))
    assert found.status is Status.FAIL
    assert "COVID and PNEUMONIA share no source" in found.why
    assert "NORMAL share" not in found.why


def test_unknown_patients_warn_and_are_counted() -> None:
    assert verdict(check_patients(np.array([True, True])), "patients") is Status.PASS
    found = check_patients(np.array([True, False, False]))
    assert verdict(found, "patients") is Status.WARN
    assert found.value == 2
    assert "2 of 3 images" in found.why


def test_a_split_that_tears_a_patient_fails() -> None:
    groups = np.array([0, 0, 1, 1])
    whole = np.array([Part.TRAIN, Part.TRAIN, Part.TEST, Part.TEST])
    torn = np.array([Part.TRAIN, Part.TEST, Part.TEST, Part.TEST])
    assert verdict(check_split(whole, groups), "split") is Status.PASS
    assert verdict(check_split(None, groups), "split") is Status.PASS, "grouped folds cannot leak"
    found = check_split(torn, groups)
    assert verdict(found, "split") is Status.FAIL
    assert found.value == 1
    assert "--regroup" in found.do


@pytest.mark.parametrize(
    ("labels", "contents", "status", "value"),
    [
        ([0, 1, 0], ["a", "b", "c"], Status.PASS, 0),
        ([0, 0, 1, 0], ["a", "a", "b", "a"], Status.WARN, 2),
        ([0, 1, 0, 0], ["a", "a", "b", "b"], Status.FAIL, 1),
    ],
)
def test_copies_warn_and_copies_under_another_label_fail(
    labels: list[int], contents: list[str], status: Status, value: int
) -> None:
    found = check_conflicts(np.array(labels), contents)
    assert verdict(found, "copies") is status
    assert found.value == value


def test_unreadable_images_warn() -> None:
    assert verdict(check_quarantine(0, 10), "unreadable") is Status.PASS
    found = check_quarantine(2, 10)
    assert verdict(found, "unreadable") is Status.WARN
    assert "2 of 12 images" in found.why


def test_the_audit_of_a_file_puts_what_failed_first(tmp_path: Path) -> None:
    contents = [f"{index // 2:064x}" if index in (0, 1) else f"{index + 9:064x}" for index in range(80)]
    path = make_features(
        tmp_path / "f.h5",
        weights="random:seed=0,keras=3,backend=tensorflow",
        sources=["A"] * 40 + ["B"] * 40,
        contents=contents,
        unknown_patients=5,
        bad=3,
    )
    torn = np.array([PARTS[index % 3] for index in range(80)])
    with FeatureFile(path) as file:
        found = short_audit(file, torn)
    assert {one.check: one.status.value for one in found} == {
        "source": "fail", "split": "fail", "weights": "warn", "patients": "warn", "copies": "warn", "unreadable": "warn"
    }  # fmt: skip
    order = [("fail", "warn", "pass").index(one.status) for one in found]
    assert order == sorted(order)


def test_a_clean_file_passes_every_check(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", sources=["A", "A", "B", "B"] * 20)
    with FeatureFile(path) as file:
        found = short_audit(file, None)
    assert [one.status for one in found] == [Status.PASS] * 6
