"""`cxrfeat fit-head` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrfeat.head import parallel
from cxrfeat.spec import MAIN_KINDS
from cxrfeat.types import Part
from tests.cli.conftest import RANDOM, Cli
from tests.places import HereCluster
from tests.workflow.helpers import PARTS, make_features


def test_two_commands_take_a_folder_to_tested_heads(cli: Cli, data: Path, tmp_path: Path) -> None:
    said = cli("extract", "--backbone", "resnet50", "--weights", "random", "--size", "32", "--views", "1")
    assert said.code == 0, said.err
    said = cli("fit-head")
    assert said.code == 0, said.err
    found = sorted(json.loads(path.read_text())["head"] for path in (tmp_path / "runs").glob("*/run.json"))
    assert found == sorted(MAIN_KINDS), "all six, where none is named"
    (line,) = [line for line in said.out.splitlines() if line.startswith("Best on validation: ")]
    document = cli("fit-head", "--json").json
    assert all(run["reused"] for run in document["runs"])
    assert line == document["best"]["sentence"]
    best = document["best"]["run"]
    assert f"Next: cxrfeat predict {best} IMAGE" in said.err
    (compare,) = [line for line in said.err.splitlines() if line.startswith("Next: cxrfeat compare ")]
    assert cli(*compare.removeprefix("Next: cxrfeat ").split()).code == 0, "it can be typed as it stands"
    assert cli("predict", best, next((tmp_path / "data").glob("COVID/images/*"))).code == 0


def test_one_head_that_diverges_is_named_and_the_others_are_written(cli: Cli, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5")
    wild = ("--head", "dense", "--learning-rate", "999", "--epochs", "3")
    said = cli("fit-head", path, *wild, "--head", "logreg", "--train-sizes", "0.5,1")
    assert said.code == 3
    assert "dense could not be fitted: Training the dense head diverged in epoch" in said.out
    assert "1 of 2 heads could not be fitted (dense); the runs of the others are written" in said.err
    assert "logreg: More" in said.out, "and so are their curves"
    said = cli("fit-head", path, *wild, "--head", "logreg", "--json")
    assert said.code == 3
    assert [run["head"] for run in said.json["runs"]] == ["logreg"]
    assert [one["head"] for one in said.json["unfitted"]] == ["dense"]
    said = cli("fit-head", path, *wild)
    assert (said.code, said.out) == (3, "")
    assert "diverged in epoch" in said.err


def test_folds_fitted_on_a_cluster_are_tested_as_those_fitted_here(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "Cluster", HereCluster)
    monkeypatch.setattr(parallel, "check_answers", lambda address: None)
    monkeypatch.setattr(HereCluster, "shares", 0)
    heads = (make_features(tmp_path / "f.h5"), "--head", "logreg", "--head", "knn", "--folds", "2", "--json")
    here = cli("fit-head", *heads).json["runs"]
    said = cli("fit-head", *heads, "--runs", "others", "--runner", "ray")
    assert said.code == 0, said.err
    assert [run["test"] for run in said.json["runs"]] == [run["test"] for run in here]
    assert HereCluster.shares == 1
    refused = cli("fit-head", heads[0], "--target", "findings", "--runner", "ray")
    assert "--runner does not go with --target findings" in refused.err


def test_with_several_feature_files_the_choices_are_listed_as_commands(cli: Cli, data: Path) -> None:
    said = cli("fit-head")
    assert said.code == 3
    assert "There is no feature file in features. Make one with `cxrfeat extract" in said.err
    said = cli("extract", *RANDOM, "--backbone", "vgg16", "--json")
    assert [one["backbone"] for one in said.json["files"]] == ["resnet50", "vgg16"]
    said = cli("fit-head")
    assert said.code == 3
    commands = [line.strip() for line in said.err.splitlines() if line.startswith("  cxrfeat fit-head ")]
    assert len(commands) == 2
    for command in commands:
        assert cli(*command.split()[1:], "--head", "logreg").code == 0, "each can be typed as it stands"


def test_strict_turns_a_failed_check_into_8_after_writing_the_runs(cli: Cli, tmp_path: Path) -> None:
    split: list[Part | None] = [PARTS[index % 3] for index in range(80)]
    path = make_features(tmp_path / "torn.h5", split=split, sources=["A", "A", "B", "B"] * 20)
    assert cli("fit-head", path, "--head", "logreg").code == 0
    said = cli("fit-head", path, "--head", "logreg", "--strict")
    assert said.code == 8
    assert "The audit failed (split)" in said.err
    assert said.out.index("FAIL") < said.out.index("Test scores")
    assert len(list((tmp_path / "runs").iterdir())) == 1
    said = cli("fit-head", path, "--head", "logreg", "--strict", "--regroup")
    assert said.code == 0, said.err
    assert "FAIL" not in said.out


def test_strict_refuses_dropped_parts_after_saying_them_in_the_audit_and_the_notes(cli: Cli, tmp_path: Path) -> None:
    split: list[Part | None] = [PARTS[(0, 0, 0, 1, 2)[index // 2 % 5]] for index in range(80)]
    split[7] = None
    path = make_features(tmp_path / "given.h5", split=split, sources=[None] * 80)
    said = cli("fit-head", path, "--head", "logreg", "--strict")
    assert said.code == 8
    assert "The audit failed (dropped parts)" in said.err
    assert "1 of 80 images (1 COVID) has no part in the data's own split" in said.err, "as a note of the run"
    assert "WARN  dropped parts" in said.out
    assert "FAIL" not in said.out
    (run,) = cli("fit-head", path, "--head", "logreg", "--json").json["runs"]
    assert run["notes"][0].startswith("1 of 80 images (1 COVID) has no part")
    assert (run["split"]["by"], run["test"]["images"]) == ("column", 16)
    said = cli("fit-head", path, "--head", "logreg", "--strict", "--split-by", "group")
    assert "dropped parts" not in said.out + said.err
    assert "The data's own split (train 48, validation 15, test 16, in no part 1) is not used" in said.err


def test_an_identical_rerun_prints_the_run_that_stands(cli: Cli, features: Path) -> None:
    first = cli("fit-head", "--head", "logreg")
    again = cli("fit-head", "--head", "logreg")
    assert "(already there)" not in first.out
    assert "(already there)" in again.out
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("fit-head", "--head", "logreg", "--name", "mine", "--seed", "1")
    assert said.code == 3
    assert "Choose another --name" in said.err


def test_findings_are_one_table_and_one_of_them_a_run(cli: Cli, tmp_path: Path) -> None:
    states = [number % 2 for number in range(160)]
    path = make_features(tmp_path / "f.h5", groups=40, findings={"Mass": states, "Rare": [1] + [0] * 159})
    said = cli("fit-head", path, "--target", "findings")
    assert said.code == 0, said.err
    assert "mean of 1" in said.out
    assert "Findings that cannot be judged" in said.out
    use, line = [line for line in said.err.splitlines() if line.startswith("Next: ")]
    assert line == f"Next: cxrfeat fit-head {path} --target Mass --head ridge"
    (folder,) = Path("runs").iterdir()
    assert str(folder) in said.out
    assert use == f"Next: cxrfeat predict {folder.name} IMAGE"
    document = cli("fit-head", path, "--target", "findings", "--json").json
    assert [(run["target"], run["run"], run["reused"]) for run in document["runs"]] == [("Mass", folder.name, True)]
    assert [one["target"] for one in document["not_scored"]] == ["Rare"]
    one = cli(*line.removeprefix("Next: cxrfeat ").split(), "--json")
    assert one.code == 0, one.err
    assert one.json["runs"][0]["target"] == "Mass"
    assert cli("fit-head", path, "--target", "findings", "--folds", "3").code == 2
    wrong = cli("fit-head", path, "--target", "Masss")
    assert wrong.code == 2
    assert "Did you mean Mass?" in wrong.err


def test_a_number_is_told_by_regression(cli: Cli, tmp_path: Path) -> None:
    path = make_features(tmp_path / "f.h5", groups=40, ages=[20.0 + number % 50 for number in range(160)])
    said = cli("fit-head", path, "--target", "age")
    assert said.code == 0, said.err
    assert "mean absolute error" in said.out
    again = cli("fit-head", path, "--target", "age")
    assert "(already there)" in again.out
    (run,) = cli("fit-head", path, "--target", "age", "--json").json["runs"]
    assert Path(run["path"]).is_dir()
    assert {"mae", "mae_ci", "rmse", "rmse_ci", "r2", "r2_ci"} <= run["test"].keys()
    wrong = cli("fit-head", path, "--target", "age", "--head", "logreg")
    assert wrong.code == 2
    assert "'age' is a number, which ridge, dense, dropout can predict and logreg cannot: name one" in wrong.err
    assert "with --head" in wrong.err
    both = cli(
        "fit-head", path, "--target", "age", "--head", "ridge", "--head", "dense", "--epochs", "1", "--json"
    ).json
    assert [run["head"] for run in both["runs"]] == ["ridge", "dense"]
