from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.build import build
from cxrfeat.backbone.engine import CPU_BATCH, Engine, KerasEngine
from cxrfeat.backbone.network import find_network
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Views


def make(path: Path, batch: int) -> KerasEngine:
    network = find_network(str(path), preprocess="tf")
    view = ViewSpec(size=32, count=1)
    spec = FeatureSpec(backbone="file", weights=network.weights, preprocess="tf", view=view)
    return KerasEngine(network, spec, batch)


def some_views(count: int) -> Views:
    return np.random.default_rng(2).integers(0, 256, (count, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def engine(tiny_network: Path) -> KerasEngine:
    return make(tiny_network, 4)


def test_an_engine_tells_what_it_is(engine: KerasEngine) -> None:
    whole: Engine = engine
    assert (whole.name, whole.dim, whole.batch) == ("keras", 8, 4)
    features = whole.run(some_views(3))
    assert features.shape == (3, 8)
    assert features.dtype == np.float32
    assert whole.run(some_views(0)).shape == (0, 8)


def test_features_are_those_of_the_graph(engine: KerasEngine, tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    spec = FeatureSpec(backbone="file", weights=network.weights, preprocess="tf", view=ViewSpec(size=32, count=1))
    wanted = np.asarray(build(network, spec).predict_on_batch(some_views(11)[..., None]))
    np.testing.assert_allclose(engine.run(some_views(11)), wanted, rtol=1e-5, atol=1e-6)


def test_a_row_does_not_depend_on_its_company(engine: KerasEngine) -> None:
    """Bit for bit: at any place, in any number, among any others, a lone one too."""
    views = some_views(11)
    whole = engine.run(views)
    assert np.array_equal(engine.run(views), whole)
    for row in range(11):
        assert np.array_equal(engine.run(views[row : row + 1])[0], whole[row]), "alone, in a padded batch"
    for count in (2, 3, 5, 7):
        assert np.array_equal(engine.run(views[:count]), whole[:count])
    order = np.random.default_rng(1).permutation(11)
    assert np.array_equal(engine.run(views[order]), whole[order])
    others = 255 - views
    others[6] = views[6]
    assert np.array_equal(engine.run(others)[6], whole[6])


def test_another_batch_size_agrees_closely(engine: KerasEngine, tiny_network: Path) -> None:
    views = some_views(11)
    a, b = engine.run(views), make(tiny_network, CPU_BATCH).run(views)
    assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(a)


@pytest.mark.weights
def test_a_row_of_the_real_network_does_not_depend_on_its_company(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    network = find_network(str(path), preprocess="tf")
    spec = FeatureSpec(backbone="file", weights=network.weights, preprocess="tf", view=ViewSpec(size=224, count=1))
    engine = KerasEngine(network, spec, 4)
    views = np.random.default_rng(2).integers(0, 256, (6, 224, 224), dtype=np.uint8)
    whole = engine.run(views)
    assert np.array_equal(engine.run(views[[5]])[0], whole[5])
    assert np.array_equal(engine.run(views[::-1]), whole[::-1])
