"""A network without Keras: its weights, and the graph that engines are given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from cxrfeat.backbone.build import build, load_body
from cxrfeat.backbone.drawn import draw
from cxrfeat.backbone.filled import graph_of, weights_for
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.onnx_graph import FEATURES, VIEW
from cxrfeat.backbone.place import Place
from cxrfeat.errors import WeightsError
from tests.backbone.networks import described, some_views

pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def test_a_seed_gives_keras_the_same_weights() -> None:
    network = find_network("vgg16", weights="random", seed=4, size=32)
    body = load_body(network, described(network))
    kernel = Place("block1_conv1/kernel", "layers/conv2d/vars/0", (3, 3, 3, 64), "variance_scaling 1 fan_avg uniform")
    assert np.array_equal(body.weights[0], draw(kernel, 4))
    assert [np.array_equal(one, weights_for(network, [kernel])[0]) for one in body.weights[:1]] == [True]


@pytest.mark.few(1)
@pytest.mark.parametrize("normalize", ["backbone", "none"])
def test_the_graph_gives_the_features_of_keras(normalize: str) -> None:
    network = find_network("vgg16", weights="random", size=48)
    spec = described(network, normalize)  # type: ignore[arg-type]  # two of the words
    views = some_views(3, 48)[..., np.newaxis]
    session = onnxruntime.InferenceSession(graph_of(network, spec).serialized(), providers=["CPUExecutionProvider"])
    (features,) = session.run([FEATURES], {VIEW: views})
    wanted = np.asarray(build(network, spec).predict_on_batch(views))
    assert features.shape == wanted.shape == (3, 512)
    assert np.abs(features - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.slow
def test_weights_of_a_file_are_those_of_the_file(tmp_path: Path) -> None:
    """Written as Keras's own downloads are: layers in their order, under the names of another time."""
    network = find_network("vgg16", weights="random", seed=9, size=32)
    body = load_body(network, described(network))
    with h5py.File(tmp_path / "vgg16.h5", "w") as file:
        layers = [layer for layer in body.layers if layer.weights]
        file.attrs["layer_names"] = [f"old_{number}".encode() for number in range(len(layers))]
        for number, layer in enumerate(layers):
            group = file.create_group(f"old_{number}")
            group.attrs["weight_names"] = [f"old_{number}/{weight.name}_1:0".encode() for weight in layer.weights]
            for weight in layer.weights:
                group.create_dataset(f"old_{number}/{weight.name}_1:0", data=np.asarray(weight))
    mine = find_network("vgg16", weights=str(tmp_path / "vgg16.h5"), size=32)
    drawn, read = (graph_of(one, described(one)).weights for one in (network, mine))
    assert drawn.keys() == read.keys()
    assert all(np.array_equal(read[name], values) for name, values in drawn.items())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file.create_group("conv").attrs["weight_names"] = [b"kernel"]
    network = find_network("resnet50", weights=str(tmp_path / "w.h5"))
    with pytest.raises(
        WeightsError, match=r"does not fit resnet50 \(the network has 106 layers with weights, the file"
    ):
        graph_of(network, described(network))


def test_keras_is_not_needed() -> None:
    code = """
import sys
from cxrfeat.backbone.filled import graph_of
from cxrfeat.backbone.network import find_network
from tests.backbone.networks import described
network = find_network("densenet121", weights="random")
assert len(graph_of(network, described(network)).weights) > 300
assert not {name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras", "jax"}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
