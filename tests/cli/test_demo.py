"""`cxrfeat demo` as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.workflow import demo as demo_recipe
from tests.cli.conftest import Cli
from tests.cli.test_commands import SCHEMAS, conform
from tests.workflow.test_demo import STAGES, TINY


def test_the_demo_prints_the_envelope_of_its_runs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_recipe, "MAIN_KINDS", ("logreg", "svm-linear"))
    monkeypatch.setattr(demo_recipe, "EXPLAINED", 0)  # heat takes a real network
    for name, value in (("phantoms", TINY), ("size", 32), ("views", 1)):
        monkeypatch.setitem(demo_recipe.demo.__kwdefaults__ or {}, name, value)
    said = cli("demo", "--out", "shown", "--quiet")
    assert said.code == 0, said.err
    assert said.err == ""
    assert [line[12:] for line in said.out.splitlines() if line.startswith("--- cxrfeat")] == STAGES
    assert "RANDOM WEIGHTS" in said.out
    assert said.out.rstrip().endswith("shown/report.html")
    assert Path("shown/report.html").is_file()
    document = cli("demo", "--out", "shown", "--json").json
    conform(document["runs"][0], SCHEMAS["fit-head"]["runs"][0] | {"validation": dict, "test": dict})
    assert [run["head"] for run in document["runs"]] == ["logreg", "svm-linear"]
    assert all(run["reused"] for run in document["runs"]), "the second demo finds what the first made"
    assert document["report"] == "shown/report.html"
