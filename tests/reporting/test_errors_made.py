"""Errors and the training images nearest to them: of the training part alone, or of the other folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting import errors_made
from cxrfeat.reporting.errors_made import mistakes_in
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.types import Part
from cxrfeat.workflow.fit_head import fit
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes that overlap, so that errors are made."""
    path = tmp_path_factory.mktemp("errors") / "f.h5"
    return make_features(path, groups=40, per_group=1, distance=0.8, pictures=True)


def test_each_error_has_the_nearest_training_images_beside_it(made: Path, tmp_path: Path) -> None:
    (run,) = fit(made, "ridge", runs=tmp_path / "runs").runs
    names = [str(row) for row in range(80)]
    with FeatureFile(made) as file:
        found = mistakes_in(file, run, TileSheet(file), names)
        labels, classes, contents = file.labels, file.classes, file.content_sha256
        split = dict(zip(run.split().contents, run.split().parts, strict=True))
        X = file.arrays()[0].astype(np.float64)
    part = [split[content] for content in contents]
    test, said = run.predictions(), {}
    for row in test.tested:
        said[contents.index(test.contents[row])] = test.classes[test.predicted[row]]
    wrong = {row for row, name in said.items() if name != classes[labels[row]]}
    assert {int(one.name) for one in found} == wrong
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    unit = (X - X.mean(0)) / X.std(0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    train = [row for row in range(80) if part[row] == Part.TRAIN]
    for one in found:
        best = max(train, key=lambda row: unit[row] @ unit[int(one.name)])
        assert one.predicted == said[int(one.name)]
        assert len(one.nearest) == 3
        assert all(int(near.name) in train for near in one.nearest)
        assert one.nearest[0].copy is not None or int(one.nearest[0].name) == best
        assert one.nearest[0].label == classes[labels[int(one.nearest[0].name)]]


@pytest.mark.slow
def test_of_folds_the_other_folds_are_trained_on(made: Path, tmp_path: Path) -> None:
    (run,) = fit(made, "ridge", runs=tmp_path / "runs", fold_count=3).runs
    test = run.predictions()
    with FeatureFile(made) as file:
        fold = {file.content_sha256.index(test.contents[row]): test.parts[row] for row in test.tested}
        found = mistakes_in(file, run, TileSheet(file), [str(row) for row in range(80)])
    assert found
    for one in found:
        assert all(fold[int(near.name)] != fold[int(one.name)] for near in one.nearest)


def test_among_too_many_images_nobody_searches(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = fit(made, "ridge", runs=tmp_path / "runs").runs
    monkeypatch.setattr(errors_made, "SEARCHED", 10)
    with FeatureFile(made) as file:
        assert mistakes_in(file, run, TileSheet(file), [""] * 80) == ()
