"""Images are parted so that no group is on two sides, and every image is tested as often as was asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.short import check_left_out, check_regrouped
from cxrfeat.errors import SplitError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold
from cxrfeat.types import Part, Status
from tests.workflow.helpers import PARTS, make_features


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "PNEUMONIA"))) as file:
        yield file


def assert_whole(file: FeatureFile, fold: Fold) -> None:
    sides = [set(file.groups[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    for rows in (fold.train, fold.validation):
        assert set(file.labels[rows].tolist()) == set(range(len(file.classes)))


def test_one_piece_where_nothing_is_crossed(file: FeatureFile) -> None:
    split = part_images(file)
    (fold,) = split.folds
    assert not split.crossed
    assert_whole(file, fold)
    assert len(fold.train) + len(fold.validation) + len(fold.test) == file.images
    for rows, part in ((fold.train, Part.TRAIN), (fold.validation, Part.VALIDATION), (fold.test, Part.TEST)):
        assert (split.parts[rows] == part).all()
    assert np.array_equal(split.tested, fold.test)


def test_repeated_folds_test_every_image_once_in_each_repeat_and_are_dealt_anew(file: FeatureFile) -> None:
    split = part_images(file, fold_count=4, repeats=3)
    assert [fold.name for fold in split.folds[:2]] == ["repeat 0 fold 0", "repeat 0 fold 1"]
    tested = np.concatenate([fold.test for fold in split.folds])
    assert np.bincount(tested).tolist() == [3] * file.images
    for fold in split.folds:
        assert_whole(file, fold)
    once = part_images(file, fold_count=4)
    for first, single in zip(split.folds[:4], once.folds, strict=True):
        assert np.array_equal(first.test, single.test)
    repeats = [[set(fold.test.tolist()) for fold in split.folds[at : at + 4]] for at in (0, 4, 8)]
    assert not any(fold in repeats[0] for fold in repeats[1])
    assert split.record.repeats == 3
    assert split.record.sha256 != once.record.sha256
    assert part_images(file, fold_count=4, repeats=3).record == split.record


def test_each_source_is_left_out_with_every_group_that_is_in_it(tmp_path: Path) -> None:
    sources = [("A", "B", "C")[index % 3] for index in range(120)]  # a patient's two images come from two sources
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "X"), sources=sources)) as file:
        split = part_images(file, source_out=True)
        assert [fold.name for fold in split.folds] == ["source A", "source B", "source C"]
        for fold in split.folds:
            assert_whole(file, fold)
            assert {file.sources[row] for row in fold.test} == {fold.name[-1]}
            assert fold.name[-1] not in {file.sources[row] for row in fold.train}
        assert not split.notes


def test_an_image_of_unknown_source_may_be_from_the_one_that_tests_and_is_in_no_piece(tmp_path: Path) -> None:
    sources = ["A", "A", "B", "B", "C", "C"] * 20
    some: list[str | None] = [*sources[:-1], None]
    classes = ("COVID", "NORMAL", "X")
    with FeatureFile(make_features(tmp_path / "a.h5", classes=classes, sources=some)) as file:
        split = part_images(file, source_out=True)
        assert [fold.name for fold in split.folds] == ["source A", "source B", "source C"]
        for fold in split.folds:
            assert 119 not in {*fold.train, *fold.validation, *fold.test}
        assert split.parts[119] == "not tested"
        assert "1 of 120 images are of unknown source and left out" in split.notes[0]


def test_a_source_that_holds_all_of_a_class_cannot_be_left_out(tmp_path: Path) -> None:
    sources = ["A"] * 40 + ["B", "C"] * 20
    with FeatureFile(make_features(tmp_path / "blobs.h5", groups=40, per_group=1, sources=sources)) as file:
        split = part_images(file, source_out=True)
        assert [fold.name for fold in split.folds] == ["source B", "source C"]
        assert split.notes == ("A cannot be left out: without it there is no image of COVID to learn.",)
        assert split.parts[0] == "not tested"
    with (
        FeatureFile(make_features(tmp_path / "apart.h5", sources=["A"] * 40 + ["B"] * 40)) as file,
        pytest.raises(SplitError, match="No source can be left out"),
    ):
        part_images(file, source_out=True)
    with (
        FeatureFile(make_features(tmp_path / "one.h5", sources=["A"] * 80)) as file,
        pytest.raises(SplitError, match="at least two, and the data name 1"),
    ):
        part_images(file, source_out=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"repeats": 2}, UsageError, "`fold_count=5` and `repeats=3`"),
        ({"repeats": 0, "fold_count": 3}, SplitError, "`repeats` is at least 1"),
        ({"source_out": True, "fold_count": 3}, UsageError, "two ways"),
        ({"source_out": True, "by": "date"}, UsageError, "`source_out` splits the images itself"),
        ({"fold_count": 3, "regroup_given": True}, UsageError, "`fold_count` splits the images itself"),
        ({"fold_count": 99}, SplitError, "fewer than the 99 folds"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, file: FeatureFile
) -> None:
    with pytest.raises(error, match=message):
        part_images(file, **options)


def given(count: int, *empty: int) -> list[Part | None]:
    """Parts of pairs of images, 6 : 2 : 2, but for the images that have none."""
    column: list[Part | None] = [PARTS[(0, 0, 0, 0, 0, 0, 1, 1, 2, 2)[index // 2 % 10]] for index in range(count)]
    for index in empty:
        column[index] = None
    return column


def test_an_image_without_a_part_is_in_no_piece_and_the_split_stays(tmp_path: Path) -> None:
    column = given(80, 3)
    with FeatureFile(make_features(tmp_path / "blobs.h5", split=column)) as file:
        split = part_images(file)
        (fold,) = split.folds
        assert split.record.by == "column"
        assert split.parts.tolist() == ["none" if part is None else part for part in column]
        for rows, part in ((fold.train, Part.TRAIN), (fold.validation, Part.VALIDATION), (fold.test, Part.TEST)):
            assert rows.tolist() == [index for index, one in enumerate(column) if one == part]
        (found,) = check_left_out(split)
        assert (found.check, found.value, found.status, found.refused) == ("dropped parts", 1, Status.WARN, True)
        assert found.why == (
            "1 of 80 images (1 COVID) has no part in the data's own split, and is left out of train, validation and "
            "test."
        )
        assert split.notes == (found.why,)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"by": "group"}, "a split by group"),
        ({"by": "paper"}, "the split of the paper"),
        ({"fold_count": 3}, "cross-validation"),
        ({"source_out": True}, "leaving sources out"),
    ],
)
def test_that_another_split_than_the_data_s_own_was_asked_for_is_said(
    options: dict[str, Any], asked: str, tmp_path: Path
) -> None:
    counts = "train 47, validation 16, test 16, in no part 1"
    said = f"The data's own split ({counts}) is not used, since {asked} was asked for."
    sources = ["A", "A", "B", "B"] * 20
    with FeatureFile(make_features(tmp_path / "given.h5", split=given(80, 0), sources=sources)) as file:
        split = part_images(file, **options)
        assert split.notes[0] == said
        assert not check_left_out(split)
        assert "none" not in split.parts
    with FeatureFile(make_features(tmp_path / "none.h5", sources=sources)) as file:
        assert not part_images(file, **options).notes


def test_a_split_without_a_validation_part_says_what_is_cut_for_it(tmp_path: Path) -> None:
    column = [Part.TEST if part is Part.TEST else Part.TRAIN for part in given(80)]
    with FeatureFile(make_features(tmp_path / "blobs.h5", split=column)) as file:
        split = part_images(file)
        cut = len(split.folds[0].validation)
        assert split.notes == (
            f"The data's own split has no validation part: {cut} of its 64 training images, patients whole, are kept "
            "for validation.",
        )
        assert split.folds[0].test.tolist() == [row for row, part in enumerate(column) if part is Part.TEST]


def test_undated_images_are_left_out_of_a_split_by_date_and_said(tmp_path: Path) -> None:
    dates = ["" if index == 5 else f"2020-{index % 40 // 2 % 12 + 1:02}-01" for index in range(80)]
    with FeatureFile(make_features(tmp_path / "blobs.h5", dates=dates)) as file:
        split = part_images(file, by="date")
        assert split.parts[5] == "none"
        assert split.notes[0].startswith("1 of 80 images (1 COVID) has no date, and is left out")
        assert [one.check for one in check_left_out(split)] == ["dropped parts"]


def test_images_in_no_part_of_a_bound_split_are_left_out_and_another_split_is_refused(tmp_path: Path) -> None:
    bound = given(80, 0, 79)
    with FeatureFile(make_features(tmp_path / "blobs.h5", bound=bound)) as file:
        split = part_images(file)
        assert split.parts.tolist() == ["none" if part is None else part for part in bound]
        assert (
            "2 of 80 images (1 COVID, 1 NORMAL) have no part in the split that the features are bound"
            in (split.notes[0])
        )
        with pytest.raises(SplitError, match="no other split of it is honest"):
            part_images(file, by="group")


def test_the_split_that_features_are_bound_to_may_be_asked_for_by_name(tmp_path: Path) -> None:
    with FeatureFile(make_features(tmp_path / "free.h5")) as file:
        parts = [Part(part) for part in file.split(seed=3).parts.tolist()]
    with FeatureFile(make_features(tmp_path / "bound.h5", bound=parts)) as file:
        assert part_images(file, by="group", seed=3).parts.tolist() == parts
        with pytest.raises(SplitError, match="no other split of it is honest"):
            part_images(file, by="group", seed=4)


def test_regroup_says_what_it_did_to_the_sizes(tmp_path: Path) -> None:
    column = given(80)
    for index in (0, 2, 40, 42):  # of the train part, an image of two patients of each class
        column[index] = Part.TEST
    with FeatureFile(make_features(tmp_path / "torn.h5", split=column)) as file:
        split = part_images(file, regroup_given=True)
        assert_whole(file, split.folds[0])
        assert split.notes == (
            "Regrouping moved 4 images of 4 patients or sets of copies to one side: train 44 -> 44, validation 16 -> "
            "16, test 20 -> 20.",
        )
        assert not check_regrouped(split)
    with FeatureFile(make_features(tmp_path / "whole.h5", split=given(80))) as file:
        assert "nothing to repair" in part_images(file, regroup_given=True).notes[0]


def test_regroup_warns_of_a_part_that_it_leaves_notably_smaller(tmp_path: Path) -> None:
    # Of each class four patients of eight images; the test part has one image of each of two, and needs a whole one.
    column = [PARTS[2] if index % 32 in (0, 8) else PARTS[1] if index % 32 >= 24 else PARTS[0] for index in range(64)]
    with FeatureFile(make_features(tmp_path / "torn.h5", groups=4, per_group=8, split=column)) as file:
        split = part_images(file, regroup_given=True)
        assert_whole(file, split.folds[0])
        (found,) = check_regrouped(split)
        assert (found.check, found.status, found.refused) == ("regroup", Status.WARN, False)
        assert found.why == (
            "Regrouping left parts notably smaller, since patients are never cut: train has 32 of its 44 images, train "
            "has 16 of its 22 COVID, train has 16 of its 22 NORMAL."
        )
        assert split.notes[1] == found.why


def test_features_bound_to_a_torn_split_cannot_be_regrouped(tmp_path: Path) -> None:
    torn = [PARTS[index % 3] for index in range(80)]
    with (
        FeatureFile(make_features(tmp_path / "torn.h5", bound=torn)) as file,
        pytest.raises(SplitError, match="Omit `regroup_given`"),
    ):
        part_images(file, regroup_given=True)


def test_a_part_that_unreadable_images_left_empty_says_how_many_they_are(tmp_path: Path) -> None:
    column = [Part.TRAIN if part is Part.TEST else part for part in given(80)]
    with (
        FeatureFile(make_features(tmp_path / "blobs.h5", split=column, bad=7)) as file,
        pytest.raises(SplitError, match=r"no test part.*\(7 more images could not be read: see `cxrfeat index`"),
    ):
        part_images(file)
