"""`cxrfeat compare` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_runs_are_compared_by_any_beginning_of_their_names(cli: Cli, features: Path) -> None:
    said = cli("compare")
    assert said.code == 2
    assert "at least two different runs, and none is here. Fit another head" in said.err
    for head in ("logreg", "svm-linear"):
        assert cli("fit-head", "--head", head).code == 0
    assert "Accuracy of" in cli("compare").out
    assert cli("compare", "data-resnet50-l", "data-resnet50-s").code == 0
    said = cli("compare", "data", "data-resnet50-l")
    assert said.code == 3
    assert "'data' begins the names of 2 runs in runs; say more of it" in said.err
    assert cli("compare", "data-resnet50-l", "data-resnet50-l").code == 2
