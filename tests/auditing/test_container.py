from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.auditing.container import BINS, container_of_file, container_of_rows, indicators
from cxrfeat.auditing.control import check_outside, control_probabilities
from cxrfeat.auditing.inspections import inspect_folder
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.split import Fold
from cxrfeat.image.group import group
from cxrfeat.image.index import choose_images
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.split import folds
from cxrfeat.metric.shortcut import control_scores
from cxrfeat.types import Finding, Status
from cxrfeat.workflow.extract import extract
from tests.auditing.verdict import verdict
from tests.stub import StubFactory


def test_common_values_have_their_own_indicator_and_rare_numbers_a_bin() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.full(100, 512.0), rng.uniform(600, 1000, 400)])
    made = indicators({"width": values})
    assert made.shape == (500, 1 + BINS)
    assert (made.sum(axis=1) == 1).all()
    assert made[:100, 0].all()
    assert made[:, 1:].sum(axis=0) == pytest.approx(np.full(BINS, 50), abs=1)
    order = np.argsort(values[100:])
    assert (np.diff(made[100:][order].argmax(axis=1)) >= 0).all(), "bins are in the order of the numbers"


def test_indicators_know_no_labels_and_leave_out_what_never_varies() -> None:
    assert indicators({"mode": np.array(["L", "L"]), "bits": np.array([8, 8])}).shape == (2, 0)
    unknown = indicators({"age": np.array([np.nan, 30.0, np.nan])})
    assert unknown.tolist() == [[0, 1], [1, 0], [0, 1]]


def scores_of(columns: Any, labels: Any, groups: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    dealt = [
        Fold(name="fold", train=train, validation=np.arange(0), test=test)
        for train, test in folds(labels, groups, classes, 5, 0)
    ]
    told = control_probabilities(indicators(columns), labels, dealt, classes)
    rows = np.concatenate([fold.test for fold in dealt])
    return control_scores(labels[rows], told, groups[rows], classes)


def test_files_that_tell_the_class_fail_and_files_that_do_not_pass() -> None:
    rng = np.random.default_rng(1)
    labels, groups, remedy = np.arange(300) % 3, np.arange(300) // 2, "Judge within one source."
    suffixes, sizes = np.array([".png", ".jpg"]), rng.integers(50_000, 90_000, 300)

    def found(columns: Any) -> Finding:
        return check_outside("container", "Files", remedy, scores_of(columns, labels, groups, ("a", "b", "c")))

    free = {"suffix": suffixes[rng.integers(0, 2, 300)], "file_bytes": sizes}
    assert verdict(found(free), "container") is Status.PASS
    mixed = np.where(rng.random(300) < 0.5, np.minimum(labels, 1), rng.integers(0, 2, 300))
    assert verdict(found({"suffix": suffixes[mixed], "file_bytes": sizes}), "container") is Status.WARN
    assert verdict(found({"width": np.array([512, 1024, 299])[labels]}), "container") is Status.FAIL


def test_a_feature_file_knows_what_the_folder_knows(phantoms: Path, tmp_path: Path, stub: StubFactory) -> None:
    made = extract(phantoms, backbone="vgg16", weights="random", views=1, size=32, features=tmp_path, make_engine=stub)
    manifest, seen = inspect_folder(choose_images(phantoms))
    looks = [one.look for one in seen.values() if isinstance(one, Inspection)]
    with FeatureFile(made.files[0].path) as file:
        of_file = container_of_file(file)
    of_rows = container_of_rows(manifest.rows, looks)
    assert of_file.keys() == of_rows.keys()
    for name, values in of_rows.items():
        if np.issubdtype(values.dtype, np.number):
            np.testing.assert_allclose(of_file[name].astype(float), values.astype(float), rtol=1e-6)
        else:
            assert of_file[name].tolist() == values.tolist()


@pytest.mark.slow
def test_the_original_files_give_the_class_away(shared: Path) -> None:
    manifest, seen = inspect_folder(choose_images(shared / "data" / "cxr-raw"))
    looks = [one.look for one in seen.values() if isinstance(one, Inspection)]
    scores = scores_of(container_of_rows(manifest.rows, looks), manifest.labels, group(manifest.rows), manifest.classes)
    found = check_outside("container", "Files", "Judge within one source.", scores)
    assert verdict(found, "container") is Status.FAIL
    assert scores["auroc_ci"][0] > 0.85
