"""Parts of ONNX graphs, as other versions of its operations have them."""

from __future__ import annotations

import numpy as np
import pytest

from cxrfeat.backbone.onnx_nodes import Nodes, type_of, value_of

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.mark.parametrize("opset", [9, 10, 13, 18, 21])
def test_the_largest_of_a_row_are_the_first_of_equal_ones_in_every_version(opset: int) -> None:
    from onnx import helper

    nodes = Nodes("ours/", opset)
    _, places = nodes.largest("x", 2)
    made = nodes.mean(nodes.add("Cast", [places], to=type_of("FLOAT")), (1,))
    graph = helper.make_graph(
        nodes.nodes,
        "graph",
        [value_of("x", type_of("FLOAT"), [None, 4])],
        [value_of(made, type_of("FLOAT"), [None])],
        [*nodes.constants.values()],
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=max(4, helper.find_min_ir_version_for(imports)))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (means,) = session.run(None, {"x": np.array([[1, 5, 5, 5], [9, 0, 0, 1]], np.float32)})
    assert means.tolist() == [1.5, 1.5]


def test_constants_are_kept_once() -> None:
    nodes = Nodes("ours/", 18)
    assert nodes.constant(np.array(1.5, np.float32)) == nodes.constant(np.array(1.5, np.float32))
    assert nodes.constant(np.zeros(9), "zeros") == "ours/zeros"
    assert len(nodes.constants) == 2
