"""Small ONNX networks made by hand, whose every number can be worked out by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE, DIM = 16, 5

Dims = Sequence[int | str | None]


def model(
    nodes: Sequence[onnx.NodeProto],
    given: Dims,
    made: dict[str, Dims],
    weights: dict[str, NDArray[Any]] | None = None,
    *,
    opset: int = 18,
    kind: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "body",
        [helper.make_tensor_value_info("image", kind, given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in made.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    found: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return found


def kernel(channels: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(DIM, channels, 4, 4)).astype(np.float32)


def maps_of(pixels: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """`(n, c, h, w)` pixels to `(n, dim, h / 4, w / 4)` maps, by a kernel of 4 x 4 in steps of 4, then at least 0."""
    n, channels, height, width = pixels.shape
    blocks = pixels.reshape(n, channels, height // 4, 4, width // 4, 4).astype(np.float64)
    summed: NDArray[np.float64] = np.einsum("nchiwj,dcij->ndhw", blocks, weights.astype(np.float64))
    return np.maximum(summed, 0)


def convolutional(
    *, first: bool = True, channels: int = 3, batch: int | str = "n", opset: int = 18, size: int | str = SIZE
) -> onnx.ModelProto:
    """One convolution to `(n, dim, 4, 4)` maps, or `(n, 4, 4, dim)` where channels come last."""
    weights = {"kernel": kernel(channels)}
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["view"], strides=[4, 4]),  # a name that the wrapper has, too
        helper.make_node("Relu", ["view"], ["features"]),
    ]
    if first:
        nodes = [helper.make_node("Identity", ["image"], ["pixels"]), *nodes]
        nodes.append(helper.make_node("Identity", ["features"], ["out"]))
        return model(nodes, [batch, channels, size, size], {"out": [batch, DIM, None, None]}, weights, opset=opset)
    nodes = [helper.make_node("Transpose", ["image"], ["pixels"], perm=[0, 3, 1, 2]), *nodes]
    nodes.append(helper.make_node("Transpose", ["features"], ["out"], perm=[0, 2, 3, 1]))
    return model(nodes, [batch, size, size, channels], {"out": [batch, None, None, DIM]}, weights, opset=opset)


def tokens(*, opset: int = 18) -> onnx.ModelProto:
    """A class token before the 16 others, `(n, 17, dim)`, and the class token times two, `(n, dim)`."""
    weights: dict[str, NDArray[Any]] = {
        "kernel": kernel(),
        "cls": np.arange(1, DIM + 1, dtype=np.float32).reshape(1, 1, DIM),
        "shape": np.array([0, DIM, 16]),
        "two": np.array(2, np.float32),
        "zero": np.array(0),
    }
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], strides=[4, 4]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("Reshape", ["positive", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Gather", ["patches", "zero"], ["one"], axis=1),  # of each image, so that the batch is free
        helper.make_node("Reshape", ["one", "row"], ["row_of_one"]),
        helper.make_node("Add", ["row_of_one", "cls"], ["first"]),
        helper.make_node("Concat", ["first", "patches"], ["tokens"], axis=1),
        helper.make_node("Mul", ["one", "two"], ["doubled"]),
    ]
    weights["row"] = np.array([0, 1, DIM])
    return model(nodes, ["n", 3, SIZE, SIZE], {"tokens": ["n", 17, DIM], "doubled": ["n", DIM]}, weights, opset=opset)
