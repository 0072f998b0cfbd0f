"""A converted network gives the maps, the places and the slopes that Keras gives."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from cxrfeat.explaining.averaged import AveragedGraph, FeaturesGraph, open_graph
from cxrfeat.explaining.explainer import Explainer, method_for
from cxrfeat.explaining.field import Field, regular
from cxrfeat.explaining.graph import Graph
from cxrfeat.explaining.score import score_of
from tests.explaining.nets import CHANNELS, SIZE, convolutional, graph_of, head_of, pooled, saved, spec_of, views

needs_onnx = pytest.mark.skipif(not ONNX.installed(), reason="the extra onnx is not installed")


def branched(keras: Any, *, normalized: bool = True) -> Any:
    """Padding of both kinds, pooling, a branch, a gate and normalisation, as in the networks of the table."""
    layers = keras.layers
    given = keras.Input((SIZE, SIZE, 3))
    one = layers.Conv2D(6, 7, strides=2, use_bias=False)(layers.ZeroPadding2D(3)(given))
    one = layers.Activation("relu")(layers.BatchNormalization()(one) if normalized else one)
    one = layers.MaxPooling2D(3, strides=2, padding="same")(one)
    two = layers.SeparableConv2D(6, 3, padding="same")(one)
    gate = layers.Conv2D(6, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(two))
    joined = layers.Concatenate()([one, layers.Add()([two * gate, one])])
    return keras.Model(given, layers.Conv2D(CHANNELS, 3, strides=2, padding="same")(layers.AveragePooling2D(2)(joined)))


@pytest.mark.slow
def test_a_converted_network_is_looked_into_without_keras(tmp_path: Path) -> None:
    network = saved(tmp_path / "net.keras", branched)
    spec = spec_of(network)
    assert isinstance(open_graph(network, spec), Graph), "it has not been converted"
    OPENVINO(network, spec, 16)
    graph, keras = open_graph(network, spec), graph_of(network)
    assert isinstance(graph, AveragedGraph)
    assert keras.averages
    (maps, features), (wanted, features_too) = graph.run(views(5)), keras.run(views(5))
    np.testing.assert_allclose(maps, wanted, atol=1e-4 * np.abs(wanted).max())
    np.testing.assert_allclose(features, features_too, atol=1e-4 * np.abs(features_too).max())
    np.testing.assert_array_equal(features, graph.features(views(5)))
    assert graph.fields == keras.fields
    score, classes = score_of(head_of("dropout")), np.array([0, 1, 2, 0, 1])
    for mine, its in zip(graph.gradient(wanted, score, classes), keras.gradient(wanted, score, classes), strict=True):
        np.testing.assert_allclose(mine, its, atol=1e-4 * np.abs(its).max())
    graph.shuffle(np.random.default_rng(0))
    assert np.abs(graph.run(views(5))[0] - maps).max() > 0.01
    graph.restore()
    np.testing.assert_array_equal(graph.run(views(5))[0], maps)


@pytest.mark.slow
def test_a_network_that_goes_on_after_its_maps_is_left_to_keras(tmp_path: Path) -> None:
    network = saved(tmp_path / "net.keras", pooled)
    OPENVINO(network, spec_of(network), 16)
    assert isinstance(open_graph(network, spec_of(network)), Graph)


def exported(network: Network, path: Path) -> Network:
    """A Keras network as an ONNX file, by the library that Keras itself uses."""
    import tensorflow
    from tf2onnx import convert

    model = import_keras().saving.load_model(network.path)
    signature = [tensorflow.TensorSpec((None, SIZE, SIZE, 3), tensorflow.float32, name="image")]
    proto, _ = convert.from_function(tensorflow.function(model), input_signature=signature, opset=18)
    path.write_bytes(proto.SerializeToString())
    return find_network(str(path), preprocess="tf")


@pytest.mark.few(1)
@needs_onnx
@pytest.mark.parametrize("make", [partial(branched, normalized=False), convolutional], ids=["branched", "plain"])
def test_an_onnx_file_that_averages_its_maps_is_looked_into_by_either_engine(tmp_path: Path, make: Any) -> None:
    keras = graph_of(saved(tmp_path / "net.keras", make))
    network = exported(keras.network, tmp_path / "net.onnx")
    spec = spec_of(network)
    with_onnx = open_graph(network, spec)
    assert isinstance(with_onnx, AveragedGraph)
    OPENVINO(network, spec, 16)
    with_openvino = open_graph(network, spec)
    assert isinstance(with_openvino, AveragedGraph)
    (wanted, features_too), score, classes = (
        keras.run(views(5)),
        score_of(head_of("softmax")),
        np.array([0, 1, 2, 0, 1]),
    )
    for graph in (with_onnx, with_openvino):
        maps, features = graph.run(views(5))
        np.testing.assert_allclose(maps, wanted, atol=1e-4 * np.abs(wanted).max())
        np.testing.assert_allclose(features, features_too, atol=1e-4 * np.abs(features_too).max())
        assert graph.fields == keras.fields
        slopes, its = graph.gradient(wanted, score, classes), keras.gradient(wanted, score, classes)
        np.testing.assert_allclose(slopes[1], its[1], atol=1e-4 * np.abs(its[1]).max())
        graph.shuffle(np.random.default_rng(0))
        assert np.abs(graph.run(views(5))[0] - maps).max() > 0.01
        graph.restore()
        np.testing.assert_array_equal(graph.run(views(5))[0], maps)
        assert method_for("auto", head_of("softmax"), graph) == "cam"


@needs_onnx
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("batch", ["n", 1])
def test_maps_of_an_onnx_file_are_those_of_its_operations(tmp_path: Path, first: bool, batch: int | str) -> None:
    from tests.backbone.onnx_bodies import SIZE, convolutional, kernel, maps_of

    (tmp_path / "m.onnx").write_bytes(convolutional(first=first, batch=batch).SerializeToString())
    network = find_network(str(tmp_path / "m.onnx"), preprocess="none")
    graph = open_graph(network, spec_of(network))
    few = views(3, size=SIZE)
    maps, features = graph.run(few)
    wanted = maps_of(np.repeat(few[:, np.newaxis], 3, axis=1).astype(np.float32), kernel())
    np.testing.assert_allclose(maps, wanted.transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-4 * wanted.max())
    np.testing.assert_allclose(features, wanted.mean(axis=(2, 3)), rtol=1e-4)
    assert graph.fields == (Field(step=4, first=2, size=4), Field(step=4, first=2, size=4))


@needs_onnx
def test_an_operation_that_is_not_known_leaves_cells_an_even_grid(tmp_path: Path) -> None:
    from onnx import helper

    from tests.backbone.onnx_bodies import SIZE, convolutional

    body = convolutional()
    body.graph.node[-1].op_type = "CumSum"
    body.graph.node[-1].input.append("axis")
    body.graph.initializer.append(helper.make_tensor("axis", 7, [], [3]))
    (tmp_path / "m.onnx").write_bytes(body.SerializeToString())
    network = find_network(str(tmp_path / "m.onnx"), preprocess="none")
    assert open_graph(network, spec_of(network)).fields == (regular(4, SIZE), regular(4, SIZE))


@needs_onnx
def test_an_onnx_file_of_tokens_is_explained_by_occlusion(tmp_path: Path) -> None:
    from tests.backbone.onnx_bodies import DIM, SIZE, tokens

    (tmp_path / "m.onnx").write_bytes(tokens().SerializeToString())
    network = find_network(str(tmp_path / "m.onnx"), preprocess="tf", output="tokens", pool="mean")
    graph, head = open_graph(network, spec_of(network)), head_of("softmax", dim=DIM)
    assert isinstance(graph, FeaturesGraph)
    assert method_for("auto", head, graph) == "occlusion"
    with pytest.raises(UsageError, match=r"`method=cam`: m has no maps left .* Possible here: occlusion"):
        method_for("cam", head, graph)
    explainer = Explainer(graph=graph, head=head, mean=np.zeros(DIM), method="occlusion")
    few = views(2, size=SIZE)
    looked = explainer.judged(few, *graph.run(few))
    evidence = explainer.evidence(looked, np.array([0, 1]))
    assert evidence.shape[0] == 2
    assert np.abs(evidence).max() > 0
