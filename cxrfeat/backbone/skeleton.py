"""Skeletons: graphs of the table's networks as ONNX without weights, which come with the package.

The only place that knows how they are written (`scripts/skeletons.py` writes them, from Keras) and how weights are put
into them. A skeleton takes the image and, as further inputs, every array of weights.
"""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.place import Place
from cxrfeat.backbone.table import TABLE
from cxrfeat.system.process import threads

if TYPE_CHECKING:
    import onnx

FOLDER = importlib.resources.files("cxrfeat.backbone") / "skeletons"

IMAGE = "image"
"""Name of what a skeleton takes, `(n, 3, h, w)` float32; it gives maps, `(n, dim, h', w')` float32."""

_AT_ONCE = 2**16
"""Numbers that fit next to others in what one core remembers."""

ONES = "ones/"
"""What the name of an input begins with that Keras has no weights for: factors of 1."""


def has_skeleton(backbone: str) -> bool:
    """Whether a network's graph comes with the package."""
    return backbone in TABLE and _file(backbone).is_file()


def load_skeleton(backbone: str) -> onnx.ModelProto:
    """The skeleton of a network of the table."""
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(_file(backbone).read_bytes())
    return model


def places_in(skeleton: onnx.ModelProto) -> list[Place]:
    """Its weights' places, in the order that files of weights have."""
    return [_place(one) for one in skeleton.graph.input if one.doc_string]


def fill(skeleton: onnx.ModelProto, weights: Iterable[NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Say which weights a skeleton has: what it takes afterwards is the image alone.

    Normalisation, which engines would fold each time they load it, becomes part of the convolution before it, or a
    factor and a shift of each channel.

    Args:
        skeleton: Changed in place: it names its weights as constants that lie elsewhere, since messages copy what they
            hold.
        weights: For each of its places, in their order, shaped as in Keras.

    Returns:
        The constants by their names, each in the order of ONNX and in one piece.
    """
    from onnx import TensorProto

    graph, given = skeleton.graph, iter(weights)
    del weights  # as they come to be put in order, they go
    arrays: dict[str, NDArray[np.float32]] = {}
    for one in graph.input[1:]:
        if one.doc_string:
            values, place = next(given), _place(one)
            assert values.shape == place.shape, f"{place.name} is {values.shape}"
            arrays[one.name] = np.transpose(values, _order(one)) if _order(one) else values
        else:
            arrays[one.name] = np.ones(_dims(one), np.float32)
    assert next(given, None) is None, "more weights than places"
    factors: dict[str, NDArray[np.float64]] = {}
    nodes = _folded([*graph.node], arrays, factors)
    del graph.input[1:], graph.node[:]
    graph.node.extend(nodes)
    names = dict.fromkeys(name for node in nodes for name in node.input if name in arrays)
    with ThreadPoolExecutor(threads()) as pool:
        made = pool.map(lambda name: _in_one_piece(arrays.pop(name), factors.get(name)), names)
        constants = dict(zip(names, made, strict=True))
    for name, values in constants.items():
        graph.initializer.add(
            name=name, data_type=TensorProto.FLOAT, dims=values.shape, data_location=TensorProto.EXTERNAL
        )
    return constants


def _folded(
    nodes: list[onnx.NodeProto], arrays: dict[str, NDArray[np.float32]], factors: dict[str, NDArray[np.float64]]
) -> list[onnx.NodeProto]:
    """The operations without normalisation; the arrays that they take are put next to the others.

    Args:
        nodes: Changed in place, but for those that go.
        arrays: By their names.
        factors: Takes what the outputs of some arrays are still to be multiplied with.
    """
    from onnx import helper

    takers = Counter(name for node in nodes for name in node.input)
    made = {node.output[0]: node for node in nodes}
    kept: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type != "BatchNormalization":
            kept.append(node)
            continue
        before, name = node.input[0], node.output[0]
        factor, shift = _scale(node, arrays)
        if before in made and made[before].op_type == "Conv" and takers[before] == 1:
            _fold(made[before], factor, shift, arrays, factors)
            made[before].output[:] = [name]
            continue
        for kind, values, given, result in (
            ("Mul", factor, before, f"{name}/scaled"),
            ("Add", shift, f"{name}/scaled", name),
        ):
            arrays[f"{result}/by"] = values.astype(np.float32).reshape(-1, 1, 1)
            kept.append(helper.make_node(kind, [given, f"{result}/by"], [result], result))
    return kept


def _scale(
    norm: onnx.NodeProto, arrays: dict[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A factor and a shift for each channel: all that normalisation is after training."""
    epsilon = next(one.f for one in norm.attribute if one.name == "epsilon")
    gamma, beta, mean, variance = (arrays[name].astype(np.float64) for name in norm.input[1:])
    factor = gamma / np.sqrt(variance + epsilon)
    return factor, beta - mean * factor


def _fold(
    convolution: onnx.NodeProto,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
    arrays: dict[str, NDArray[np.float32]],
    factors: dict[str, NDArray[np.float64]],
) -> None:
    """Have a convolution do what follows it."""
    name = convolution.name
    given, kernel, *bias = convolution.input
    shift = shift + sum(arrays[one] * factor for one in bias)
    arrays[f"{name}/by"], factors[f"{name}/by"] = arrays.pop(kernel), factor
    arrays[f"{name}/and"] = shift.astype(np.float32)
    convolution.input[:] = [given, f"{name}/by", f"{name}/and"]


def _in_one_piece(values: NDArray[np.float32], factor: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """An array in the order of its axes; its first one times a factor for each, rounded once.

    Some at a time, so that what Keras has in another order is turned where the processor remembers it.
    """
    if factor is None:
        return np.ascontiguousarray(values, "<f4")
    made = np.empty(values.shape, np.float32)
    step = max(1, _AT_ONCE * len(values) // values.size)
    for start in range(0, len(values), step):
        part = slice(start, start + step)
        scaled = np.empty_like(values[part])
        np.multiply(values[part], factor[part].reshape(-1, 1, 1, 1), out=scaled, casting="same_kind")
        made[part] = scaled
    return made


def described(place: Place, order: tuple[int, ...]) -> str:
    """What an input says of the weights it stands for.

    Args:
        place: Theirs.
        order: Axes of Keras in the order of ONNX; none where it is the same.
    """
    return f"{place.kept};{''.join(map(str, order))};{place.start}"


def _file(backbone: str) -> Traversable:
    return FOLDER / f"{backbone}.onnx"


def _place(value: onnx.ValueInfoProto) -> Place:
    kept, _, start = value.doc_string.split(";")
    dims, order = _dims(value), _order(value)
    shape = tuple(dims[order.index(axis)] for axis in range(len(dims))) if order else dims
    return Place(value.name, kept, shape, start)


def _order(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(map(int, value.doc_string.split(";")[1]))


def _dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(one.dim_value for one in value.type.tensor_type.shape.dim)
