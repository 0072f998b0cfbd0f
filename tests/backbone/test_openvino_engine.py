from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.engine import Streaming
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.openvino_engine import OPENVINO, OpenvinoEngine, has_bfloat16, import_openvino, the_core
from cxrfeat.errors import StorageError
from cxrfeat.spec import fingerprint
from tests.backbone.networks import described, some_views

pytestmark = pytest.mark.skipif(not OPENVINO.installed(), reason="the extra openvino is not installed")


@pytest.mark.slow
def test_a_signal_is_survived_with_engines_and_after_them(tiny_network: Path) -> None:
    """OpenVINO gives the thread a stack for signals, which two cores would tear from each other."""
    code = f"""
import gc, os, signal
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.openvino_engine import OPENVINO
from tests.backbone.networks import described, some_views
network = find_network({str(tiny_network)!r}, preprocess="tf")
engines = [OPENVINO(network, described(network), 4) for _ in range(3)]
engines[0].run(some_views(2, 32))
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
for left in (3, 2, 1, 0):
    os.kill(os.getpid(), signal.SIGTERM)
    if engines:
        engines.pop(0)  # the first comes, first goes
        gc.collect()
assert len(caught) == 4
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["", pytest.param("del engine", marks=pytest.mark.slow)])
def test_a_process_may_end_as_soon_as_it_has_its_features(last: str) -> None:
    """OpenVINO's threads return to Python after the features are there; it aborted half of all such processes."""
    code = f"""
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.openvino_engine import OPENVINO
from tests.backbone.networks import described, some_views
network = find_network("vgg16", weights="random", size=32)
engine = OPENVINO(network, described(network), 4)
engine.run(some_views(3, 32))
{last}
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_openvino_leaves_the_fast_svm_usable() -> None:
    """Both bring a threading library of one name, and a process has one of them."""
    pytest.importorskip("sklearnex", reason="the extra fast is not installed")
    code = """
from cxrfeat.backbone.openvino_engine import import_openvino
import_openvino().Core()
from cxrfeat.head.sklearn_head import _svc
assert _svc().__module__.startswith("sklearnex"), _svc().__module__
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("how", [pytest.param("full before", marks=pytest.mark.slow), "full while writing"])
def test_a_full_disk_under_openvino_is_said(
    how: str, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path))
    network = find_network(str(tiny_network), preprocess="tf")
    if how == "full before":
        monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 100}))
    else:
        openvino = import_openvino()

        def refuse(*_: object, **__: object) -> None:
            raise RuntimeError("basic_ios::clear: iostream error")

        monkeypatch.setattr(openvino, "save_model", refuse)
    with pytest.raises(StorageError, match=r"Cannot write .*openvino"):
        OPENVINO(network, described(network), 4)
    assert [path.name for path in (tmp_path / "openvino").iterdir()] == [".lock"]


def test_nothing_of_openvino_reports_to_its_makers() -> None:
    code = """
import sys
from cxrfeat.backbone.openvino_engine import import_openvino
import_openvino()
assert sys.modules["openvino_telemetry"] is None
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_process_has_one_core_and_an_engine_any_number_of_views(tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    engine = OPENVINO(network, described(network), 4)
    assert isinstance(engine, OpenvinoEngine)
    assert the_core() is the_core()
    views = some_views(9, 32)
    whole = engine.run(views)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([engine.run(views[:2]), engine.run(views[2:])]), whole)


def test_batches_that_are_begun_together_are_those_that_are_run_alone(tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    engine = OPENVINO(network, described(network), 4)
    assert isinstance(engine, Streaming)
    views = some_views(11, 32)
    begun = [engine.begin(views[start : start + 4]) for start in range(0, 11, 4)]
    np.testing.assert_array_equal(np.concatenate([one.result() for one in begun]), engine.run(views))
    assert engine.run(views[:0]).shape == (0, 8)


@pytest.mark.slow
def test_a_view_that_openvino_cannot_take_is_said_and_not_waited_for(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrfeat.backbone.openvino_engine._PATIENCE", 0.1)
    network = find_network(str(tiny_network), preprocess="tf")
    engine = OPENVINO(network, described(network), 4)
    assert isinstance(engine, Streaming)
    with pytest.raises(RuntimeError):
        engine.begin(some_views(2, 48)).result()
    assert engine.run(some_views(2, 32)).shape == (2, 8)


def test_bfloat16_is_near_and_the_same_for_a_view_in_any_company(tiny_network: Path) -> None:
    if not has_bfloat16():
        pytest.skip("this CPU has no bfloat16 (AVX512-BF16, AMX)")
    network = find_network(str(tiny_network), preprocess="tf")
    spec = described(network)
    half = dataclasses.replace(spec, precision="bfloat16-openvino")
    assert fingerprint(half) != fingerprint(spec)
    assert OPENVINO.folder(network, half) == OPENVINO.folder(network, spec), "rounded as it runs, not as it is kept"
    views = some_views(9, 32)
    full, near = OPENVINO(network, spec, 4, 2).run(views), OPENVINO(network, half, 4, 2).run(views)
    assert near.dtype == np.float32
    assert 1e-4 < np.linalg.norm(near - full) / np.linalg.norm(full) < 0.02
    again = OPENVINO(network, half, 3, 1)
    np.testing.assert_array_equal(np.concatenate([again.run(views[:2]), again.run(views[2:])]), near)
