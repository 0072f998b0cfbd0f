"""`cxrfeat compare` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli
from tests.workflow.helpers import make_features


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
    assert "'data' is the beginning of the names of 2 runs in runs; type more of it" in said.err
    assert cli("compare", "data-resnet50-l", "data-resnet50-l").code == 2


def test_runs_of_a_number_and_of_findings_are_compared_each_for_themselves(cli: Cli, tmp_path: Path) -> None:
    states = [int(number % 5 < 2) for number in range(160)]
    path = make_features(
        tmp_path / "f.h5", groups=40, findings={"Mass": states}, ages=[20.0 + number % 50 for number in range(160)]
    )
    assert cli("fit-head", path, "--target", "age", "--head", "ridge", "--head", "dense", "--epochs", "1").code == 0
    for head in ("ridge", "knn"):
        assert cli("fit-head", path, "--target", "findings", "--head", head).code == 0
    said = cli("compare")
    assert said.code == 0, said.err
    assert "age, of test images, the least mean absolute error first" in said.out
    assert "Mean over findings, of test images, the best AUROC first" in said.out
    document = cli("compare", "--json").json
    assert document["runs"] == []
    age, findings = document["targets"]
    assert [len(one["comparisons"]) for one in (age, findings)] == [1, 1]
    assert {"mae", "rmse", "r2"} < age["comparisons"][0].keys()
    assert findings["comparisons"][0]["findings"].keys() == {"Mass"}
    written = cli("compare", "--csv", "runs.csv")
    assert written.code == 2
    assert "--csv" in written.err
    refused = cli("compare", age["runs"][0]["run"], "--by", "sex")
    assert refused.code == 2
    assert "--by cuts the test images of runs of classes" in refused.err
    assert cli("explain", age["runs"][0]["run"], "x.png").code == 3
