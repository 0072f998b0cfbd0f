"""The eight tasks of `skills/cxrfeat/SKILL.md`, done as it says and graded; and what it names exists."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from scripts.schema import file_of, keys, read
from tests.cli.conftest import RANDOM, Cli, cli, data  # noqa: F401  # fixtures
from tests.test_docs import options

TEXT = (Path(__file__).resolve().parents[2] / "skills" / "cxrfeat" / "SKILL.md").read_text(encoding="utf-8")


def test_commands_keys_and_codes_that_the_skill_names_exist() -> None:
    known = options()
    rows = re.findall(r"^\| [^|]+ \| (`cxrfeat [^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert len(rows) >= 10
    for said, places in rows:
        for line in re.findall(r"`cxrfeat ([^`]+)`", said):
            command = line.split()[0]
            assert set(re.findall(r"--[a-z-]+", line)) <= known[command], line
        there = {place.split(".")[-1].removesuffix("[]") for place, _, _ in keys(read(file_of(command)))}
        named = {part for key in re.findall(r"`([^`]+)`", places) for part in re.findall(r"[a-z_]+", key)}
        assert named <= there, (command, named - there)
    assert len(re.findall(r"^\| \d\. ", TEXT, re.MULTILINE)) == 8


@pytest.mark.slow
def test_1_what_is_there(cli: Cli, data: Path) -> None:  # noqa: F811  # fixtures
    told = cli("index", data, "--json").json
    assert sum(told["classes"].values()) == told["images"]
    assert set(told["classes"]) == {"COVID", "NORMAL"}
    with (data / "metadata.csv").open(newline="", encoding="utf-8") as file:
        assert told["unknown_patients"] == sum(not row["patient_id"] for row in csv.DictReader(file)) > 0


@pytest.mark.slow
def test_2_a_broken_file_is_named_and_costs_no_other(cli: Cli, data: Path) -> None:  # noqa: F811  # fixtures
    before = cli("index", data, "--json").json["images"]
    victim = sorted((data / "COVID").rglob("*.png"))[0]
    victim.write_bytes(victim.read_bytes()[:200])
    told = cli("index", data, "--json").json
    (bad,) = told["quarantined"]
    assert bad["path"].endswith(victim.name)
    assert bad["reason"]
    assert told["images"] == before - 1


@pytest.mark.slow
def test_3_a_class_of_one_hospital_cannot_be_believed(cli: Cli, tmp_path: Path) -> None:  # noqa: F811  # fixtures
    spec = PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=12, size=64, source_by_class=True)
    write_phantoms(tmp_path / "apart", spec)
    told = cli("audit", tmp_path / "apart", "--folds", 2, "--json").json
    assert {one["check"]: one["status"] for one in told["checks"]}["source"] == "fail"


@pytest.mark.slow
def test_4_and_5_features_and_a_score_as_it_may_be_given(cli: Cli, data: Path) -> None:  # noqa: F811  # fixtures
    (file,) = cli("extract", data, *RANDOM, "--json").json["files"]
    assert cli("verify", file["path"], "--json").json["ok"]
    told = cli("fit-head", file["path"], "--head", "logreg", "--json").json
    first = told["runs"][0]
    assert first["random_weights"], "so the answer says that the score means nothing"
    assert {"accuracy", "accuracy_ci", "groups"} <= first["test"].keys()
    assert first["failed_checks"] == [one for one in told["audit"] if one["status"] == "fail"]


@pytest.mark.slow
def test_6_better_is_what_is_not_tied(cli: Cli, tmp_path: Path) -> None:  # noqa: F811  # fixtures
    spec = PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=32, size=64, source_by_class=True)
    write_phantoms(tmp_path / "apart", spec)
    (file,) = cli("extract", tmp_path / "apart", *RANDOM, "--json").json["files"]
    fitted = ("fit-head", file["path"], "--folds", 2, "--json")
    told = cli(*fitted, "--head", "logreg", "--head", "svm-rbf").json
    runs = {run["head"]: run for run in [*told["runs"], *cli(*fitted, "--head", "dense", "--epochs", 0).json["runs"]]}
    verdicts = {}
    for other in ("svm-rbf", "dense"):
        pair = cli("compare", runs["logreg"]["run"], runs[other]["run"], "--json").json
        (difference,) = pair["comparisons"]
        low, high = difference["ci"]
        assert difference["tied"] is (low <= 0 <= high)
        verdicts[other] = difference["tied"]
    assert verdicts == {"svm-rbf": True, "dense": False}
    accuracy = {head: run["test"]["accuracy"] for head, run in runs.items()}
    assert accuracy["svm-rbf"] != accuracy["logreg"], "so the order of accuracies would have named a better one"


@pytest.mark.slow
def test_7_a_copy_is_a_pair_of_the_audit(cli: Cli, data: Path) -> None:  # noqa: F811  # fixtures
    pairs = cli("audit", data, "--folds", 2, "--json").json["copies"]
    assert any(one["kind"] == "same bytes" for one in pairs)


@pytest.mark.slow
def test_8_an_unknown_option_is_answered_with_what_there_is(cli: Cli, data: Path) -> None:  # noqa: F811  # fixtures
    said = cli("extract", data, "--backbones", "resnet50")
    assert said.code == 2
    assert "--backbone" in said.err
    shutil.rmtree(data)
    assert cli("index", data, "--json").code == 3
