"""`cxrfeat labels` as people call it."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

from tests.cli.conftest import Cli


def test_doubtful_labels_are_listed_and_written(cli: Cli, features: Path, tmp_path: Path) -> None:
    said = cli("labels", "--csv", "doubts.csv", "--n", "1")
    assert said.code == 0, said.err
    assert "are expected to be wrong" in said.out
    assert "RANDOM WEIGHTS" in said.out
    with (tmp_path / "doubts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["image"] for row in rows) == sorted(
        str(path.relative_to(tmp_path / "data")) for path in (tmp_path / "data").glob("*/images/*")
    )
    assert stat.S_IMODE((tmp_path / "doubts.csv").stat().st_mode) == 0o600
    hidden = cli("labels", "--csv", "hidden.csv", "--redact", "--json")
    assert ".png" not in hidden.out + (tmp_path / "hidden.csv").read_text()
    assert hidden.json["images"] == len(rows)
    assert "Next:" not in cli("labels", "--quiet").err


def test_a_run_is_taken_by_the_beginning_of_its_name_and_its_failed_checks_stand_above(
    cli: Cli, features: Path
) -> None:
    assert cli("fit-head", "--head", "logreg", "--folds", "2", "--name", "mine").code == 0
    said = cli("labels", "mi")
    assert said.code == 0, said.err
    assert said.out.index("mine failed its audit") < said.out.index("Doubtful labels")
    assert "COVID/images/" in said.out, "the manifest of the features tells the paths"
    said = cli("labels", "mi", "--head", "logreg")
    assert said.code == 2
    assert "omit --head, --folds and --classes" in said.err
    assert cli("labels", "nothing").code == 3
    assert cli("labels", features, "--folds", "100").code == 3
    assert cli("labels", features, "--head", "quux").code == 2


def test_decisions_written_in_the_file_are_taken_by_a_fit(cli: Cli, features: Path, tmp_path: Path) -> None:
    assert cli("labels", "--csv", "doubts.csv").code == 0
    said = cli("fit-head", "--head", "ridge", "--exclude", "doubts.csv")
    assert said.code == 3
    assert "leaves no image out: no line has yes under leave_out. Write it there, or omit --exclude." in said.err
    lines = (tmp_path / "doubts.csv").read_text().splitlines()
    (tmp_path / "doubts.csv").write_text("\n".join([lines[0], f"{lines[1]}yes", *lines[2:]]) + "\nno.png,,,,,,yes\n")
    said = cli("fit-head", "--head", "ridge", "--folds", "2", "--exclude", "doubts.csv")
    assert said.code == 0, said.err
    assert "is left out as --exclude says" in said.out
    assert "1 image that --exclude names, such as 'no.png', is not there." in said.err
    told = cli("fit-head", "--head", "ridge", "--folds", "2", "--exclude", "doubts.csv", "--json")
    assert told.err == ""
    assert any("no.png" in note for note in told.json["notes"])
    assert cli("fit-head", "--exclude", "nothing.csv").code == 3
