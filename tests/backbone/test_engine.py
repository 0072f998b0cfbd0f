from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.build import build
from cxrfeat.backbone.engine import CPU_BATCH, IN_FLIGHT, Engine, Handing, KerasEngine, check_precision
from cxrfeat.backbone.network import find_network
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.types import Features, Views


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


def test_batches_that_are_begun_together_are_those_that_are_run_alone(engine: KerasEngine) -> None:
    views = some_views(11)
    begun = [engine.begin(views[start : start + 4]) for start in range(0, 11, 4)]
    assert np.array_equal(np.concatenate([one.result() for one in begun]), engine.run(views))
    assert not begun[0].cancel(), "it is done"


class Waited:
    """An engine that can only be waited for."""

    name, dim, batch = "waited", 1, 4

    def run(self, views: Views) -> Features:
        if views[0, 0, 0] == 200:
            raise KeyboardInterrupt
        return views[:, 0, :1].astype(np.float32)


@pytest.mark.parametrize("kind", ["streams", "waits"])
def test_batches_come_back_in_order_and_few_are_on_their_way(engine: KerasEngine, kind: str) -> None:
    each: Engine = engine if kind == "streams" else Waited()
    views = some_views(40) // 2
    with Handing(each) as handing:
        found = [handing.begin(views[start : start + 4]) for start in range(0, 40, 4)]
        assert [len(one) for one in found] == [0] * (IN_FLIGHT - 1) + [1] * (11 - IN_FLIGHT)
        parts = [part for one in found for part in one] + list(handing.rest())
    assert np.array_equal(np.concatenate(parts), each.run(views))


def test_an_interruption_leaves_no_thread_and_nothing_begun() -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Handing(Waited()) as handing:
        _ = [handing.begin(np.full((4, 2, 2), 200, np.uint8)) for _ in range(3)]
    assert threading.active_count() == before


def test_what_goes_wrong_in_a_batch_is_raised_where_its_features_are_asked_for(
    engine: KerasEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Views) -> None:
        raise ValueError("no such network")

    monkeypatch.setattr(engine, "_step", refuse)
    begun = engine.begin(some_views(2))
    with pytest.raises(ValueError, match="no such network"):
        begun.result()


def test_arithmetic_that_only_a_gpu_has_is_refused_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = FeatureSpec(
        backbone="resnet50", weights="random:0", preprocess="caffe", view=ViewSpec(size=32), precision="tf32"
    )
    with pytest.raises(UsageError, match=r"`precision=tf32` is arithmetic of GPUs .* a CPU cannot compute these"):
        check_precision(spec)
    check_precision(replace(spec, precision="float16"))  # slow there, and the same
    monkeypatch.setattr("cxrfeat.backbone.engine.has_gpu", lambda: True)
    check_precision(spec)


def test_another_batch_size_agrees_closely(engine: KerasEngine, tiny_network: Path) -> None:
    views = some_views(11)
    a, b = engine.run(views), make(tiny_network, CPU_BATCH).run(views)
    assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(a)


@pytest.mark.slow
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
