from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxrfeat.errors import InputError
from cxrfeat.feature.of_run import as_fitted, data_of, features_of, fitted_on, of_same_images
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


def test_a_file_of_the_same_images_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    made = tmp_path / "features"
    mine = make_features(made / "mine.h5")
    run = run_on(mine, tmp_path / "runs")
    make_features(made / "a-same-images.h5", weights=f"sha256:{'1' * 64}")
    make_features(made / "b-other-images.h5", seed=5)
    with of_same_images(run, made) as file:
        assert file.path == mine, "its own comes first"
    mine.unlink()
    with of_same_images(run, made) as file:
        assert file.path.name == "a-same-images.h5"
    file.path.unlink()
    with pytest.raises(InputError, match=r"No feature file in .*features is of the images of .*`features`"):
        of_same_images(run, made)


def test_a_file_of_the_same_images_has_the_classes_of_the_run(tmp_path: Path) -> None:
    path = make_features(tmp_path / "three.h5", classes=("COVID", "NORMAL", "VIRAL"))
    with of_same_images(run_on(path, tmp_path / "runs", ("COVID", "VIRAL")), tmp_path) as file:
        assert file.classes == ("COVID", "VIRAL")
