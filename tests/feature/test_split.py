"""A split is a value: what is none cannot be made, and it says what it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import SplitError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, Rows, Split, regroup
from cxrfeat.image.split import digest
from cxrfeat.run.document import SplitRecord
from tests.workflow.helpers import make_features


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "PNEUMONIA"))) as file:
        yield file


def test_a_smaller_share_is_part_of_a_larger_one_with_every_class(file: FeatureFile) -> None:
    (fold,) = part_images(file).folds
    shares = [fold.thinned(file.labels, file.groups, share, seed=1) for share in (0.01, 0.3, 0.6, 1.0)]
    for less, more in itertools.pairwise(shares):
        assert set(less.train.tolist()) < set(more.train.tolist())
    assert np.array_equal(shares[-1].train, fold.train)
    for one in shares:
        assert set(file.labels[one.train].tolist()) == {0, 1, 2}
        groups = set(file.groups[one.train].tolist())
        whole = np.isin(file.groups, list(groups)) & np.isin(np.arange(file.images), fold.train)
        assert whole.sum() == len(one.train), "no group is cut"
        assert np.array_equal(one.test, fold.test)
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(SplitError, match="`sizes`"):
            fold.thinned(file.labels, file.groups, share, seed=1)


def rows(*numbers: int) -> Rows:
    return np.array(numbers, dtype=np.intp)


def fold(*, train: Rows, test: Rows, name: str = "fold") -> Fold:
    return Fold(name=name, train=train, validation=rows(), test=test)


@pytest.mark.parametrize(
    ("train", "test"), [(rows(0, 1), rows(1, 2)), (rows(0, 0), rows(1)), (rows(0), rows(2, 2)), (rows(-1), rows(0))]
)
def test_an_image_is_on_one_side_of_a_fold_and_once(train: Rows, test: Rows) -> None:
    with pytest.raises(ValueError, match="an image trains, validates or tests, and once"):
        fold(train=train, test=test)


def test_nobody_changes_the_rows_of_a_fold_not_even_who_gave_them() -> None:
    given = rows(0, 1)
    one = fold(train=given, test=rows(2))
    given[0] = 2
    assert one.train.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        one.test[0] = 0


def test_a_fold_without_some_images_keeps_the_order_of_the_others() -> None:
    some = Fold(name="a", train=rows(0, 1), validation=rows(4, 3), test=rows(5, 2)).only(
        np.array([1, 0, 1, 1, 1, 0]) > 0
    )
    assert (some.train.tolist(), some.validation.tolist(), some.test.tolist()) == ([0], [4, 3], [2])


A, B = fold(train=rows(0, 1), test=rows(2, 3)), fold(train=rows(2, 3), test=rows(0, 1))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"folds": (A, B), "by": "group"}, "has one fold; got 2"),
        ({"folds": (), "by": "folds"}, "0 folds"),
        ({"folds": (A, B), "by": "folds", "repeats": 3}, "2 folds are not 3 times as many"),
        ({"folds": (A, A), "by": "folds"}, "tests every image once"),
        ({"folds": (A,), "by": "folds"}, "tests every image once"),
        ({"folds": (A, A), "by": "source-out"}, "An image is tested once"),
        ({"folds": (A, B), "by": "folds", "contents": "abc"}, "beyond the 3 that there are"),
    ],
)
def test_what_is_no_split_cannot_be_made(made: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split(**{"contents": "abcd", "seed": 0, **made})


def test_a_part_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="in one of train, validation, test, or in none"):
        of("train", "testing")


def of(*parts: str, by: Any = "column", contents: str = "abcdef") -> Split:
    return Split.of(np.array(parts), contents[: len(parts)], np.zeros(len(parts), np.int64), ("COVID",), by=by, seed=4)


def test_the_parts_come_back_as_they_were_given_and_the_split_has_their_name() -> None:
    parts = ["test", "train", "none", "validation", "train"]
    split = of(*parts)
    assert split.parts.tolist() == parts
    assert split.sha256 == digest(np.array(parts), "abcde")
    assert of(*parts[::-1], contents="edcba").sha256 == split.sha256, "whatever the order of the rows"
    assert of(*parts, contents="abXde").sha256 == split.sha256, "an image in no part is no part of it"
    assert of("train", *parts[1:]).sha256 != split.sha256
    assert split.record == SplitRecord(by="column", seed=4, sha256=split.sha256)


def test_images_in_no_part_are_counted_with_the_reason() -> None:
    assert of("train", "test").left_out is None
    for by, lacking in (("date", "no date"), ("bound", "no part in the split that the features are bound to")):
        found = of("train", "none", "none", by=by).left_out
        assert found is not None
        assert found.images == 2
        assert f"2 of 3 images (2 COVID) have {lacking}, and are left out" in found.why


def test_a_mended_split_says_so_in_its_record_and_tears_nothing(file: FeatureFile) -> None:
    drawn = np.random.default_rng(0).choice(["train", "validation", "test"], file.images)
    torn = Split.of(drawn, file.content_sha256, file.labels, file.classes, by="column", seed=0)
    assert torn.torn(file.groups) > 0
    mended = regroup(torn, file.table)
    assert mended.torn(file.groups) == 0
    assert mended.record == SplitRecord(by="column", seed=0, sha256=mended.sha256, regroup=True)
    assert mended.notes[0].startswith("Regrouping moved ")
