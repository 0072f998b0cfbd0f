"""`cxrfeat verify` as people call it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_recomputing_finds_nothing_wrong_in_what_was_just_made(cli: Cli, features: Path) -> None:
    said = cli("verify", features, "--recompute", "3", "--data", "data")
    assert said.code == 0
    assert "every checksum matches, and the recomputed rows are the same" in said.out
    assert cli("verify", features, "--recompute", "3").code == 2
    assert cli("verify", features, "--recompute", "-3", "--data", "data").code == 2
