from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.system import shared
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.crew import can_spawn
from cxrfeat.system.shared import SLOT, Packed, Slots, pack
from tests.system.work import made

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only Linux has memory without a name")
spawns = pytest.mark.skipif(not can_spawn(), reason="no other interpreter can be started here")


def value(side: int, fill: int = 3) -> dict[str, Any]:
    """Two arrays that may be large, a small one, and what is no array."""
    return {
        "views": np.full((4, side, side), fill, np.uint8),
        "other": np.arange(side * side, dtype=np.float64).reshape(side, side),
        "small": np.arange(5),
        "name": "one",
    }


def same(found: Any, expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        np.testing.assert_array_equal(found[key], one, strict=True)


def free(slots: Slots) -> int:
    gc.collect()
    taken = []
    while place := slots.take():
        taken.append(place)
    for place in taken:
        slots.give_back(place)
    return len(taken)


def holders(of: int) -> list[str]:
    """Processes that use such memory of one of them."""
    found = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if f"/memfd:cxrfeat-{of} " in maps.read_text():
                found.append(maps.parent.name)
        except OSError:  # gone, or another user's
            continue
    return found


@linux
def test_large_arrays_lie_in_the_slot_until_nobody_uses_them() -> None:
    slots, expected = Slots(3), value(200)
    place = slots.take()
    assert place is not None
    packed = pack(expected, place)
    assert packed is not None
    assert len(packed.spans) == 2
    assert len(packed.rest) < 2000
    found = slots.unpack(packed, place)
    same(found, expected)
    found["views"][...] = 7  # it is the taker's own
    assert free(slots) == 2
    small, part = found["small"], found["views"][2, 5:]
    del found
    assert free(slots) == 2, "a part of one is still used"
    assert part[0, 0] == 7
    del part
    assert free(slots) == 3, "what is small is no part of it"
    assert small.tolist() == [0, 1, 2, 3, 4]
    slots.close()


@linux
def test_arrays_outlive_the_slots() -> None:
    slots = Slots(1)
    place = slots.take()
    assert place is not None
    packed = pack(value(100), place)
    assert packed is not None
    found = slots.unpack(packed, place)
    slots.close()
    del slots
    gc.collect()
    same(found, value(100))


@linux
def test_what_has_no_large_array_takes_no_slot() -> None:
    slots = Slots(1)
    place = slots.take()
    assert place is not None
    packed = pack(value(9), place)
    assert packed is not None
    found = slots.unpack(packed, place)
    same(found, value(9))
    assert free(slots) == 1
    slots.close()


@linux
def test_what_is_larger_than_a_slot_is_not_packed() -> None:
    slots = Slots(1)
    place = slots.take()
    assert place is not None
    assert pack(np.zeros(SLOT + 1, np.uint8), place) is None
    assert isinstance(pack(np.zeros(SLOT, np.uint8), place), Packed)
    assert pack(np.zeros(SLOT, np.uint8), shared.Place(path="/proc/1/fd/none", size=SLOT, start=0)) is None
    slots.close()


@pytest.mark.few(1)
@spawns
@pytest.mark.parametrize(
    ("memory", "count"),
    [
        (True, 10),
        (True, 100_000),
        (True, SLOT),
        (False, 100_000),
        pytest.param(False, 10, marks=pytest.mark.slow),
        pytest.param(False, SLOT, marks=pytest.mark.slow),
    ],
)
def test_results_are_the_same_with_such_memory_and_without(
    memory: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with Ahead(partial(made, count), range(4), workers=1, ahead=2, processes=True) as results:
        kept = list(results)
    for thing, (pid, array) in enumerate(kept):
        assert pid != os.getpid()
        np.testing.assert_array_equal(array, np.full(count + thing, thing, np.uint8))


@spawns
def test_more_results_than_slots_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxrfeat.system.crew.SLOTS", 2)
    with Ahead(partial(made, 100_000), range(30), workers=1, ahead=4, processes=True) as results:
        kept = list(results)
    assert [int(array[0]) for _, array in kept] == list(range(30))


@pytest.mark.few(1)
@linux
@spawns
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_no_memory_is_left_however_a_process_ends(end: signal.Signals | None) -> None:
    program = f"""
from functools import partial
from cxrfeat.system.ahead import Ahead
from tests.system.work import made
with Ahead(partial(made, 100_000), range(10_000 if {end is not None} else 5), workers=2, processes=True) as results:
    kept = results.take(2)
    print("begun", flush=True)
    list(results)
"""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    if end is not None:
        assert len(holders(process.pid)) >= 2
        process.send_signal(end)
    process.communicate()
    for _ in range(100):
        if not holders(process.pid):
            break
        signal.sigtimedwait([], 0.05)
    assert not holders(process.pid)


def test_values_of_the_package_and_arrays_are_loaded_and_nothing_else(tmp_path: Path) -> None:
    slots = Slots(2)
    place = slots.take()
    assert place is not None
    known = (BadImageError("open", "gone"), {"a": np.float32(2), "b": np.arange(5), "where": tmp_path})
    packed = pack(known, place)
    assert packed is not None
    error, numbers = slots.unpack(packed, place)
    assert (error.stage, error.reason) == ("open", "gone")
    assert (numbers["a"], numbers["where"]) == (2, tmp_path)
    np.testing.assert_array_equal(numbers["b"], np.arange(5))

    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    for rest in (pickle.dumps(Harm()), pickle.dumps(os.mkdir), b"cxrfeat.system.files\nos.system\n."):
        with pytest.raises(pickle.UnpicklingError):
            slots.unpack(Packed(rest=rest, spans=()), place)
    assert not (tmp_path / "made").exists()
    slots.close()
