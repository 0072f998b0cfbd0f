"""Which engine `auto` takes, for every kind of machine and job; devices are made up, for there may be none here."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone import choose, quiet
from cxrfeat.backbone.build import build
from cxrfeat.backbone.choose import (
    WORTH_CONVERTING,
    choose_engine,
    draws,
    find_engine,
    load_engine,
    stored_precision,
    usual_batch,
)
from cxrfeat.backbone.converted import Converter
from cxrfeat.backbone.engine import CPU_BATCH, GPU_BATCH, STREAMED_BATCH, KerasEngine, in_batches
from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.quiet import has_gpu, import_keras
from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.spec import FeatureSpec, Precision, ViewSpec, fingerprint
from cxrfeat.system.process import threads
from cxrfeat.types import Views
from tests.backbone.networks import described


def network_and_spec(size: int = 32, precision: Precision = "float32") -> tuple[Network, FeatureSpec]:
    network = find_network("resnet50", weights="random", size=size)
    view = ViewSpec(size=size, count=1)
    spec = FeatureSpec(backbone="resnet50", weights=network.weights, preprocess="caffe", view=view, precision=precision)
    return network, spec


MANY, FEW = WORTH_CONVERTING, WORTH_CONVERTING - 1

CASES = [  # of a network of the user's own, which has to be converted by Keras
    # GPU, extras installed, converted already, views, precision -> engine
    (False, "openvino onnx", "", MANY, "float32", "openvino"),
    (False, "onnx", "", MANY, "float32", "onnx"),
    (False, "openvino onnx", "", FEW, "float32", "keras"),  # too small to win the conversion back
    (False, "openvino onnx", "openvino onnx", 1, "float32", "openvino"),
    (False, "openvino onnx", "onnx", FEW, "float32", "onnx"),
    (False, "openvino onnx", "onnx", MANY, "float32", "openvino"),
    (False, "onnx", "openvino", 1, "float32", "keras"),
    (False, "", "", 10**6, "float32", "keras"),
    (True, "openvino onnx", "openvino onnx", 10**6, "float32", "keras"),
    (False, "openvino onnx", "openvino onnx", 10**6, "float16", "keras"),  # the graphs are of float32
]


@pytest.mark.parametrize(("gpu", "extras", "converted", "views", "precision", "engine"), CASES)
def test_auto_takes_the_faster_engine_for_the_machine_and_the_job(
    gpu: bool,
    extras: str,
    converted: str,
    views: int,
    precision: Precision,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choose, "has_gpu", lambda: gpu)
    monkeypatch.setattr(choose, "has_skeleton", lambda backbone: False)
    monkeypatch.setattr(Converter, "installed", lambda one: one.name in extras.split())
    monkeypatch.setattr(Converter, "converted", lambda one, network, spec: one.name in converted.split())
    assert choose_engine("auto", *network_and_spec(precision=precision), views) == engine
    assert choose_engine("keras", *network_and_spec(precision=precision), views) == "keras"


@pytest.mark.parametrize(
    ("gpu", "extras", "converted", "views", "precision", "why"),
    [
        (False, "openvino onnx", "", MANY, "float32", f"openvino: it is the fastest on a CPU, and {MANY} views are "),
        (False, "openvino onnx", "", FEW, "float32", f"pays from {MANY} views on, and there are {FEW}"),
        (False, "openvino onnx", "onnx", FEW, "float32", "onnx: the network is converted for it already"),
        (False, "", "", MANY, "float32", "keras: no other is installed (openvino, onnx)"),
        (True, "openvino onnx", "", MANY, "float32", "keras: there is a GPU"),
        (False, "openvino onnx", "", MANY, "float16", "keras: others do not compute in float16"),
    ],
)
def test_the_choice_is_told_with_its_reason(
    gpu: bool,
    extras: str,
    converted: str,
    views: int,
    precision: Precision,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(choose, "has_gpu", lambda: gpu)
    monkeypatch.setattr(choose, "has_skeleton", lambda backbone: False)
    monkeypatch.setattr(Converter, "installed", lambda one: one.name in extras.split())
    monkeypatch.setattr(Converter, "converted", lambda one, network, spec: one.name in converted.split())
    with caplog.at_level(logging.INFO, logger="cxrfeat.choice"):
        choose_engine("auto", *network_and_spec(precision=precision), views)
        choose_engine("keras", *network_and_spec(precision=precision), views)
    told, asked = (one.getMessage() for one in caplog.records)
    assert "resnet50 is run by the engine " in told
    assert why in told
    assert asked.endswith("keras: it was asked for.")


@pytest.mark.parametrize(
    ("gpu", "extras", "precision", "engine"),
    [
        (False, "openvino onnx", "float32", "openvino"),
        (False, "onnx", "float32", "onnx"),
        (False, "", "float32", "keras"),
        (True, "openvino onnx", "float32", "keras"),
        (False, "openvino onnx", "bfloat16", "keras"),
    ],
)
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_auto_takes_keras_for_no_network_of_the_table_that_another_engine_can_run(
    gpu: bool, extras: str, precision: Precision, engine: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setattr(choose, "has_gpu", lambda: gpu)
    monkeypatch.setattr(Converter, "installed", lambda one: one.name in extras.split())
    assert choose_engine("auto", *network_and_spec(precision=precision), 1) == engine


def test_an_unknown_engine_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"no engine 'tflite'.*auto, keras, openvino, onnx"):
        choose_engine("tflite", *network_and_spec(), 1)
    with pytest.raises(UsageError, match="no engine"):
        find_engine("auto")


def test_a_gpu_is_looked_for_in_keras_only_where_a_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Devices:
        asked = 0

        class distribution:  # noqa: N801  # as Keras spells it
            @staticmethod
            def list_devices(kind: str) -> list[str]:
                Devices.asked += 1
                return [f"{kind}:0"]

    monkeypatch.setattr(quiet, "import_keras", lambda: Devices)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert not has_gpu()
    assert Devices.asked == 0
    monkeypatch.setattr(Path, "exists", lambda path: str(path) == "/dev/nvidia0")
    assert has_gpu()
    assert (usual_batch("keras"), usual_batch("onnx")) == (GPU_BATCH, CPU_BATCH)
    assert usual_batch("openvino") == STREAMED_BATCH


class _Small:
    """A device whose memory holds batches of `most` views."""

    def __init__(self, step: Callable[[Views], Any], most: int) -> None:
        self.step, self.most, self.tried = step, most, [0]

    def __call__(self, batch: Views) -> Any:
        self.tried.append(len(batch))
        if len(batch) > self.most:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 12345678 bytes")
        return self.step(batch)


def small_engine(path: Path, batch: int) -> KerasEngine:
    network = find_network(str(path), preprocess="tf")
    return KerasEngine(network, described(network), batch)


def test_a_batch_too_large_for_the_device_is_halved_until_it_fits(tiny_network: Path) -> None:
    engine = small_engine(tiny_network, 16)
    views = np.random.default_rng(0).integers(0, 256, (20, 32, 32), dtype=np.uint8)
    whole = engine.run(views)
    engine._step = small = _Small(engine._step, 4)
    assert np.linalg.norm(engine.run(views) - whole) < 1e-5 * np.linalg.norm(whole)
    assert engine.batch == 4
    assert set(small.tried) == {0, 16, 8, 4}
    engine._step = _Small(small.step, 0)
    with pytest.raises(UsageError, match="too little memory for one view"):
        engine.run(views)


def test_float32_is_not_rounded_on_the_way(tiny_network: Path) -> None:
    """GPUs would, unless they are told: features then lie a thousandth apart from a CPU's (H200)."""
    import tensorflow

    rounds = tensorflow.config.experimental.tensor_float_32_execution_enabled
    engine, told = small_engine(tiny_network, 4), list[bool]()
    step = engine._step

    def spy(batch: Views) -> Any:
        told.append(rounds())
        return step(batch)

    engine._step = spy
    engine.run(np.zeros((2, 32, 32), np.uint8))
    assert told == [False]
    assert rounds()  # the user's other networks are left as they were


def test_the_next_batch_is_handed_over_before_features_are_asked_for() -> None:
    events: list[str] = []

    class Later:
        """Features that a device is still computing."""

        def __init__(self, batch: Views) -> None:
            self.rows = batch[:, 0, 0, :].astype(np.float32)
            events.append(f"handed over {self.rows[0, 0]:g}")

        def __len__(self) -> int:
            return len(self.rows)

        def __array__(self, *_: Any, **__: Any) -> Any:
            events.append(f"asked for {self.rows[0, 0]:g}")
            return self.rows

    views = np.arange(7, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    assert in_batches(views, 3, 1, Later).ravel().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert events == ["handed over 0", "handed over 3", "asked for 0", "handed over 6", "asked for 3", "asked for 6"]
    assert in_batches(views[:0], 3, 5, Later).shape == (0, 5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_close_named_by_the_fingerprint_and_leaves_keras_as_it_was(precision: Precision) -> None:
    keras = import_keras()
    before = keras.config.dtype_policy().name
    network, full = network_and_spec(64)
    _, half = network_and_spec(64, precision)
    assert fingerprint(full) != fingerprint(half)
    views = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)[..., None]
    model = build(network, half)
    assert keras.config.dtype_policy().name == before
    a, b = build(network, full).predict_on_batch(views), model.predict_on_batch(views)
    assert np.asarray(b).dtype == np.float32
    assert 0 < np.linalg.norm(a - b) <= 0.05 * np.linalg.norm(a)


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_an_engine_that_computes_in_float32_is_not_asked_for_less(engine: str) -> None:
    network, half = network_and_spec(64, "float16")
    with pytest.raises(UsageError, match=f"`engine={engine}` computes in float32; for `precision=float16` use keras"):
        choose_engine(engine, network, half, 10)
    assert choose_engine("keras", network, half, 10) == choose_engine("auto", network, half, 10) == "keras"


def test_views_are_drawn_by_jax_on_a_gpu_and_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert not draws("keras")
    monkeypatch.setattr("cxrfeat.backbone.choose.has_gpu", lambda: True)
    assert draws("keras")
    assert not draws("openvino")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert not draws("keras")


@pytest.mark.parametrize(
    ("gpu", "views", "batch"), [(False, 5, 16), (False, 10**6, 16), (True, 255, 16), (True, 256, 256)]
)
def test_an_engine_is_given_a_batch_that_the_job_fills(
    gpu: bool, views: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(choose, "has_gpu", lambda: gpu)
    monkeypatch.setitem(choose.ENGINES, "keras", lambda *those: given.append(those))
    network, spec = network_and_spec()
    load_engine("keras", network, spec, views)
    assert given == [(network, spec, batch, threads())]


def test_an_onnx_file_runs_on_what_is_installed_and_never_on_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(
        name="net", backbone="file", weights="sha256:0", preprocess="tf", size=32, output="out", pool="mean"
    )
    spec = network.described(ViewSpec(size=32))
    extras = {"openvino", "onnx"}
    monkeypatch.setattr(Converter, "installed", lambda one: one.name in extras)
    monkeypatch.setattr(choose, "has_cuda", lambda: False)
    assert choose_engine("auto", network, spec, 1) == "openvino"
    assert choose_engine("onnx", network, spec, 1) == "onnx"
    monkeypatch.setattr(choose, "has_cuda", lambda: True)
    assert choose_engine("auto", network, spec, 1) == "onnx"
    with pytest.raises(
        UsageError, match=r"net is an ONNX file, which Keras does not run: use `engine=openvino` or onnx"
    ):
        choose_engine("keras", network, spec, 1)
    extras.clear()
    with pytest.raises(MissingExtraError, match=r"an extra is needed: pip install 'cxrfeat\[onnx\]'"):
        choose_engine("auto", network, spec, 1)


@pytest.mark.parametrize(
    ("asked", "engine", "gpu", "stored"),
    [
        ("bfloat16", "auto", False, "bfloat16-openvino"),
        ("bfloat16", "openvino", True, "bfloat16-openvino"),
        ("bfloat16", "auto", True, "bfloat16"),
        ("bfloat16", "keras", False, "bfloat16"),
        ("float16", "auto", False, "float16"),
        ("float32", "openvino", False, "float32"),
    ],
)
def test_bfloat16_is_openvinos_on_a_cpu_and_features_are_named_by_it(
    asked: Precision, engine: str, gpu: bool, stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "has_gpu", lambda: gpu)
    network, _ = network_and_spec()
    assert stored_precision(asked, engine, network) == stored
    own = dataclasses.replace(network, backbone="file", name="mine")
    if stored in ("float32", "bfloat16-openvino"):
        assert stored_precision(asked, engine, own) == stored
    else:
        with pytest.raises(UsageError, match=rf"`precision={asked}` is for the networks of the table: mine computes"):
            stored_precision(asked, engine, own)


def test_features_of_openvinos_bfloat16_are_computed_where_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    network, spec = network_and_spec()
    spec = dataclasses.replace(spec, precision="bfloat16-openvino")
    extras = {"openvino"}
    monkeypatch.setattr(Converter, "installed", lambda one: one.name in extras)
    monkeypatch.setattr(choose, "has_bfloat16", lambda: True)
    assert choose_engine("auto", network, spec, 1) == choose_engine("openvino", network, spec, 1) == "openvino"
    with pytest.raises(UsageError, match=r"are of OpenVINO's bfloat16: use `engine=openvino`, not keras"):
        choose_engine("keras", network, spec, 1)
    monkeypatch.setattr(choose, "has_bfloat16", lambda: False)
    with pytest.raises(UsageError, match=r"takes a CPU that multiplies such numbers .* and this one does not"):
        choose_engine("auto", network, spec, 1)
    extras.clear()
    with pytest.raises(MissingExtraError, match=r"needs the extra openvino: pip install"):
        choose_engine("auto", network, spec, 1)
