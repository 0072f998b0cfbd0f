"""Heads in ONNX graphs, run by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxrfeat.head.novelty import Novelty
from cxrfeat.head.onnx_form import OUTSIDE, PROBABILITIES, with_head
from cxrfeat.spec import HEAD_KINDS, HeadKind
from tests.head.blobs import blobs, head_of

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def network(dim: int, opset: int) -> Any:
    """A graph whose features are what it is given."""
    from onnx import TensorProto, helper

    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", dim]) for name in ("view", "features"))
    graph = helper.make_graph([helper.make_node("Identity", ["view"], ["features"])], "features", [given], [made])
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports))


@pytest.mark.few(12)
@pytest.mark.parametrize(
    ("classes", "opset"), [(2, 18), (4, 18), (3, 9), (3, 12), (3, 21)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_a_head_behind_a_network_says_what_it_says_with_numpy(kind: HeadKind, classes: int, opset: int) -> None:
    head, X = head_of(kind, classes), blobs(classes)[2]
    novelty = Novelty.fit(X[:20])
    made = with_head(network(16, opset), head, novelty)
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    probabilities, outside = session.run([PROBABILITIES, OUTSIDE], {"view": X})
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, head.predict_proba(X), atol=1e-6)
    assert outside.tolist() == novelty.outside(X).tolist()


def test_numbers_that_are_float32_are_stored_as_such() -> None:
    head = head_of("dropout")
    made = with_head(network(16, 18), head, Novelty.fit(blobs()[2]))
    sizes = sum(len(one.raw_data) for one in made.graph.initializer)
    weights = sum(array.nbytes for name, array in head.arrays.items() if name.startswith("weights"))
    assert weights <= sizes < 1.2 * weights
