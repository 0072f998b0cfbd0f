from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TWO_DEVICES = """
import sys, numpy as np, tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from pathlib import Path
from cxrfeat.finetuning.devices import Devices
from cxrfeat.finetuning.trainable import Trainable
from cxrfeat.finetuning.start import cold_head
from tests.finetuning.small import Small, protocol, CLASSES
spec = protocol(kind="dense", optimizer="sgd")
small = Small(Path(sys.argv[1]), Path(sys.argv[2]), spec, Path(sys.argv[3]))
devices = Devices(["cpu:0", "cpu:1"])
both = Trainable(small.network, small.features, spec, lambda dim: cold_head(spec.head, dim, CLASSES), devices)
views = np.random.default_rng(0).integers(0, 256, (7, 32, 32), dtype=np.uint8)
targets, ones = np.eye(2, dtype=np.float32)[np.arange(7) % 2], np.ones(7, np.float32)
for count in (6, 7, 1):
    losses = [one.learn(views[:count], targets[:count], ones[:count], 0.01)[0] for one in (small.trainable, both)]
    print(count, *losses)
    assert abs(losses[0] - losses[1]) < 1e-4 * abs(losses[0]), losses
for one, other in zip(small.trainable.weights().body, both.weights().body):
    np.testing.assert_allclose(one, other, atol=1e-5)
"""


@pytest.mark.slow
def test_two_devices_share_a_batch_and_learn_what_one_learns(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", TWO_DEVICES, str(phantoms), str(tiny_network), str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
