"""`cxrfeat export-features` as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

pytest.importorskip("pandas", reason="the extra tables is not installed")


def test_the_only_feature_file_becomes_a_table(cli: Cli, features: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra tables is not installed")
    said = cli("export-features", "--out", "set.parquet")
    assert said.code == 0, said.err
    assert "Next to it: set.parquet.croissant.json" in said.out
    assert (tmp_path / "set.parquet").is_file()
    assert cli("export-features", features, "--to", "npz", "--json").json["to"] == "npz"
    assert cli("export-features", "--to", "csv").code == 2
    assert cli("export-features", "nothing.h5").code == 3
