"""The ONNX engine: the same features as Keras within the stated tolerance, the same bits whatever the batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone import onnx_engine
from cxrfeat.backbone.engine import Engine, KerasEngine
from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.onnx_engine import OnnxEngine, converted_path, installed
from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.spec import FeatureSpec, Normalize, ViewSpec
from cxrfeat.types import Features, Views

needs_onnx = pytest.mark.skipif(not installed(), reason="the extra onnx is not installed")


def described(network: Network, normalize: Normalize = "backbone") -> FeatureSpec:
    view = ViewSpec(size=network.size, count=1)
    return FeatureSpec(
        backbone=network.backbone,
        weights=network.weights,
        preprocess=network.preprocess,
        view=view,
        normalize=normalize,
    )


def some_views(count: int, size: int) -> Views:
    return np.random.default_rng(3).integers(0, 256, (count, size, size), dtype=np.uint8)


def assert_agree(a: Features, b: Features) -> None:
    """The tolerance of DESIGN section 6."""
    assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(a)
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()


def assert_rows_stand_alone(engine: Engine, views: Views) -> None:
    whole = engine.run(views)
    assert np.array_equal(engine.run(views[::-1]), whole[::-1])
    assert np.array_equal(engine.run(views[:1])[0], whole[0]), "a lone row is padded"
    assert np.array_equal(engine.run(views[1:])[0], whole[1])


@needs_onnx
@pytest.mark.parametrize("normalize", ["backbone", "none"])
def test_both_engines_agree_and_rows_stand_alone(tiny_network: Path, normalize: Normalize) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    spec = described(network, normalize)
    views = some_views(11, 32)
    engine = OnnxEngine(network, spec, 4, 2)
    assert (engine.name, engine.dim, engine.batch) == ("onnx", 8, 4)
    assert_agree(KerasEngine(network, spec, 4).run(views), engine.run(views))
    assert_rows_stand_alone(engine, views)
    for batch, threads in ((8, 1), (16, 2)):
        assert np.array_equal(OnnxEngine(network, spec, batch, threads).run(views), engine.run(views))


@needs_onnx
@pytest.mark.weights
def test_both_engines_agree_on_the_real_network(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    network = find_network(str(path), preprocess="tf")
    views = some_views(5, 224)
    engine = OnnxEngine(network, described(network), 4)
    assert_agree(KerasEngine(network, described(network), 4).run(views), engine.run(views))
    assert_rows_stand_alone(engine, views)


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "resnet50", "vgg16", "inceptionv3", "xception"])
def test_both_engines_agree_on_the_five_networks(name: str) -> None:
    network = find_network(name, weights="random")
    views = some_views(5, network.size)
    keras, onnx = (kind(network, described(network), 4, 0) for kind in (KerasEngine, OnnxEngine))
    assert_agree(keras.run(views), onnx.run(views))
    for engine in (keras, onnx):
        assert_rows_stand_alone(engine, views)


@needs_onnx
def test_what_was_converted_once_runs_without_tensorflow(tiny_network: Path, tmp_path: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    first = OnnxEngine(network, described(network), 4).run(some_views(3, 32))
    code = f"""
import sys, numpy as np
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.onnx_engine import OnnxEngine
from tests.backbone.test_onnx_engine import described, some_views
network = find_network({str(tiny_network)!r}, preprocess="tf")
np.save({str(tmp_path / "again.npy")!r}, OnnxEngine(network, described(network), 4).run(some_views(3, 32)))
assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras", "jax")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    again: NDArray[np.float32] = np.load(tmp_path / "again.npy")
    assert np.array_equal(again, first)


@needs_onnx
def test_another_preparation_is_another_graph(tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    paths = {converted_path(network, described(network, normalize)) for normalize in ("backbone", "none")}
    other = find_network("resnet50", weights="random", size=32)
    assert len(paths | {converted_path(other, described(other))}) == 3


def test_without_the_extra_the_error_names_it(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    monkeypatch.setattr(onnx_engine, "installed", lambda: False)
    with pytest.raises(MissingExtraError, match=r"cxrfeat\[onnx\]"):
        OnnxEngine(network, described(network), 4)


@needs_onnx
def test_a_network_is_not_converted_on_another_backend(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = find_network(str(tiny_network), preprocess="caffe")
    monkeypatch.setattr(onnx_engine, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="KERAS_BACKEND=tensorflow"):
        OnnxEngine(network, described(network), 4)
