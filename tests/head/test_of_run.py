from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import IntegrityError
from cxrfeat.head.of_run import load_head
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import FeatureSpec, from_dict
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import run_json
from tests.workflow.helpers import make_features


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    return fit(make_features(folder / "f.h5"), "ridge", runs=folder / "runs").runs[0]


def test_a_head_comes_back_with_what_it_was_fitted_on(run: Run) -> None:
    head, novelty = load_head(run)
    assert head.kind == "ridge"
    assert head.dim == len(novelty.mean)
    assert list(head.classes) == run_json(run)["classes"]
    assert run.document.features.spec == from_dict(FeatureSpec, run_json(run)["features"]["spec"])
    assert run.document.backbone == run_json(run)["backbone"]
    told = head.predict_proba(np.zeros((1, head.dim), np.float32))
    assert told.sum() == pytest.approx(1)


@pytest.mark.parametrize("lacking", ["fitted", "features", "backbone"])
def test_a_run_that_lacks_a_part_is_damaged(lacking: str, run: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.path, tmp_path / "copy"))
    info = json.loads((copy / "run.json").read_text())
    del info[lacking]
    (copy / "run.json").write_text(json.dumps(info))
    with pytest.raises(IntegrityError, match=rf"is damaged \(it lacks {lacking}\)\. Make the run again"):
        load_head(read_run(copy))


def test_a_head_that_knows_the_pixels_of_another_decoder_is_said(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    load_head(run)
    assert caplog.messages == []
    document = run.document
    features = replace(document.features, spec=replace(document.features.spec, decoder=1))
    load_head(replace(run, document=replace(document, features=features)))
    assert [text.split(",")[0] for text in caplog.messages] == [f"{run.name} was fitted on pixels of decoder 1"]
