from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.errors import InputError
from cxrfeat.finetuning.checkpoint import Checkpoints
from tests.finetuning.small import Small, Stopped, protocol, stop_after


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    phantoms: Path, tiny_network: Path, tmp_path: Path
) -> None:
    wanted = Small(phantoms, tiny_network, protocol(), tmp_path / "undisturbed").train()
    folder = tmp_path / "damaged"
    with pytest.raises(Stopped):
        Small(phantoms, tiny_network, protocol(), folder).train(stop_after(3))
    states = sorted(folder.glob("state-*.npz"), key=lambda path: path.stat().st_mtime_ns)
    assert len(states) == 2
    content = bytearray(states[-1].read_bytes())
    content[len(content) // 2] ^= 1
    states[-1].write_bytes(content)
    small = Small(phantoms, tiny_network, protocol(), folder)
    found = small.train()
    assert found.history == wanted.history
    np.testing.assert_array_equal(found.weights.body[0], wanted.weights.body[0])


@pytest.mark.slow
def test_there_is_always_a_checkpoint_that_can_be_loaded(phantoms: Path, tiny_network: Path, tmp_path: Path) -> None:
    """Wherever it stops, and if the disk then loses the newest state too."""
    spec = protocol(epochs=6)  # without patience each epoch is kept in its turn
    folder, seen = tmp_path / "run", 0
    for _ in range(12):
        try:
            Small(phantoms, tiny_network, spec, folder).train(stop_after(5), every=1e9)  # an epoch, and a step
            break
        except Stopped:
            states = sorted(folder.glob("state-*.npz"), key=lambda path: path.stat().st_mtime_ns)
            copy = tmp_path / f"copy {seen}"
            shutil.copytree(folder, copy)
            (copy / states[-1].name).write_bytes(b"lost")
            begun = Checkpoints(copy, {"spec": repr(spec)}, {}).load()
            assert begun is not None
            seen += 1
    assert seen > 3


def test_checkpoints_of_another_run_are_refused(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "run", {"data": "one"}, {"threads": 2})
    again = Checkpoints(tmp_path / "run", {"data": "one"}, {"threads": 4})
    assert again.settings == {"threads": 2}, "a resume keeps the threads that it began with"
    with pytest.raises(InputError, match=r"checkpoints of another run .*`name`"):
        Checkpoints(tmp_path / "run", {"data": "two"}, {"threads": 2})
