"""Images are parted so that no group is on two sides, and every image is tested as often as was asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import SplitError, UsageError
from cxrfeat.feature.store import FeatureFile
from cxrfeat.study.pieces import Piece, part_images, thinned
from tests.study.helpers import make_features


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "PNEUMONIA"))) as file:
        yield file


def assert_whole(file: FeatureFile, piece: Piece) -> None:
    sides = [set(file.groups[rows].tolist()) for rows in (piece.train, piece.validation, piece.test)]
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]
    for rows in (piece.train, piece.validation):
        assert set(file.labels[rows].tolist()) == set(range(len(file.classes)))


def test_one_piece_where_nothing_is_crossed(file: FeatureFile) -> None:
    pieces = part_images(file)
    (piece,) = pieces.pieces
    assert not pieces.crossed
    assert_whole(file, piece)
    assert len(piece.train) + len(piece.validation) + len(piece.test) == file.images
    assert pieces.parts is not None
    assert pieces.named == tuple(pieces.parts.tolist())


def test_repeated_folds_test_every_image_once_in_each_repeat_and_are_dealt_anew(file: FeatureFile) -> None:
    pieces = part_images(file, fold_count=4, repeats=3)
    assert [piece.name for piece in pieces.pieces[:2]] == ["repeat 0 fold 0", "repeat 0 fold 1"]
    tested = np.concatenate([piece.test for piece in pieces.pieces])
    assert np.bincount(tested).tolist() == [3] * file.images
    for piece in pieces.pieces:
        assert_whole(file, piece)
    once = part_images(file, fold_count=4)
    for first, single in zip(pieces.pieces[:4], once.pieces, strict=True):
        assert np.array_equal(first.test, single.test)
    repeats = [[set(piece.test.tolist()) for piece in pieces.pieces[at : at + 4]] for at in (0, 4, 8)]
    assert not any(fold in repeats[0] for fold in repeats[1])
    assert pieces.stored["repeats"] == 3
    assert pieces.stored["sha256"] != once.stored["sha256"]
    assert part_images(file, fold_count=4, repeats=3).stored == pieces.stored


def test_each_source_is_left_out_with_every_group_that_is_in_it(tmp_path: Path) -> None:
    sources = [("A", "B", "C")[index % 3] for index in range(120)]  # a patient's two images come from two sources
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "X"), sources=sources)) as file:
        pieces = part_images(file, source_out=True)
        assert [piece.name for piece in pieces.pieces] == ["source A", "source B", "source C"]
        for piece in pieces.pieces:
            assert_whole(file, piece)
            assert {file.sources[row] for row in piece.test} == {piece.name[-1]}
            assert piece.name[-1] not in {file.sources[row] for row in piece.train}
        assert not pieces.notes


def test_an_image_of_unknown_source_may_be_from_the_one_that_tests_and_is_in_no_piece(tmp_path: Path) -> None:
    sources = ["A", "A", "B", "B", "C", "C"] * 20
    some: list[str | None] = [*sources[:-1], None]
    classes = ("COVID", "NORMAL", "X")
    with FeatureFile(make_features(tmp_path / "a.h5", classes=classes, sources=some)) as file:
        pieces = part_images(file, source_out=True)
        assert [piece.name for piece in pieces.pieces] == ["source A", "source B", "source C"]
        for piece in pieces.pieces:
            assert 119 not in {*piece.train, *piece.validation, *piece.test}
        assert pieces.named[119] == "not tested"
        assert "1 of 120 images are of unknown source and left out" in pieces.notes[0]


def test_a_source_that_holds_all_of_a_class_cannot_be_left_out(tmp_path: Path) -> None:
    sources = ["A"] * 40 + ["B", "C"] * 20
    with FeatureFile(make_features(tmp_path / "blobs.h5", groups=40, per_group=1, sources=sources)) as file:
        pieces = part_images(file, source_out=True)
        assert [piece.name for piece in pieces.pieces] == ["source B", "source C"]
        assert pieces.notes == ("A cannot be left out: without it there is no image of COVID to learn.",)
        assert pieces.named[0] == "not tested"
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
        ({"source_out": True, "by": "date"}, UsageError, "`source_out` parts the images itself"),
        ({"fold_count": 3, "regroup_given": True}, UsageError, "`fold_count` parts the images itself"),
        ({"fold_count": 99}, SplitError, "fewer than the 99 folds"),
    ],
)
def test_what_does_not_go_together_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, file: FeatureFile
) -> None:
    with pytest.raises(error, match=message):
        part_images(file, **options)


def test_a_smaller_share_is_part_of_a_larger_one_with_every_class(file: FeatureFile) -> None:
    (piece,) = part_images(file).pieces
    shares = [thinned(piece, file.labels, file.groups, share, seed=1) for share in (0.01, 0.3, 0.6, 1.0)]
    for less, more in itertools.pairwise(shares):
        assert set(less.train.tolist()) < set(more.train.tolist())
    assert np.array_equal(shares[-1].train, piece.train)
    for one in shares:
        assert set(file.labels[one.train].tolist()) == {0, 1, 2}
        groups = set(file.groups[one.train].tolist())
        whole = np.isin(file.groups, list(groups)) & np.isin(np.arange(file.images), piece.train)
        assert whole.sum() == len(one.train), "no group is cut"
        assert np.array_equal(one.test, piece.test)
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(SplitError, match="`sizes`"):
            thinned(piece, file.labels, file.groups, share, seed=1)
