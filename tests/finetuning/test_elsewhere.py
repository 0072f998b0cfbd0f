from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cxrfeat.feature.task import Computing
from cxrfeat.finetuning.elsewhere import features_elsewhere
from cxrfeat.image.index import index_folder
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.workflow.extract import extract
from cxrfeat.workflow.fit_head import fit
from tests.stub import StubEngine


@pytest.mark.slow
def test_of_the_other_set_the_plain_view_alone_is_computed_unless_the_run_predicts_by_all(tmp_path: Path) -> None:
    for name, seed in (("home", 1), ("away", 2)):
        spec = PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=6, size=64, seed=seed)
        write_phantoms(tmp_path / name, spec)
    made = extract(
        tmp_path / "home", backbone="resnet50", weights="random", views=2, size=32, features=tmp_path / "features",
        make_engine=StubEngine,
    )  # fmt: skip
    away = index_folder(tmp_path / "away")
    for tta, views in ((False, 1), (True, 2)):
        (run,) = fit(made.files[0], "logreg", tta=tta, runs=tmp_path / "runs").runs
        found = features_elsewhere(run, away, tmp_path / "features", computing=Computing("auto", StubEngine))
        assert (found.views, found.dim) == (views, made.files[0].dim)
    shutil.rmtree(tmp_path / "features")
