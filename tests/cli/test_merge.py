"""`cxrfeat extract --shard` and `cxrfeat merge` as people call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import RANDOM, Cli


@pytest.mark.usefixtures("data")
def test_an_array_of_processes_and_what_it_is_told(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrfeat.feature.plan.SHARD_VIEWS", 8)
    options = (*RANDOM, "--batch", "4")
    plain = cli("extract", *options, "--features", "plain", "--json").json["files"][0]
    said = cli("extract", *options, "--features", "f", "--shard", "1/2")
    assert said.code == 0
    assert "Shares of feature files" in said.out
    assert "Once all shares are there: cxrfeat merge f" in said.err
    missing = cli("merge", "f")
    assert missing.code == 3
    assert "with --shard 2/2, then merge again" in missing.err
    share = cli("extract", *options, "--features", "g", "--shard", "2/2", "--json").json["shares"][0]
    assert share["shard"] == "2/2"
    merged = cli("merge", "f", "g", "--features", "h", "--json")
    assert merged.code == 0
    one = merged.json["files"][0]
    assert (one["images"], one["rows_computed"]) == (plain["images"], 0)
    assert (tmp_path / one["path"]).read_bytes() == (tmp_path / plain["path"]).read_bytes()
    assert cli("extract", *RANDOM, "--shard", "3/2").code == 2
    nothing = cli("merge", "plain")
    assert nothing.code == 3
    assert "nothing to merge in plain" in nothing.err
