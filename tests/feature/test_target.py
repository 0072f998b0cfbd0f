from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import CxrFeatError, InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.target import find_target, target_names
from tests.workflow.helpers import make_features

STATES = [1, 0, -1, -2, 1, 1, 0, 0]


@pytest.fixture
def file(tmp_path: Path) -> Any:
    path = make_features(
        tmp_path / "f.h5",
        groups=2,
        sexes=["F", "M", None, "F"] * 2,
        ages=[30, 40, None, 60] * 2,
        findings={"Mass": STATES, "Rare": [-2] * 7 + [1], "Sex": [0, 1] * 4},
        kept={"ward": ["b", None, "a", "b"] * 2, "dose": [1.5, None, 2.0, 3.0] * 2},
    )
    with FeatureFile(path) as opened:
        yield opened


def test_what_can_be_told_of_the_images_is_listed(file: FeatureFile) -> None:
    assert target_names(file) == ["label", "sex", "source", "age", "Mass", "Rare", "Sex", "ward", "dose"]


@pytest.mark.parametrize(
    ("uncertain", "values"),
    [
        ("ignore", [1, 0, -1, -1, 1, 1, 0, 0]),
        ("present", [1, 0, 1, -1, 1, 1, 0, 0]),
        ("absent", [1, 0, 0, -1, 1, 1, 0, 0]),
    ],
)
def test_a_finding_is_present_or_absent_and_what_is_not_stated_is_neither(
    file: FeatureFile, uncertain: Any, values: list[int]
) -> None:
    target = find_target(file, "mass", uncertain)
    assert (target.name, target.classes, target.numeric) == ("Mass", ("no Mass", "Mass"), False)
    assert target.values.tolist() == values
    assert target.known.tolist() == [value >= 0 for value in values]


def test_a_category_is_known_where_the_data_say_so(file: FeatureFile) -> None:
    ward = find_target(file, "ward")
    assert (ward.classes, ward.labels.tolist()) == (("a", "b"), [1, -1, 0, 1] * 2)
    sex = find_target(file, "sex")  # and not the finding of that name
    assert (sex.classes, sex.labels.tolist()) == (("F", "M"), [0, 1, -1, 0] * 2)
    assert find_target(file, "Sex").classes == ("no Sex", "Sex")


@pytest.mark.parametrize(("name", "values"), [("age", [30, 40, np.nan, 60] * 2), ("dose", [1.5, np.nan, 2, 3] * 2)])
def test_a_number_has_no_classes(file: FeatureFile, name: str, values: list[float]) -> None:
    target = find_target(file, name)
    assert target.numeric
    np.testing.assert_equal(target.values, values)
    with pytest.raises(UsageError, match=f"'{name}' is a number"):
        _ = target.labels


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("wards", UsageError, r"no target 'wards' in these features. Did you mean ward\? There are label, sex,"),
        ("Rare", InputError, "'Rare' is the same in all images of which it is known. The targets of these features"),
        ("view_position", InputError, "'view_position' is not known of a single image. The targets"),
    ],
)
def test_what_cannot_be_told_is_refused(file: FeatureFile, name: str, kind: type[CxrFeatError], message: str) -> None:
    with pytest.raises(kind, match=message):
        find_target(file, name)


def test_a_file_of_one_class_says_what_its_targets_are(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", classes=["unlabelled"], groups=2, findings={"Mass": [0, 1, 0, 1]})
    with FeatureFile(path) as file, pytest.raises(InputError, match=r"'unlabelled' for every image.* are source, Mass"):
        find_target(file)


def test_arrays_are_of_the_images_of_which_the_target_is_known(file: FeatureFile) -> None:
    X, y, groups = file.arrays(target="Mass")
    known = [0, 1, 4, 5, 6, 7]
    np.testing.assert_array_equal(X, file.read()[known, 0])
    assert y.tolist() == [1, 0, 1, 1, 0, 0]
    assert groups.tolist() == file.groups[known].tolist()
    assert file.arrays(target="dose")[1].tolist() == [1.5, 2, 3] * 2
    assert len(file.arrays(target="Mass", uncertain="present")[1]) == 7
