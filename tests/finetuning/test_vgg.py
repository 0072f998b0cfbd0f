"""The network that the paper's recipe destroyed, from random weights, at 64 px."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.finetuning.recipe import DEFAULT, PAPER
from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from cxrfeat.run.folder import Run
from cxrfeat.spec import FinetuneSpec, HeadSpec
from cxrfeat.workflow.finetune import WARM, finetune
from tests.run.reading import cells, run_json


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vgg") / "data"
    write_phantoms(folder, PhantomSpec(patients_per_class=8, images_per_patient=1, size=64))
    return folder


def tuned(data: Path, place: Path, spec: FinetuneSpec, warm: HeadSpec | None) -> tuple[Run, list[float]]:
    spec = replace(spec, head=replace(spec.head, epochs=4, batch=8))
    run = finetune(
        data, backbone="vgg16", weights="random", size=64, spec=spec, warm=warm, features=place / "features",
        runs=place / "runs",
    ).runs[0]  # fmt: skip
    return run, [float(cell) for cell in cells(run, "history.csv")["loss"][1:]]


@pytest.mark.slow
def test_the_default_recipe_learns_where_the_papers_does_not(data: Path, tmp_path: Path) -> None:
    run, losses = tuned(data, tmp_path, replace(DEFAULT, head=replace(DEFAULT.head, patience=None)), WARM)
    assert run_json(run)["diverged"] is None
    assert np.isfinite(losses).all()
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert run_json(run)["random_weights"]
    paper, losses = tuned(data, tmp_path, PAPER, None)
    # Whatever it does, it is written, and its weights are numbers.
    assert np.isfinite(run_json(paper)["test"]["log_loss"])
    assert run_json(paper)["diverged"] or len(losses) == 4
