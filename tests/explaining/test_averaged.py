"""A converted network gives the maps, the places and the slopes that Keras gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.explaining.averaged import AveragedGraph, open_graph
from cxrfeat.explaining.graph import Graph
from cxrfeat.explaining.score import score_of
from tests.explaining.nets import CHANNELS, SIZE, graph_of, head_of, pooled, saved, spec_of, views


def branched(keras: Any) -> Any:
    """Padding of both kinds, pooling, a branch, a gate and normalisation, as in the networks of the table."""
    layers = keras.layers
    given = keras.Input((SIZE, SIZE, 3))
    one = layers.Conv2D(6, 7, strides=2, use_bias=False)(layers.ZeroPadding2D(3)(given))
    one = layers.Activation("relu")(layers.BatchNormalization()(one))
    one = layers.MaxPooling2D(3, strides=2, padding="same")(one)
    two = layers.SeparableConv2D(6, 3, padding="same")(one)
    gate = layers.Conv2D(6, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(two))
    joined = layers.Concatenate()([one, layers.Add()([two * gate, one])])
    return keras.Model(given, layers.Conv2D(CHANNELS, 3, strides=2, padding="same")(layers.AveragePooling2D(2)(joined)))


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


def test_a_network_that_goes_on_after_its_maps_is_left_to_keras(tmp_path: Path) -> None:
    network = saved(tmp_path / "net.keras", pooled)
    OPENVINO(network, spec_of(network), 16)
    assert isinstance(open_graph(network, spec_of(network)), Graph)
