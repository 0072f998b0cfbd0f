from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed; it is no dependency")
def test_jax_resumes_to_the_same_weights_and_shares_a_batch_between_devices(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.finetuning.jax_worker", str(phantoms), str(tiny_network), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["same"]
    assert told["losses"][1] == pytest.approx(told["losses"][0], rel=1e-4)
    assert told["features"] < 1e-3
