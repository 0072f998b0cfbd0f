"""Where images take turns in testing, each is tested as often as was asked, and the split says how it was dealt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import SplitError
from cxrfeat.feature.crossing import cross_validate, leave_sources_out, nested_folds
from cxrfeat.feature.file import FeatureFile
from cxrfeat.run.document import SplitRecord
from tests.workflow.helpers import make_features


@pytest.fixture
def file(tmp_path: Path) -> Iterator[FeatureFile]:
    with FeatureFile(make_features(tmp_path / "blobs.h5", classes=("COVID", "NORMAL", "PNEUMONIA"))) as file:
        yield file


def test_repeats_name_a_split_of_their_own_and_the_record_says_how_many(file: FeatureFile) -> None:
    once, twice = cross_validate(file.table, 3, seed=1), cross_validate(file.table, 3, repeats=2, seed=1)
    assert once.record == SplitRecord(by="folds", folds=3, seed=1, sha256=once.sha256)
    assert twice.record == SplitRecord(by="folds", folds=3, seed=1, sha256=twice.sha256, repeats=2)
    assert once.sha256 != twice.sha256
    assert np.array_equal(once.parts, twice.parts), "the folds of the first repeat"
    assert set(once.parts.tolist()) == {"fold 0", "fold 1", "fold 2"}
    assert once.torn(file.groups) == 0


def test_unknown_sources_are_in_no_fold_and_counted_in_the_record(tmp_path: Path) -> None:
    sources = ["A", "A", "B", "B"] * 20
    some: list[str | None] = [*sources[:-2], None, None]
    with FeatureFile(make_features(tmp_path / "some.h5", sources=some)) as file:
        split = leave_sources_out(file.table)
        assert split.record.unknown_left_out == 2
        assert split.parts[-1] == "not tested"
        assert split.parts[0] == "source A"
    with FeatureFile(make_features(tmp_path / "all.h5", sources=sources)) as file:
        assert leave_sources_out(file.table).record.unknown_left_out == 0


def test_nested_folds_part_the_training_part_alone_in_whole_groups(file: FeatureFile) -> None:
    outer = cross_validate(file.table, 3).folds[0]
    inner = nested_folds(file.table, outer, 2, 0)
    assert [fold.name for fold in inner] == ["inner fold 0", "inner fold 1"]
    held = np.concatenate([fold.test for fold in inner])
    assert sorted(held.tolist()) == sorted([*outer.train.tolist(), *outer.validation.tolist()])
    for fold in inner:
        sides = [set(file.groups[rows].tolist()) for rows in (fold.train, fold.validation, fold.test)]
        assert not sides[0] & sides[1]
        assert not sides[2] & (sides[0] | sides[1])


def test_a_class_with_fewer_groups_than_folds_is_refused_by_name(file: FeatureFile) -> None:
    with pytest.raises(SplitError, match="Class 'COVID' has 20 groups"):
        cross_validate(file.table, 21)
