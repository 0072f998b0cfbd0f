"""What is written of a head, and that nothing but the same run is found in its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Split
from cxrfeat.head.data import Data, load
from cxrfeat.head.evaluation import HeadTest, evaluate
from cxrfeat.head.fit import fit_head
from cxrfeat.head.record import existing_run, identity_of, write_fitted
from cxrfeat.spec import HeadSpec, to_dict
from cxrfeat.types import Finding, Status
from tests.workflow.helpers import make_features

LOGREG = HeadSpec(kind="logreg")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        yield load(file)


def evaluated(data: Data) -> tuple[Split, HeadTest]:
    split = part_images(data.file)
    return split, evaluate(data, LOGREG, split, [fit_head(LOGREG, data.training(split.folds[0]))], seed=0)


def test_the_identity_holds_all_that_numbers_depend_on_and_nothing_else(data: Data, tmp_path: Path) -> None:
    split, other = part_images(data.file), part_images(data.file, seed=1)
    asked = to_dict(LOGREG)
    told = identity_of(data, split, head=asked)
    assert told == identity_of(data, part_images(data.file), head=asked)
    assert told != identity_of(data, other, head=asked)
    assert told != identity_of(data, split, head=to_dict(HeadSpec(kind="ridge")))
    assert told != identity_of(replace(data, tta=True), split, head=asked)
    make_features(tmp_path / "more.h5", dates=["2020-01-01"] * 80)
    with FeatureFile(tmp_path / "more.h5") as file:
        assert told != identity_of(load(file), split, head=asked), "more is known of the same images"


def test_predictions_and_split_are_written_row_by_row(data: Data, tmp_path: Path) -> None:
    split, test = evaluated(data)
    # What the audit adds to a test is not of this module.
    found = replace(test, test=test.test | {"shortcuts": {}, "outputs": None})
    identity = identity_of(data, split, head=to_dict(LOGREG))
    finding = Finding(check="split", status=Status.PASS, why="Nobody stands on two sides.")
    run = write_fitted(data, split, LOGREG, tmp_path / "runs" / "mine", identity, [finding], found)
    table = run.table("predictions.csv")
    keys, file = data.file.content_sha256, data.file
    assert table["content_sha256"] == [keys[row] for row in test.rows.tolist()]
    assert table["part"] == list(test.parts)
    assert table["label"] == [file.classes[label] for label in file.labels[test.rows].tolist()]
    told = np.array([table[f"probability {name}"] for name in file.classes], np.float64).T
    np.testing.assert_array_equal(told, test.probabilities)
    assert run.table("split.csv") == {"content_sha256": keys, "part": split.parts.tolist()}


def test_another_run_is_never_taken_for_this_one(data: Data, tmp_path: Path) -> None:
    split, test = evaluated(data)
    found = replace(test, test=test.test | {"shortcuts": {}, "outputs": None})
    place, identity = tmp_path / "runs" / "mine", identity_of(data, split, head=to_dict(LOGREG))
    assert existing_run(place, identity) is None
    run = write_fitted(data, split, LOGREG, place, identity, [], found)
    standing = existing_run(place, identity)
    assert standing is not None
    assert standing.name == run.name
    with pytest.raises(InputError, match="stands already and is another run"):
        existing_run(place, identity | {"tta": True})
