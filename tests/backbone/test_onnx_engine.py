from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.onnx_engine import ONNX, OPSET, OnnxEngine, _without_optimisers
from cxrfeat.backbone.onnx_graph import GRAPH
from tests.backbone.networks import described, some_views

pytestmark = pytest.mark.skipif(not ONNX.installed(), reason="the extra onnx is not installed")


def test_a_lone_view_goes_in_a_batch_of_two_and_comes_out_as_in_company(tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    engine = ONNX(network, described(network), 1)
    assert isinstance(engine, OnnxEngine)
    assert engine.batch == 2
    views = some_views(3, 32)
    np.testing.assert_array_equal(engine.run(views[:1]), engine.run(views)[:1])


def test_the_graph_takes_bytes_in_batches_of_any_size(tiny_network: Path) -> None:
    import onnx

    network = find_network(str(tiny_network), preprocess="tf")
    ONNX(network, described(network), 4)
    graph = onnx.load(str(ONNX.folder(network, described(network)) / GRAPH))
    assert [one.version for one in graph.opset_import if not one.domain] == [OPSET]
    (given,) = graph.graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    shape = given.type.tensor_type.shape.dim
    assert not shape[0].dim_value
    assert [side.dim_value for side in shape[1:]] == [32, 32, 1]


def test_the_converters_own_passes_are_left_out_and_put_back() -> None:
    from tf2onnx import optimizer

    before = optimizer.optimize_graph
    with _without_optimisers():
        assert optimizer.optimize_graph("a graph") == "a graph"
    assert optimizer.optimize_graph is before


@pytest.mark.parametrize(
    ("size", "asked", "batch"), [(32, 16, 16), (299, 64, 64), (448, 16, 4), (518, 16, 2), (1024, 64, 2)]
)
def test_a_batch_of_large_views_is_smaller_so_that_memory_does(
    size: int, asked: int, batch: int, tmp_path: Path
) -> None:
    from cxrfeat.backbone.onnx_graph import put_graph, wrapped
    from cxrfeat.spec import FeatureSpec, ViewSpec
    from tests.backbone.onnx_bodies import convolutional

    spec = FeatureSpec(backbone="file", weights="sha256:0", preprocess="tf", view=ViewSpec(size=size))
    put_graph(wrapped(convolutional(size=size), spec), (), tmp_path)
    assert OnnxEngine(tmp_path, asked).batch == batch
