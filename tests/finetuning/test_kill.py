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

from cxrfeat.phantom.spec import PhantomSpec
from cxrfeat.phantom.writing import write_phantoms

ROOT = Path(__file__).resolve().parents[2]


def start(data: Path, network: Path, out: Path, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.finetuning.killed", str(data), str(network), str(out), str(epochs)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ}
    )


def killed(process: subprocess.Popen[str], sign: str, delay: float) -> bool:
    """Kill it so long after a line of its progress that begins so; whether it was still running."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(sign):
            break
    time.sleep(delay)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return running


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "patients"), [(1, 8), (10, 14)])
def test_killed_and_started_again_it_ends_with_the_same_network(
    tmp_path: Path, tiny_network: Path, kills: int, patients: int
) -> None:
    data = tmp_path / "data"
    write_phantoms(data, PhantomSpec(classes=("COVID", "NORMAL"), patients_per_class=patients, size=64))
    epochs = 12 * kills
    undisturbed = start(data, tiny_network, tmp_path / "undisturbed", epochs)
    undisturbed.communicate()
    assert undisturbed.returncode == 0
    draw = random.Random(kills)
    for kill in range(kills):
        sign = "epoch" if kill % 3 == 0 else draw.choice(["loading", "validation", "epoch"])
        process = start(data, tiny_network, tmp_path / "disturbed", epochs)
        assert killed(process, sign, draw.uniform(0, 0.2)), "it was done before it was killed"
    last = start(data, tiny_network, tmp_path / "disturbed", epochs)
    last.communicate()
    assert last.returncode == 0
    runs = [tmp_path / name / "runs" / "run" for name in ("undisturbed", "disturbed")]
    for name in ("network.keras", "head.npz", "history.csv", "predictions.csv"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name
