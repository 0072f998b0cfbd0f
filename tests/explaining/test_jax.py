from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.explaining.jax_worker import KINDS, evidence
from tests.explaining.nets import pooled, saved


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed; it is no dependency")
def test_both_backends_give_the_same_evidence(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    saved(path, pooled)
    done = subprocess.run(
        [sys.executable, "-m", "tests.explaining.jax_worker", str(path)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = evidence(path), json.loads(done.stdout.splitlines()[-1])
    for kind in KINDS:
        np.testing.assert_allclose(ours[kind], theirs[kind], rtol=1e-4, atol=1e-5)
