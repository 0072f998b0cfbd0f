"""Which graphs stand for the networks of the table? Written from Keras, layer by layer, without weights.

    python -m scripts.skeletons            # writes cxrfeat/backbone/skeletons/NAME.onnx: all, or those that are named

A skeleton is valid ONNX that takes the image, `(n, 3, h, w)` float32 of any size, and every array of weights as a
further input, named as its place in Keras and shaped as ONNX wants it; `cxrfeat.backbone.skeleton` puts weights into
it. `tests/scripts/test_skeletons.py` holds what they compute against Keras, and sees that they are up to date.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from cxrfeat.backbone.build import bare_body
from cxrfeat.backbone.place import places_of
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.skeleton import FOLDER, IMAGE, ONES, described
from cxrfeat.backbone.table import TABLE

OPSET = 18

SIZE = 320
"""Side in pixels that networks are built for, which halves evenly six times; nothing that is written depends on it."""

KERNEL, DEPTHWISE = (3, 2, 0, 1), (2, 3, 0, 1)
"""Axes of Keras's kernels, rows first, in the order of ONNX, channels first."""

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axes that bring channels first, and last."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", nargs="*", help="by default all of the table")
    for name in parser.parse_args(arguments).network or TABLE:
        place = Path(str(FOLDER)) / f"{name}.onnx"
        place.write_bytes(skeleton_of(name))
        print(f"{place}  {place.stat().st_size / 1000:.0f} kB")


def skeleton_of(name: str) -> bytes:
    """The skeleton of a network of the table."""
    model = _Writer(bare_body(import_keras(), name, SIZE)).model()
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Writer:
    """One network on its way from Keras to ONNX; values are called as the layers that give them."""

    def __init__(self, body: Any) -> None:
        self._name = body.name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: dict[str, onnx.ValueInfoProto] = {}
        self._padded: dict[str, tuple[str, list[int]]] = {}
        """Values that are another one with zeros around: whoever takes them adds these itself, where it can."""
        self._last: set[str] = set()
        """Values whose channels come last, as in Keras; of all others they come first."""
        self._places = [(place, id(variable)) for place, variable in places_of(body)]
        self._output = self._graph(body)
        self._dim = body.output_shape[-1]

    def model(self) -> onnx.ModelProto:
        output = self._channels_first(self._output)
        weights = [self._inputs.pop(place.name) for place, _ in self._places]
        given = [_value(IMAGE, ["n", 3, "h", "w"]), *weights, *self._inputs.values()]
        maps = _value(output, ["n", self._dim, "rows", "columns"])
        graph = helper.make_graph(self._nodes, self._name, given, [maps], [*self._constants.values()])
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model_gen_version(graph, opset_imports=[opset], producer_name="cxrfeat")

    def _graph(self, body: Any) -> str:
        names = {id(body.inputs[0]): IMAGE}
        for operation in body.operations:
            node = operation._inbound_nodes[0]  # Keras has no public way through a graph
            if node.input_tensors:
                given = [names[id(one)] for one in node.input_tensors]
                names[id(node.output_tensors[0])] = self._layer(operation, given)
        return names[id(body.outputs[0])]

    def _layer(self, layer: Any, given: list[str]) -> str:
        kind = type(layer).__name__
        if kind == "Sequential":
            for one in layer.layers:
                given = [self._layer(one, given)]
            return given[0]
        if kind in _SAME:
            return given[0]
        if kind == "ZeroPadding2D":
            (top, bottom), (left, right) = layer.padding
            self._padded[layer.name] = given[0], [top, left, bottom, right]
            return str(layer.name)
        return _WRITE[kind](self, layer, given)

    def node(self, kind: str, given: Sequence[str], name: str, **attributes: Any) -> str:
        """An operation; the name of what it gives, which is its own."""
        self._nodes.append(helper.make_node(kind, given, [name], name, **attributes))
        return name

    def weight(self, variable: Any, order: tuple[int, ...] = ()) -> str:
        """The input for an array of weights; `order` is that of ONNX's axes in Keras."""
        place = next(place for place, one in self._places if one == id(variable))
        dims = [place.shape[axis] for axis in order] if order else list(place.shape)
        self._inputs[place.name] = _value(place.name, dims, described(place, order))
        return place.name

    def ones(self, count: int) -> str:
        """The input for factors that Keras leaves out."""
        return self._inputs.setdefault(f"{ONES}{count}", _value(f"{ONES}{count}", [count])).name

    def constant(self, name: str, values: Any) -> str:
        """A small constant."""
        self._constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name

    def _channels_first(self, name: str) -> str:
        return self._turned(name, "first", FIRST) if name in self._last else name

    def channels_last(self, name: str) -> str:
        """A value with its channels last."""
        made = self.plain(name) if name in self._last else self._turned(self.plain(name), "last", LAST)
        self._last.add(made)
        return made

    def _turned(self, name: str, what: str, order: tuple[int, ...]) -> str:
        made = f"{name}/channels_{what}"
        if any(made == one.name for one in self._nodes):
            return made
        return self.node("Transpose", [name], made, perm=order)

    def plain(self, name: str, *, first: bool = False) -> str:
        """A value as it is, with the zeros around it that nobody adds otherwise; with its channels `first` if so."""
        if name in self._padded:
            before, pads = self._padded.pop(name)
            top, left, bottom, right = pads
            sides = self.constant(f"{name}/sides", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
            self.node("Pad", [before, sides], name)
        return self._channels_first(name) if first else name

    def alike(self, kind: str, given: Sequence[str], name: str, **attributes: Any) -> str:
        """An operation that takes one value cell by cell, wherever its channels are; other inputs are numbers."""
        if given[0] in self._last:
            self._last.add(name)
        return self.node(kind, given, name, **attributes)

    def window(self, kind: str, layer: Any, given: str, rest: Sequence[str], name: str, **attributes: Any) -> str:
        """An operation over windows, with Keras's padding and zeros that were to be put around what it takes."""
        size = list(getattr(layer, "kernel_size", None) or layer.pool_size)
        attributes |= {"kernel_shape": size, "strides": list(layer.strides)}
        if layer.padding == "same":
            attributes["auto_pad"] = "SAME_UPPER"
        elif given in self._padded and (kind == "Conv" or self._positive(self._padded[given][0])):
            given, pads = self._padded[given]
            if pads[:2] != pads[2:]:  # Keras's `correct_pad`: as "same" pads sides of an even length, and of an odd one
                assert (size, pads, attributes["strides"]) == ([3, 3], [0, 0, 1, 1], [2, 2])
                attributes["auto_pad"] = "SAME_UPPER"
            else:
                attributes["pads"] = pads
        return self.node(kind, [self.plain(given, first=True), *rest], name, **attributes)

    def _positive(self, name: str) -> bool:
        """Whether zeros around a value change none of its maxima."""
        return any(name in one.output and one.op_type == "Relu" for one in self._nodes)

    def active(self, function: Any, given: str, name: str) -> str:
        """An activation."""
        kind = function.__name__
        if kind == "linear":
            return given
        if kind in ("relu", "sigmoid"):
            return self.alike(kind.title(), [given], name)
        if kind in ("silu", "swish"):
            gate = self.alike("Sigmoid", [given], f"{name}/gate")
            return self.alike("Mul", [given, gate], name)
        assert kind == "gelu", f"{kind} is not known"
        scaled = self.alike("Div", [given, self.constant("sqrt_2", np.float32(np.sqrt(2.0)))], f"{name}/scaled")
        above = self.alike("Erf", [scaled], f"{name}/erf")
        above = self.alike("Add", [above, self.constant("1", np.float32(1))], f"{name}/above")
        halves = self.alike("Mul", [given, self.constant("half", np.float32(0.5))], f"{name}/half")
        return self.alike("Mul", [halves, above], name)


def _value(name: str, dims: Sequence[int | str], doc: str = "") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims, doc)


def _convolution(out: _Writer, layer: Any, given: list[str]) -> str:
    name, plain = layer.name, layer.activation.__name__ == "linear"
    inner = name if plain else f"{name}/linear"
    bias = [out.weight(layer.bias)] if layer.use_bias else []
    assert tuple(layer.dilation_rate) == (1, 1)
    kind = type(layer).__name__
    if kind == "SeparableConv2D":
        depth, kernel = _depth(layer.depthwise_kernel), out.weight(layer.depthwise_kernel, DEPTHWISE)
        wide = out.window("Conv", layer, given[0], [kernel], f"{name}/depthwise", group=depth)
        made = out.node("Conv", [wide, out.weight(layer.pointwise_kernel, KERNEL), *bias], inner)
    elif kind == "DepthwiseConv2D":
        kernel = out.weight(layer.kernel, DEPTHWISE)
        made = out.window("Conv", layer, given[0], [kernel, *bias], inner, group=_depth(layer.kernel))
    else:
        kernel = out.weight(layer.kernel, KERNEL)
        made = out.window("Conv", layer, given[0], [kernel, *bias], inner, group=layer.groups)
    return out.active(layer.activation, made, name)


def _depth(kernel: Any) -> int:
    """Channels of a kernel that treats each by itself."""
    assert kernel.shape[3] == 1
    return int(kernel.shape[2])


def _batch_norm(out: _Writer, layer: Any, given: list[str]) -> str:
    assert layer.center
    gamma = out.weight(layer.gamma) if layer.scale else out.ones(layer.beta.shape[0])
    rest = [out.weight(one) for one in (layer.beta, layer.moving_mean, layer.moving_variance)]
    given = [out.plain(given[0], first=True), gamma, *rest]
    return out.node("BatchNormalization", given, layer.name, epsilon=layer.epsilon)


def _layer_norm(out: _Writer, layer: Any, given: list[str]) -> str:
    factors = [out.weight(layer.gamma), out.weight(layer.beta)]
    given = [out.channels_last(given[0]), *factors]
    return out.alike("LayerNormalization", given, layer.name, axis=-1, epsilon=layer.epsilon)


def _dense(out: _Writer, layer: Any, given: list[str]) -> str:
    product = out.alike("MatMul", [out.channels_last(given[0]), out.weight(layer.kernel)], f"{layer.name}/product")
    made = out.alike("Add", [product, out.weight(layer.bias)], layer.name)
    return out.active(layer.activation, made, f"{layer.name}/active")


def _layer_scale(out: _Writer, layer: Any, given: list[str]) -> str:
    return out.alike("Mul", [out.channels_last(given[0]), out.weight(layer.gamma)], layer.name)


def _activation(out: _Writer, layer: Any, given: list[str]) -> str:
    return out.active(layer.activation, out.plain(given[0]), layer.name)


def _relu(out: _Writer, layer: Any, given: list[str]) -> str:
    assert (layer.negative_slope, layer.threshold) == (0, 0)
    if layer.max_value is None:
        return out.alike("Relu", [out.plain(given[0])], layer.name)
    most = out.constant(f"{layer.max_value:g}", np.float32(layer.max_value))
    return out.alike("Clip", [out.plain(given[0]), out.constant("0", np.float32(0)), most], layer.name)


def _max_pool(out: _Writer, layer: Any, given: list[str]) -> str:
    return out.window("MaxPool", layer, given[0], [], layer.name)


def _average_pool(out: _Writer, layer: Any, given: list[str]) -> str:
    return out.window("AveragePool", layer, out.plain(given[0]), [], layer.name)


def _global_pool(out: _Writer, layer: Any, given: list[str]) -> str:
    return out.node("GlobalAveragePool", [out.plain(given[0], first=True)], layer.name)


def _reshape(out: _Writer, layer: Any, given: list[str]) -> str:
    assert layer.target_shape[:2] == (1, 1), "of the gates alone, whose channels are where they were"
    return given[0]


def _joined(kind: str, **attributes: int) -> Callable[[_Writer, Any, list[str]], str]:
    def write(out: _Writer, layer: Any, given: list[str]) -> str:
        values = [out.plain(one, first=True) for one in given]
        made = values[0]
        if kind == "Concat":
            return out.node(kind, values, layer.name, **attributes)
        for number, one in enumerate(values[1:], start=2):
            made = out.node(kind, [made, one], layer.name if number == len(values) else f"{layer.name}/{number}")
        return made

    return write


def _rescaling(out: _Writer, layer: Any, given: list[str]) -> str:
    made = out.node("Mul", [given[0], out.constant(f"{layer.name}/scale", np.float32(layer.scale))], layer.name)
    if not layer.offset:
        return made
    return out.node("Add", [made, out.constant(f"{layer.name}/offset", np.float32(layer.offset))], f"{made}/moved")


def _normalization(out: _Writer, layer: Any, given: list[str]) -> str:
    mean, deviation = _by_channel(layer.mean), np.sqrt(_by_channel(layer.variance))
    made = out.node("Sub", [given[0], out.constant(f"{layer.name}/mean", mean)], f"{layer.name}/centred")
    return out.node("Div", [made, out.constant(f"{layer.name}/deviation", deviation)], layer.name)


def _by_channel(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


_SAME = frozenset({"Dropout", "StochasticDepth"})
"""Layers that do nothing outside training."""

_WRITE: dict[str, Callable[[_Writer, Any, list[str]], str]] = {
    "Activation": _activation,
    "Add": _joined("Add"),
    "AveragePooling2D": _average_pool,
    "BatchNormalization": _batch_norm,
    "Concatenate": _joined("Concat", axis=1),
    "Conv2D": _convolution,
    "Dense": _dense,
    "DepthwiseConv2D": _convolution,
    "GlobalAveragePooling2D": _global_pool,
    "LayerNormalization": _layer_norm,
    "LayerScale": _layer_scale,
    "MaxPooling2D": _max_pool,
    "Multiply": _joined("Mul"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "SeparableConv2D": _convolution,
}


if __name__ == "__main__":
    main()
