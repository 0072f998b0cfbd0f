from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.backbone.openvino_maps import OpenvinoMaps, Window
from cxrfeat.backbone.quiet import import_keras
from tests.backbone.networks import described, some_views

pytestmark = pytest.mark.skipif(not OPENVINO.installed(), reason="the extra openvino is not installed")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A strided convolution, a gate and pooling: 32 x 32 to maps of 6 x 6 x 5."""
    keras = import_keras()
    layers = keras.layers
    given = keras.Input((32, 32, 3))
    maps: Any = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(given)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(maps))
    maps = layers.Conv2D(5, 3)(layers.AveragePooling2D(2, strides=2, padding="valid")(maps * gate))
    maps = layers.MaxPooling2D(2, strides=1, padding="same")(maps)
    path = tmp_path_factory.mktemp("maps") / "net.keras"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15.1 on saving
        keras.Model(given, maps).save(path)
    return find_network(str(path), preprocess="tf")


@pytest.fixture
def maps(network: Network) -> OpenvinoMaps:
    return OpenvinoMaps(lambda: OPENVINO.source(network, described(network)))


def test_features_are_the_average_of_the_maps_and_those_of_the_engine(network: Network, maps: OpenvinoMaps) -> None:
    views = some_views(3, 32)
    found, features = maps.run(views)
    assert found.shape == (3, 6, 6, 5)
    np.testing.assert_allclose(features, found.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(features, OPENVINO(network, described(network), 4).run(views), atol=1e-6)


def test_every_step_with_places_says_what_a_cell_sees(maps: OpenvinoMaps) -> None:
    windows = [step.windows[0] for step in maps.steps if step.windows is not None and not step.gate]
    assert windows == [
        Window(extent=3, stride=2, before=0),  # `same` over 32 adds one cell, behind the last
        Window(extent=2, stride=2, before=0),
        Window(extent=3, stride=1, before=0),
        Window(extent=2, stride=1, before=0),
    ]
    assert any(step.gate for step in maps.steps)
    names = [step.name for step in maps.steps]
    assert all(set(step.inputs) <= set(names[: names.index(step.name)]) for step in maps.steps)


def test_shuffled_kernels_keep_their_values_and_are_set_back(maps: OpenvinoMaps) -> None:
    views = some_views(2, 32)
    before, _ = maps.run(views)
    maps.shuffle(np.random.default_rng(0))
    shuffled, _ = maps.run(views)
    assert np.abs(shuffled - before).max() > 1e-3
    maps.shuffle(np.random.default_rng(0))
    np.testing.assert_array_equal(maps.run(views)[0], shuffled)
    maps.restore()
    np.testing.assert_array_equal(maps.run(views)[0], before)


def test_a_network_whose_features_are_no_average_is_not_looked_into(tmp_path: Path) -> None:
    keras = import_keras()
    given = keras.Input((32, 32, 3))
    values = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(given)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        keras.Model(given, values).save(tmp_path / "dense.keras")
    network = find_network(str(tmp_path / "dense.keras"), preprocess="tf")
    with pytest.raises(NotImplementedError):
        OpenvinoMaps(lambda: OPENVINO.source(network, described(network)))
