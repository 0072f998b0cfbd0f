from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms
from tests.cli.conftest import Cli


@pytest.fixture
def away(tmp_path: Path) -> Path:
    folder = tmp_path / "away"
    write_phantoms(folder, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=5, size=64, seed=3))
    return folder


def test_a_run_is_tried_elsewhere_in_tables_and_in_one_document(cli: Cli, features: Path, away: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    said = cli("validate", "runs/mine", away, "--other-patients", "--recalibrate", "0.3")
    assert said.code == 0, said.err
    for title in (
        "mine at home and elsewhere", "RANDOM WEIGHTS", "The gap: away less the run's own test",
        "Probabilities on away", "How the images of away differ", "Images of both sets by source and class",
        "Research use only",
        "`cxrfeat report mine` shows it",
    ):  # fmt: skip
        assert title in said.out, title
    told = cli("validate", "mine", away, "--other-patients", "--json").json
    assert {"run", "data", "internal", "external", "gap", "calibration", "out_of_distribution", "seen"} <= told.keys()
    assert told["rows_computed"] == 0
    assert told["gap"]["accuracy"] == pytest.approx(told["external"]["accuracy"] - told["internal"]["accuracy"])
    assert list(Path("runs/mine/validations").iterdir())


def test_classes_are_joined_by_map_and_what_is_wrong_is_said_in_options(cli: Cli, features: Path, away: Path) -> None:
    assert cli("fit-head", "--head", "logreg", "--name", "mine").code == 0
    with (away / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    (away / "NORMAL").rename(away / "healthy")
    with (away / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            row["image"] = row["image"].replace("NORMAL/", "healthy/")
            row["label"] = row["label"].replace("NORMAL", "healthy")
            writer.writerow(row)
    said = cli("validate", "mine", away)
    assert said.code == 3
    assert "Join names with --map, as in healthy=COVID." in said.err
    for typed, why in (
        ("healthy", "--map is two names, as in --map 'No Finding=NORMAL'; got 'healthy'."),
        ("healthy=Normal", "which is not a class of mine. Did you mean NORMAL?"),
        ("healty=NORMAL", "--map names 'healty', and no data set has such a class. Did you mean healthy?"),
    ):
        said = cli("validate", "mine", away, "--map", typed)
        assert said.code == 2, said.err
        assert why in said.err
    strict = cli("validate", "mine", away, "--map", "healthy=NORMAL", "--other-patients", "--strict")
    assert strict.code in (0, 8)


@pytest.mark.slow
def test_a_run_of_a_number_is_tried_elsewhere_too_and_stands_in_the_report(
    cli: Cli, features: Path, away: Path
) -> None:
    assert cli("fit-head", "--target", "age", "--name", "ages").code == 0
    said = cli("validate", "ages", away, "--other-patients")
    assert said.code == 0, said.err
    for title in (
        "ages at home and elsewhere: age", "RANDOM WEIGHTS", "The gap: away less the run's own test",
        "Predicted age on away", "How the images of away differ", "`cxrfeat report ages` shows it",
    ):  # fmt: skip
        assert title in said.out, title
    told = cli("validate", "ages", away, "--other-patients", "--json").json
    assert told["kind"] == "number"
    assert told["gap"]["mae"] == pytest.approx(told["external"]["mae"] - told["internal"]["mae"])
    for option, value in (("--recalibrate", "0.3"), ("--by", "sex")):
        refused = cli("validate", "ages", away, option, value)
        assert refused.code == 2
        assert f"{option} goes with runs of classes, and ages predicts age. Leave it out." in refused.err
    made = cli("report", "ages", "--no-images", "--json").json
    assert made["targets"] == [{"target": "age", "runs": ["ages"]}]
    assert "ages at home and elsewhere: age" in Path(made["report"]).read_text()
