"""How often a test part was opened is how many runs were tested on it."""

from __future__ import annotations

from pathlib import Path

from cxrfeat.spec import HeadSpec
from cxrfeat.tuning.openings import openings
from cxrfeat.workflow.fit_head import fit
from tests.run.reading import run_json
from tests.workflow.helpers import make_features


def test_every_run_of_a_split_opened_it_and_damaged_ones_are_not_counted(tmp_path: Path) -> None:
    path, runs = make_features(tmp_path / "f.h5"), tmp_path / "runs"
    assert openings(runs, "0" * 64) == 0
    result = fit(path, [HeadSpec(kind="logreg"), HeadSpec(kind="knn")], runs=runs)
    other = fit(path, [HeadSpec(kind="logreg")], seed=1, runs=runs)
    (runs / "damaged").mkdir()
    (runs / "damaged" / "run.json").write_text("{")
    assert openings(runs, run_json(result.runs[0])["identity"]["split"]["sha256"]) == 2
    assert openings(runs, run_json(other.runs[0])["identity"]["split"]["sha256"]) == 1
