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
from cxrfeat.head.record import document_of, existing_run, identity_of, write_fitted
from cxrfeat.run.document import Identity, RunDocument
from cxrfeat.run.folder import read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Finding, Status
from tests.run.golden import golden
from tests.run.reading import cells
from tests.workflow.helpers import make_features

LOGREG = HeadSpec(kind="logreg")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Data]:
    with FeatureFile(make_features(tmp_path / "f.h5")) as file:
        yield load(file)


def evaluated(data: Data) -> tuple[Split, HeadTest]:
    split = part_images(data.file)
    return split, evaluate(data, LOGREG, split, [fit_head(LOGREG, data.training(split.folds[0]))], seed=0)


def told(data: Data, test: HeadTest, identity: Identity, *findings: Finding) -> RunDocument:
    """What the audit adds to a test is not of this module."""
    examined = test.test.examined({}, golden("logreg").document.test.outputs)
    return document_of(data, LOGREG, identity, findings, test, examined)


def test_the_identity_holds_all_that_numbers_depend_on_and_nothing_else(data: Data, tmp_path: Path) -> None:
    split, other = part_images(data.file), part_images(data.file, seed=1)
    told = identity_of(data, split, head=LOGREG)
    assert told == identity_of(data, part_images(data.file), head=LOGREG)
    assert told != identity_of(data, other, head=LOGREG)
    assert told != identity_of(data, split, head=HeadSpec(kind="ridge"))
    assert told != identity_of(replace(data, tta=True), split, head=LOGREG)
    make_features(tmp_path / "more.h5", dates=["2020-01-01"] * 80)
    with FeatureFile(tmp_path / "more.h5") as file:
        assert told != identity_of(load(file), split, head=LOGREG), "more is known of the same images"


def test_predictions_and_split_are_written_row_by_row(data: Data, tmp_path: Path) -> None:
    split, test = evaluated(data)
    finding = Finding(check="split", status=Status.PASS, why="Nobody stands on two sides.")
    document = told(data, test, identity_of(data, split, head=LOGREG), finding)
    assert document.audit == (finding,)
    run = write_fitted(tmp_path / "runs" / "mine", document, data, split, test)
    assert read_run(run.path).document == document
    table = cells(run, "predictions.csv")
    keys, file = data.file.content_sha256, data.file
    assert table["content_sha256"] == [keys[row] for row in test.rows.tolist()]
    assert table["part"] == list(test.parts)
    assert table["label"] == [file.classes[label] for label in file.labels[test.rows].tolist()]
    probabilities = np.array([table[f"probability {name}"] for name in file.classes], np.float64).T
    np.testing.assert_array_equal(probabilities, test.probabilities)
    assert cells(run, "split.csv") == {"content_sha256": keys, "part": split.parts.tolist()}


def test_another_run_is_never_taken_for_this_one(data: Data, tmp_path: Path) -> None:
    split, test = evaluated(data)
    place, identity = tmp_path / "runs" / "mine", identity_of(data, split, head=LOGREG)
    assert existing_run(place, identity) is None
    run = write_fitted(place, told(data, test, identity), data, split, test)
    standing = existing_run(place, identity)
    assert standing is not None
    assert standing.name == run.name
    with pytest.raises(InputError, match="already exists and is another run"):
        existing_run(place, replace(identity, tta=True))
