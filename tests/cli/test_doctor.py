"""`cxrfeat doctor` as people call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Cli


def test_it_says_whether_the_job_would_run_and_by_its_exit_code_too(cli: Cli, tmp_path: Path) -> None:
    said = cli("doctor", "--weights", "random", "--json")
    assert said.code == 0, said.err
    assert said.json["ok"] is True
    assert all(set(one) == {"check", "status", "value", "do"} for one in said.json["checks"])
    (tmp_path / "taken").touch()
    said = cli("doctor", "--weights", "random", "--features", "taken")
    assert said.code == 3
    assert "FAIL  features folder" in said.out
    assert "(features folder)" in said.err
    said = cli("doctor", "--weights", "random", "--features", "taken", "--json")
    assert (said.code, said.json["ok"]) == (3, False)
    assert cli("doctor", "--backbone", "resnet5").code == 2


def test_options_are_named_as_they_are_typed(cli: Cli) -> None:
    said = cli("doctor", "--backbone", "nothing.keras")
    assert said.code == 3
    assert "does not exist" in said.out
    assert "`" not in cli("doctor", "--weights", "nothing.h5").out


def test_it_loads_neither_tensorflow_nor_scikit_learn() -> None:
    code = (
        "import sys; from cxrfeat.cli.main import run; run(['doctor', '--weights', 'random', '--json']); "
        "loaded = {'tensorflow', 'keras', 'jax', 'sklearn', 'onnxruntime', 'openvino'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
