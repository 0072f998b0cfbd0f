from __future__ import annotations

from pathlib import Path

from cxrfeat.reporting.target_validation import target_details, target_forest_table
from cxrfeat.run.record import to_json
from cxrfeat.workflow.findings import fit_findings
from cxrfeat.workflow.regression import fit_number
from tests.workflow.targets_elsewhere import hospital, tried


def test_a_number_and_findings_stand_beside_the_own_test(tmp_path: Path) -> None:
    home, away = hospital(tmp_path / "home.h5", 0), hospital(tmp_path / "away.h5", 1)
    (number,) = fit_number(home, "dose", runs=tmp_path / "runs").runs
    (findings,) = fit_findings(home, runs=tmp_path / "runs").runs
    told = to_json(tried(number, home, away))
    forest = target_forest_table([told, {**told, "dataset": "third"}], "mine")
    assert forest.title == "mine at home and elsewhere: dose, 95 % intervals over patients or groups"
    assert [row[0] for row in forest.rows] == ["own test", "blobs", "third"]
    titles = [table.title for table in target_details(told)]
    assert titles[0] == "The gap: blobs less the run's own test, 95 % intervals of independent samples"
    assert titles[1].startswith("Predicted dose on blobs (right: slope 1, bias 0")

    told = to_json(tried(findings, home, away))
    forest = target_forest_table([told], "mine")
    assert [row[:2] for row in forest.rows] == [("own test", "2"), ("blobs", "2")]
    assert "o" in forest.rows[1][3]
    gap = target_details(told)[0]
    assert [row[0] for row in gap.rows if row[0]] == ["Mass", "Edema", "mean of 2"]
    assert {row[5] for row in gap.rows} <= {"may be chance", "different", "cannot be judged"}
