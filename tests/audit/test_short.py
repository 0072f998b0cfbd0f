from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.audit.short import ShortAudit, check_conflicts, check_quarantine, check_split, check_weights
from cxrfeat.feature.store import FeatureFile
from cxrfeat.study.pieces import part_images
from cxrfeat.types import Part, Status
from tests.audit.verdict import verdict
from tests.study.helpers import PARTS, make_features


def test_random_weights_warn_and_real_ones_pass() -> None:
    assert verdict(check_weights(f"sha256:{'0' * 64}"), "weights") is Status.PASS
    found = check_weights("random:seed=0,keras=3,backend=tensorflow")
    assert verdict(found, "weights") is Status.WARN
    assert "RANDOM WEIGHTS" in found.why


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
        found = ShortAudit(file, part_images(file, fold_count=4).pieces, torn).findings
    assert {one.check: one.status.value for one in found} == {
        "source": "fail", "split": "fail", "weights": "warn", "patients": "warn", "copies": "warn",
        "unreadable": "warn", "labels": "pass", "container": "pass",
        "children": "pass",
    }  # fmt: skip
    order = [("fail", "warn", "pass").index(one.status) for one in found]
    assert order == sorted(order)


def test_a_clean_file_passes_every_check(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", sources=["A", "A", "B", "B"] * 20)
    with FeatureFile(path) as file:
        found = ShortAudit(file, part_images(file).pieces, None).findings
    assert [one.status for one in found] == [Status.PASS] * 9
