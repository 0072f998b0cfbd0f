from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrfeat.feature.of_run import as_fitted, data_of, features_of, fitted_on
from cxrfeat.run.folder import Run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.golden import golden
from tests.workflow.helpers import make_features


def run_on(path: Path, folder: Path, classes: tuple[str, ...] = ()) -> Run:
    return fit(path, [HeadSpec(kind="ridge")], runs=folder, classes=classes).runs[0]


def test_a_run_knows_its_feature_file_among_those_of_other_data(tmp_path: Path) -> None:
    mine, other = make_features(tmp_path / "mine.h5"), make_features(tmp_path / "other.h5", seed=5)
    run = run_on(mine, tmp_path / "runs")
    assert fitted_on(run, other) is None
    file = fitted_on(run, mine)
    assert file is not None
    with file:
        assert (file.fingerprint, file.content.data_sha256) == (features_of(run), data_of(run))


def test_the_file_has_the_classes_that_the_run_was_fitted_on(tmp_path: Path) -> None:
    three, two = ("COVID", "NORMAL", "VIRAL"), ("COVID", "VIRAL")
    path = make_features(tmp_path / "three.h5", classes=three)
    file = fitted_on(run_on(path, tmp_path / "runs", two), path)
    assert file is not None
    with file:
        assert file.classes == two
    whole = fitted_on(run_on(path, tmp_path / "runs"), path)
    assert whole is not None
    with whole:
        assert whole.classes == three
        lacks = run_on(path, tmp_path / "runs", two)
        identity = replace(lacks.document.identity, classes=("COVID", "TB"))
        assert as_fitted(whole, Run(lacks.path, replace(lacks.document, identity=identity))) is None


def test_nobody_keeps_the_features_of_a_fine_tuned_network() -> None:
    assert features_of(golden("finetune")) is None
