"""A head as a part of an ONNX graph, behind the network whose features it takes; in float64, as in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.onnx_nodes import Nodes, put, type_of, value_of
from cxrfeat.head.expression import Matrix, outside_in, probabilities_in
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty

if TYPE_CHECKING:
    import onnx

PROBABILITIES, OUTSIDE = "probabilities", "out_of_distribution"
"""Names of the outputs."""


def with_head(graph: onnx.ModelProto, head: FittedHead, novelty: Novelty) -> onnx.ModelProto:
    """Put a head behind a network.

    Args:
        graph: Its first output is `(n, dim)` float32 features. It is used up: the result is made of it.
        head: The head.
        novelty: Tells images that are unlike those it was fitted on.

    Returns:
        The same input, to `probabilities`, `(n, classes)` float32, and `out_of_distribution`, `(n,)` bool.
    """
    opset = next(one.version for one in graph.opset_import if one.domain in ("", "ai.onnx"))
    first = graph.graph.output[0]
    batch = graph.graph.input[0].type.tensor_type.shape.dim[0]
    images = batch.dim_value if batch.HasField("dim_value") else None
    operations = OnnxOperations(Nodes("head/", opset))
    nodes = operations.nodes
    features = nodes.add("Cast", [first.name], to=type_of("DOUBLE"))
    nodes.add("Cast", [probabilities_in(operations, head, features)], PROBABILITIES, to=type_of("FLOAT"))
    outside = nodes.add("Cast", [outside_in(operations, novelty, features)], to=type_of("BOOL"))
    nodes.add("Reshape", [outside, nodes.constant(np.array([-1], np.int64))], OUTSIDE)
    graph.graph.node.extend(nodes.nodes)
    graph.graph.initializer.extend(nodes.constants.values())
    put(
        graph.graph.output,
        [
            value_of(PROBABILITIES, type_of("FLOAT"), [images, len(head.classes)]),
            value_of(OUTSIDE, type_of("BOOL"), [images]),
        ],
    )
    return graph


class OnnxOperations:
    """Arithmetic of heads in ONNX, on float64; values are known by their names."""

    def __init__(self, nodes: Nodes) -> None:
        """Where operations and constants go."""
        self.nodes = nodes
        self._count = 0

    def standardized(self, x: str, mean: Matrix, scale: Matrix) -> str:  # noqa: D102  # as in `Operations`, like all
        return self.nodes.add("Div", [self.nodes.add("Sub", [x, self._matrix(mean)]), self._matrix(scale)])

    def affine(self, x: str, weights: Matrix, bias: Matrix) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Add", [self.nodes.add("MatMul", [x, self._matrix(weights)]), self._matrix(bias)])

    def linear(self, x: str, factor: float, plus: float) -> str:  # noqa: D102  # as in `Operations`
        scaled = self.nodes.add("Mul", [x, self._number(factor)])
        return self.nodes.add("Add", [scaled, self._number(plus)]) if plus else scaled

    def add(self, x: str, y: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Add", [x, y])

    def multiplied(self, x: str, y: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Mul", [x, y])

    def divided(self, x: str, y: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Div", [x, y])

    def relu(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Relu", [x])

    def exp(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Exp", [x])

    def log(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Log", [x])

    def size(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Abs", [x])

    def negative(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Cast", [self.nodes.add("Less", [x, self._number(0.0)])], to=type_of("DOUBLE"))

    def of_largest(self, x: str, count: int, rows: Matrix) -> str:  # noqa: D102  # as in `Operations`
        _, places = self.nodes.largest(x, count)
        return self.nodes.mean(self.nodes.add("Gather", [self._matrix(rows), places], axis=0), (1,))

    def softmax(self, x: str) -> str:  # noqa: D102  # as in `Operations`
        return self.nodes.add("Softmax", [x], axis=1)

    def _number(self, value: float) -> str:
        return self.nodes.constant(np.array(value, np.float64))

    def _matrix(self, values: NDArray[np.generic]) -> str:
        """A constant; as float32 in the file where that loses nothing."""
        self._count += 1
        wide = np.ascontiguousarray(values, np.float64)
        narrow = wide.astype(np.float32)
        if wide.size > 64 and (narrow == wide).all():
            return self.nodes.add("Cast", [self.nodes.constant(narrow, f"array_{self._count}")], to=type_of("DOUBLE"))
        return self.nodes.constant(wide, f"array_{self._count}")
