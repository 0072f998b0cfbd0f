from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import cxrfeat
from cxrfeat.cli.again import command_line
from cxrfeat.cli.main import run as main
from cxrfeat.reporting.again import run_call
from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow.fit_head import fit
from tests.run.golden import golden
from tests.workflow.helpers import PARTS, make_features


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "options",
    [
        ["--head", "logreg"],
        ["--head", "softmax", "--epochs", "3", "--optimizer", "adam", "--learning-rate", "0.002", "--standardize"],
        ["--head", "dense", "--hidden", "8,4", "--epochs", "2", "--patience", "1", "--views", "1", "--seed", "7"],
        ["--head", "knn", "--neighbours", "3", "--folds", "3", "--repeats", "2"],
        ["--head", "ridge", "--strength", "0.5", "--class-weights", "balanced", "--source-out", "--tta"],
        ["--head", "logreg", "--calibrate", "--split-by", "paper"],
        ["--head", "ridge", "--split-by", "column", "--regroup"],
    ],
)
def test_the_call_of_a_run_makes_the_very_same_run(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    split = [PARTS[index % 3] for index in range(80)]
    make_features(tmp_path / "features" / "f.h5", sources=["A", "A", "B", "B"] * 20, split=split)
    assert main(["fit-head", *options, "--quiet"]) == 0, capsys.readouterr().err
    (run,) = map(read_run, (tmp_path / "runs").iterdir())
    call = run_call(run)
    assert call is not None
    capsys.readouterr()
    assert main([*shlex.split(command_line(call))[1:], "--json"]) == 0
    assert [one["reused"] for one in json.loads(capsys.readouterr().out)["runs"]] == [True]
    result = eval(str(call), {"cxrfeat": cxrfeat})  # our own text
    assert result.reused == (True,), "and so does the call in Python"


def test_a_run_that_no_call_of_fit_makes_has_none(tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5")
    run = fit(path, [HeadSpec(kind="ridge")], runs=tmp_path / "runs").runs[0]
    searched = golden("tuned-folds").document.identity
    assert run_call(Run(run.path, replace(run.document, identity=searched))) is None
