"""`cxrfeat import-features` as people call it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli

pandas = pytest.importorskip("pandas", reason="the extra tables is not installed")
pytest.importorskip("pyarrow", reason="the extra tables is not installed")


def test_a_table_becomes_a_feature_file_that_heads_are_fitted_on(cli: Cli, tmp_path: Path) -> None:
    rng, labels = np.random.default_rng(0), np.array(["A", "B"] * 30)
    numbers = {f"x{at}": rng.normal(size=60) + (labels == "A") for at in range(5)}
    table = pandas.DataFrame({"key": [f"{at}.png" for at in range(60)], "label": labels, **numbers})
    table.to_csv(tmp_path / "net.csv", index=False)
    said = cli("import-features", "net.csv", "--column", "image_id=key")
    assert said.code == 0, said.err
    assert "60 images (A 30, B 30), 1 view each, 5 features" in said.out
    assert "what needs their pixels" in said.err
    fitted = cli("fit-head", "--head", "logreg", "--json")
    assert fitted.code == 0, fitted.err
    assert "pixels" in {one["check"] for one in fitted.json["audit"]}
    assert "Next" not in cli("fit-head", "--head", "logreg").err, "no image can go through a network nobody knows"
    heat = cli("explain", fitted.json["runs"][0]["run"], "--data", ".")
    assert (heat.code, "imported from a table" in heat.err) == (3, True), heat.err
    assert cli("import-features", "net.csv").code == 3
    again = cli("import-features", "net.csv", "--column", "image_id=key", "--features", "other", "--json").json
    assert again["classes"] == {"A": 30, "B": 30}
