"""SIGKILL at random moments: the same command goes on, and ends with the weights of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxrfeat.image.phantom import PhantomSpec, write_phantoms

ROOT = Path(__file__).resolve().parents[2]


def start(data: Path, network: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.finetune.killed", str(data), str(network), str(out)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ}
    )


def killed(process: subprocess.Popen[str], delay: float) -> bool:
    """Kill it so long after its first step of training; whether it was still running."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    time.sleep(delay)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return running


@pytest.mark.parametrize(("kills", "patients"), [(1, 8), pytest.param(10, 14, marks=pytest.mark.slow)])
def test_killed_and_started_again_it_ends_with_the_same_network(
    tmp_path: Path, tiny_network: Path, kills: int, patients: int
) -> None:
    data = tmp_path / "data"
    write_phantoms(data, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=patients, size=64))
    undisturbed = start(data, tiny_network, tmp_path / "undisturbed")
    undisturbed.communicate()
    assert undisturbed.returncode == 0
    draw = random.Random(kills)
    done = 0
    for _ in range(kills):
        done += killed(start(data, tiny_network, tmp_path / "disturbed"), draw.uniform(0, 0.3))
    last = start(data, tiny_network, tmp_path / "disturbed")
    last.communicate()
    assert last.returncode == 0
    assert done, "it was never killed while it ran"
    runs = [tmp_path / name / "runs" / "run" for name in ("undisturbed", "disturbed")]
    for name in ("network.keras", "head.npz", "history.csv", "predictions.csv"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name
