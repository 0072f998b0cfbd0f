from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxrfeat.backbone.drawing import enough


def test_few_sizes_occur_and_none_is_much_larger_than_needed() -> None:
    found = [enough(count) for count in range(1, 5000)]
    assert all(count <= one < 1.25 * count + 1 for count, one in enumerate(found, start=1))
    assert found == sorted(found)
    assert len(set(found)) < 50
    assert all(enough(one) == one for one in found)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed; it is no dependency")
@pytest.mark.parametrize("views", [320, pytest.param(10_240, marks=pytest.mark.slow)])
def test_jax_draws_the_very_pixels_of_pillow_and_computes_the_features_of_views(views: int, tiny_network: Path) -> None:
    """In a process of its own: one has one backend of Keras."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.backbone.drawing_worker", str(views), str(tiny_network)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told == {"views": views, "other": 0, "features": True, "halved": True, "batch": 16}
