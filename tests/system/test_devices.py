"""Which GPUs there are, by a tool that is made up; workers of them are in `tests/feature/test_remote.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrfeat.errors import UsageError
from cxrfeat.system.devices import VISIBLE, find_devices

TWO = "GPU 0: A card (UUID: GPU-a)\nGPU 1: A card (UUID: GPU-b)\n"


def with_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """As if NVIDIA's tool were there, or, where it says nothing, found none."""
    tool = folder / "nvidia-smi"
    (folder / "says").write_text(says)
    tool.write_text(f'#!/bin/sh\n[ "$1" = -L ] && cat "{folder}/says" && [ -s "{folder}/says" ]\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.delenv(VISIBLE, raising=False)


def test_devices_are_those_that_the_tool_lists_or_cuda_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_tool(tmp_path, monkeypatch, TWO)
    assert find_devices("all") == ("GPU-a", "GPU-b")
    assert find_devices("1") == ("GPU-b",)
    assert find_devices("1, 0") == ("GPU-b", "GPU-a")
    monkeypatch.setenv(VISIBLE, "2,GPU-c")
    assert find_devices("all") == ("2", "GPU-c")
    assert find_devices("0") == ("2",)


@pytest.mark.parametrize("wrong", ["2", "0,0", "GPU-a", "", "-1", "all,0"])
def test_what_is_no_device_is_refused_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    with_tool(tmp_path, monkeypatch, TWO)
    with pytest.raises(UsageError, match="numbers from 0 to 1, each once, such as 0,1: 2 GPUs are there"):
        find_devices(wrong)


def test_without_any_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tool(tmp_path, monkeypatch, "")
    with pytest.raises(UsageError, match=r"none is found here .*Omit it"):
        find_devices("all")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="none is found here"):
        find_devices("all")
    monkeypatch.setenv(VISIBLE, "-1")
    with pytest.raises(UsageError, match="none is found here"):
        find_devices("0")
