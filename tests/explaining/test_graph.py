from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError
from tests.explaining.nets import convolutional, graph_of, nested, pooled, saved, spec_of, views


@pytest.mark.few(1)
@pytest.mark.parametrize("make", [convolutional, nested, pooled])
def test_features_are_those_of_extraction_and_maps_come_before_them(make: object, tmp_path: Path) -> None:
    network = saved(tmp_path / "net.keras", make)  # type: ignore[arg-type]  # one of three functions
    graph = graph_of(network)
    maps, features = graph.run(views(20))
    expected = build(network, spec_of(network)).predict_on_batch(views(20)[..., None])
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert maps.shape == (20, 4, 4, 8)
    assert maps.dtype == features.dtype == np.float32
    if graph.averages:
        np.testing.assert_allclose(maps.mean(axis=(1, 2)), features, atol=1e-5)
    assert graph.averages is (make is not pooled)


def test_a_row_does_not_depend_on_its_company(tmp_path: Path) -> None:
    graph = graph_of(saved(tmp_path / "net.keras", convolutional))
    all_maps, _ = graph.run(views(20))
    for row in (0, 17):
        np.testing.assert_array_equal(graph.run(views(20)[row : row + 1])[0][0], all_maps[row])


def test_layers_are_named_those_inside_a_model_too(tmp_path: Path) -> None:
    graph = graph_of(saved(tmp_path / "net.keras", nested))
    assert graph.layers == ["inner/first", "inner/second", "inner/last", "inner", "outside"]
    given = views(3)
    inside = graph.layer("inner/second")
    assert inside.run(given).shape == (3, 8, 8, 8)
    assert inside.fields[0].step == 4
    np.testing.assert_allclose(graph.layer("inner").run(given), graph.layer("inner/last").run(given), atol=1e-6)
    np.testing.assert_allclose(graph.layer("outside").run(given), graph.run(given)[0], atol=1e-6)


def test_a_layer_that_is_not_there_is_said_with_the_nearest(tmp_path: Path) -> None:
    graph = graph_of(saved(tmp_path / "net.keras", convolutional))
    with pytest.raises(UsageError, match=r"no layer 'secnd'.*Did you mean second\? There are first, second, last\."):
        graph.layer("secnd")


def test_shuffled_weights_change_the_maps_and_come_back(tmp_path: Path) -> None:
    graph = graph_of(saved(tmp_path / "net.keras", convolutional))
    before = graph.run(views(2))[0]
    graph.shuffle(np.random.default_rng(0))
    assert np.abs(graph.run(views(2))[0] - before).max() > 0.01
    graph.restore()
    np.testing.assert_array_equal(graph.run(views(2))[0], before)


@pytest.mark.slow
def test_a_network_of_the_table_is_cut_at_its_last_maps() -> None:
    network = find_network("resnet50", weights="random", size=32)
    graph = graph_of(network)
    maps, features = graph.run(views(2))
    assert maps.shape == (2, 1, 1, 2048)
    assert graph.fields is not None
    assert graph.fields[0].step == 32
    np.testing.assert_allclose(maps[:, 0, 0], features, rtol=1e-5)
    assert import_keras().config.dtype_policy().name == "float32"
