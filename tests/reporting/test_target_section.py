from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.reporting.target_section import target_sections
from cxrfeat.run.validation_file import write_validation
from cxrfeat.workflow.findings import fit_findings
from cxrfeat.workflow.regression import fit_number
from cxrfeat.workflow.report import report
from tests.workflow.targets_elsewhere import hospital, tried


def test_numbers_and_findings_have_sections_of_their_own_with_what_they_do_elsewhere(tmp_path: Path) -> None:
    home, away = hospital(tmp_path / "home.h5", 0), hospital(tmp_path / "away.h5", 1)
    (number,) = fit_number(home, "dose", runs=tmp_path / "runs").runs
    (findings,) = fit_findings(home, runs=tmp_path / "runs").runs
    write_validation(number, tried(number, home, away))
    sections = {one.target: one for one in target_sections([number, findings])}
    assert sections["dose"].title == "A number: dose"
    assert sections["findings"].title == "All findings"
    assert sections["findings"].elsewhere == ()
    (elsewhere,) = sections["dose"].elsewhere
    assert elsewhere["forest"].rows[1][0] == "blobs"


@pytest.mark.slow
def test_a_page_shows_runs_of_numbers_and_of_findings_without_any_of_classes(tmp_path: Path) -> None:
    home, away = hospital(tmp_path / "home.h5", 0), hospital(tmp_path / "away.h5", 1)
    (number,) = fit_number(home, "dose", runs=tmp_path / "runs").runs
    (findings,) = fit_findings(home, runs=tmp_path / "runs").runs
    for run in (number, findings):
        write_validation(run, tried(run, home, away))
    made = report(folder=tmp_path / "runs", out=tmp_path / "page.html", features=tmp_path)
    page = made.path.read_text()
    for words in ("A number: dose", "All findings", "mean absolute error", "mean of 2", "at home and elsewhere"):
        assert words in page
    assert made.to_dict()["targets"] == [
        {"target": "dose", "runs": [number.name]},
        {"target": "findings", "runs": [findings.name]},
    ]
