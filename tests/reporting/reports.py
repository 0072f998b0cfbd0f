"""Reports of runs of made-up features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cxrfeat.run.folder import Run, read_run
from cxrfeat.spec import HeadSpec
from cxrfeat.workflow import report as recipe
from cxrfeat.workflow.fit_head import fit
from cxrfeat.workflow.report import report
from tests.workflow.helpers import make_features


def two_runs(tmp_path: Path) -> Path:
    """`features/f.h5`, and two runs of it in `runs/`."""
    path = make_features(tmp_path / "features" / "f.h5", pictures=True)
    fit(path, [HeadSpec(kind="logreg"), HeadSpec(kind="softmax")], runs=tmp_path / "runs")
    return tmp_path


def runs_of(folder: Path) -> list[Run]:
    return [read_run(path) for path in sorted((folder / "runs").iterdir())]


def made(folder: Path, **options: Any) -> recipe.Report:
    return report(runs_of(folder), out=folder / "report.html", features=folder / "features", **options)
