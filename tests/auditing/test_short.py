from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.short import (
    ShortAudit,
    check_exact_copies,
    check_quarantine,
    check_split,
    check_strangers,
    check_weights,
)
from cxrfeat.feature import lazy
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.format import Content
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Split
from cxrfeat.types import Finding, Part, Status
from tests.auditing.verdict import verdict
from tests.workflow.helpers import PARTS, make_features


def split_of(*parts: Part) -> Split:
    names = np.array([part.value for part in parts])
    contents = [f"{index:064x}" for index in range(len(parts))]
    return Split.of(names, contents, np.zeros(len(parts), np.int64), ("A",), by="column", seed=0)


def test_random_weights_warn_and_real_ones_pass() -> None:
    assert verdict(check_weights(f"sha256:{'0' * 64}"), "weights") is Status.PASS
    found = check_weights("random:seed=0,keras=3,backend=tensorflow")
    assert verdict(found, "weights") is Status.WARN
    assert "RANDOM WEIGHTS" in found.why


def test_what_is_found_of_a_file_too_large_for_memory_is_what_is_found_of_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portraits of 84,000 images and more are read as they are asked for; that once ended the audit in an error."""
    path = make_features(tmp_path / "f.h5")
    found = []
    for least in (lazy.LARGE, 0):
        monkeypatch.setattr(lazy, "LARGE", least)
        with FeatureFile(path) as file:
            found.append(ShortAudit(file, file.split()).findings)
    assert found[0] == found[1]


def test_a_split_that_tears_a_patient_fails() -> None:
    groups = np.array([0, 0, 1, 1])
    whole = split_of(Part.TRAIN, Part.TRAIN, Part.TEST, Part.TEST)
    torn = split_of(Part.TRAIN, Part.TEST, Part.TEST, Part.TEST)
    assert verdict(check_split(whole, groups), "split") is Status.PASS
    found = check_split(torn, groups)
    assert verdict(found, "split") is Status.FAIL
    assert found.value == 1
    assert "`regroup_given=True`" in found.do


@pytest.mark.parametrize(
    ("labels", "pixels", "status", "value"),
    [
        ([0, 1, 0], [1, 2, 3], Status.PASS, 0),
        ([0, 0, 1, 0], [1, 1, 2, 1], Status.WARN, 2),
        ([0, 1, 0, 0], [1, 1, 2, 2], Status.FAIL, 1),
    ],
)
def test_copies_warn_and_copies_under_another_label_fail(
    labels: list[int], pixels: list[int], status: Status, value: int
) -> None:
    found = check_exact_copies(np.array(labels), np.array(pixels, np.uint64))
    assert verdict(found, "copies") is status
    assert found.value == value


def test_copies_in_two_parts_are_told() -> None:
    split = split_of(Part.TRAIN, Part.TEST, Part.TEST, Part.TEST)
    found = check_exact_copies(np.zeros(4, np.int64), np.array([1, 1, 2, 2], np.uint64), split)
    assert "1 of them have copies in more than one part" in found.why


def test_images_that_the_feature_file_lacks_are_counted_and_named() -> None:
    assert verdict(check_strangers([], 10), "feature file") is Status.PASS
    found = check_strangers(["a.png"], 10)
    assert verdict(found, "feature file") is Status.WARN
    assert (found.value, found.images) == (1, ("a.png",))
    assert "1 of 10 images are not in the feature file" in found.why


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
        split = Split.of(torn, file.content_sha256, file.labels, file.classes, by="column", seed=0)
        found = ShortAudit(file, split).findings
    assert {one.check: one.status.value for one in found} == {
        "source": "fail", "split": "fail", "weights": "warn", "patients": "warn", "copies": "warn",
        "unreadable": "warn", "labels": "pass", "container": "pass",
        "children": "pass", "patient numbers": "pass",
    }  # fmt: skip
    order = [("fail", "warn", "pass").index(one.status) for one in found]
    assert order == sorted(order)


def test_given_features_it_says_what_else_they_know(tmp_path: Path) -> None:
    sexes = ["F", "M"] * 40
    path = make_features(tmp_path / "f.h5", per_group=1, groups=40, sexes=sexes)
    with FeatureFile(path) as file:
        X = file.arrays()[0]
        X[:, 0] += 8 * (np.array(sexes) == "F")
        found = ShortAudit(file, part_images(file), features=X)
        assert [one.name for one in found.encoded] == ["sex", "source"]
        (sex,) = [one for one in found.findings if one.check == "encoded sex"]
        assert ShortAudit(file, part_images(file)).encoded == ()
    assert verdict(sex, "encoded sex") is Status.PASS
    assert "The features predict the sex" in sex.why


def test_a_clean_file_passes_every_check(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", sources=["A", "A", "B", "B"] * 20)
    with FeatureFile(path) as file:
        found = ShortAudit(file, part_images(file, fold_count=4)).findings
        small = ShortAudit(file, part_images(file)).findings
    assert [one.status for one in found] == [Status.PASS] * 10
    (warned,) = [one for one in small if one.status is not Status.PASS]
    assert verdict(warned, "controls") is Status.WARN, "four patients a class test, and files that do not differ"
    assert "4 of COVID and 4 of NORMAL" in warned.why


def with_columns(path: Path, change: Callable[[Content], None], **fields: Any) -> dict[str, Finding]:
    """The short audit of a file with some columns changed, by check."""
    path = make_features(path, **fields)
    with FeatureFile(path) as file:
        change(file.content)
        found = ShortAudit(file, part_images(file, fold_count=4)).findings
    assert len({one.check for one in found}) == len(found)
    return {one.check: one for one in found}


def test_one_empty_cell_changes_no_verdict_of_the_short_audit(tmp_path: Path) -> None:
    """Age, sex and source tell the class; the patient is one in both. One image then loses all that is known."""
    images = 80

    def whole(content: Content) -> None:
        content.columns["age"] = np.repeat([8.0, 60.0], images // 2).astype(np.float32)
        content.columns["sex"] = np.repeat([0, 1], images // 2).astype(np.int32)
        content.values["sex"] = ["F", "M"]

    def gap(content: Content) -> None:
        whole(content)
        content.columns["age"][79], content.columns["sex"][79] = np.nan, -1

    sources = ["A"] * 40 + ["B"] * 40
    known = with_columns(tmp_path / "a.h5", whole, sources=sources)
    some = with_columns(tmp_path / "b.h5", gap, sources=[*sources[:-1], None])
    assert [known[name].status for name in ("source", "age", "sex", "children")] == [Status.FAIL] * 4
    assert {name: one.status for name, one in some.items() if name in known} == {
        name: one.status for name, one in known.items()
    }
    assert some.keys() - known.keys() == {"unknown sources", "unknown metadata"}
    assert verdict(some["unknown metadata"], "unknown metadata") is Status.WARN


def test_groups_of_two_sexes_are_several_people(tmp_path: Path) -> None:
    def change(content: Content) -> None:
        content.columns["sex"][:2] = [0, 1]
        content.values["sex"] = ["F", "M"]

    found = with_columns(tmp_path / "a.h5", change, sources=["A", "A", "B", "B"] * 20)["patient numbers"]
    assert verdict(found, "patient numbers") is Status.WARN
    assert "1 of 40 patients, taken together with those who have copies of their images," in found.why
    assert found.images == ()
