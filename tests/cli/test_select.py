"""`cxrfeat select` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_choices_are_written_and_never_over_a_file_that_stands(cli: Cli, features: Path, tmp_path: Path) -> None:
    said = cli("select", "--n", "4")
    assert said.code == 0, said.err
    assert "All 4 are in to-label.csv." in said.out
    assert (tmp_path / "to-label.csv").read_text().count("\n") == 5
    said = cli("select", "--n", "4")
    assert said.code == 3
    assert "to-label.csv already exists, and may contain labels" in said.err
    hidden = cli("select", "--strategy", "diverse", "--csv", "hidden.csv", "--redact", "--json")
    assert ".png" not in hidden.out + (tmp_path / "hidden.csv").read_text()
    assert hidden.json["strategy"] == "diverse"
    assert cli("select", "--strategy", "quux").code == 2
    assert cli("select", "--unlabelled", "quux", "--csv", "x.csv").code == 3
    assert not (tmp_path / "x.csv").exists()
