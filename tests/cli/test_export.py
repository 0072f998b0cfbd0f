"""`cxrfeat export` as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.workflow.exporting import make_runs

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Made by a real network, so before `cli` is."""
    return make_runs(tmp_path, "logreg") / "runs" / "logreg"


def test_a_run_becomes_a_model_with_a_word_on_what_it_is_worth(run: Path, cli: Cli, tmp_path: Path) -> None:
    said = cli("export", run, "--out", "model.onnx")
    assert said.code == 0, said.err
    assert "model.onnx: logreg as one model" in said.out
    assert "Research use only, never diagnosis." in said.out
    assert (tmp_path / "model.onnx").stat().st_size > 0
    document = cli("export", "logreg", "--out", "model.onnx", "--format", "onnx", "--json").json
    assert document["run"] == "logreg"
    assert document["difference"] <= 1e-6
    said = cli("export", "logreg", "--out", "model.keras")
    assert said.code == 2
    assert "use --format onnx" in said.err
    assert cli("export", "logreg").code == 2
    assert cli("export", "nothing", "--out", "model.onnx").code == 3
