"""An ONNX file in ONNX Runtime that gives its last maps next to the features: what explains it.

As `backbone.openvino_maps` of a converted network, whose steps these are too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_engine import session_of
from cxrfeat.backbone.onnx_file import MOST_OF_FILE, read_onnx
from cxrfeat.backbone.onnx_graph import FEATURES, MAPS, VIEW, wrapped
from cxrfeat.backbone.openvino_maps import Step, Window
from cxrfeat.spec import FeatureSpec
from cxrfeat.types import Features, Views

if TYPE_CHECKING:
    import onnx

_WEIGHED = frozenset({"Conv", "MatMul", "Gemm"})
_WINDOWED = frozenset({"Conv", "MaxPool", "AveragePool"})
_POINTWISE = frozenset(
    {
        "Add", "BatchNormalization", "Cast", "Celu", "Clip", "Concat", "Div", "Dropout", "Elu", "Erf", "Exp", "Gelu",
        "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "Min", "Mish", "Mul", "PRelu",
        "Pow", "Relu", "Selu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Swish", "Tanh", "Transpose",
    }
)  # fmt: skip
"""Operations whose cells depend on the cell at the same place. What gives gates may be any other: they are left out."""


class OnnxMaps:
    """A network from uint8 views to its last maps and their averages."""

    def __init__(self, network: Network, spec: FeatureSpec) -> None:
        """Load a network.

        Raises:
            NotImplementedError: If its features are not the average of maps, or it is too large to be held twice.
            InputError, MissingExtraError: As `read_onnx`.
        """
        from onnx import external_data_helper

        assert network.path is not None, "of a file"
        self._model = wrapped(read_onnx(network.path).model, spec, maps=True)
        if len(self._model.graph.output) == 1:
            raise NotImplementedError("features are not an average of maps")
        external_data_helper.load_external_data_for_model(self._model, str(network.path.parent))
        if self._model.ByteSize() > MOST_OF_FILE:
            raise NotImplementedError("too large for one message")
        self.steps: tuple[Step, ...] | None = _steps(self._model)
        """In their order, the one that gives the maps last; `None` where one is not known."""
        height, width = (side.dim_value for side in self._model.graph.output[1].type.tensor_type.shape.dim[1:3])
        self.cells: tuple[int, int] = height, width
        """Rows and columns of the maps."""
        self._session: Any = session_of(self._model.SerializeToString())
        self._one = self._session.get_inputs()[0].shape[0] == 1

    def run(self, views: Views) -> tuple[NDArray[np.float32], Features]:
        """Maps `(n, h, w, dim)` and features `(n, dim)` of `(n, size, size)` uint8 views."""
        parts = [views[at : at + 1] for at in range(len(views))] if self._one else [views]
        made = [self._session.run([MAPS, FEATURES], {VIEW: part[..., np.newaxis]}) for part in parts]
        maps, features = (np.concatenate(each) for each in zip(*made, strict=True))
        return maps, features

    def shuffle(self, rng: np.random.Generator) -> None:
        """Set every kernel to its own values in another order."""
        import onnx
        from onnx import numpy_helper

        changed = onnx.ModelProto()
        changed.CopyFrom(self._model)
        kernels = {node.input[1] for node in changed.graph.node if node.op_type in _WEIGHED}
        for one in changed.graph.initializer:
            if one.name in kernels:
                values = numpy_helper.to_array(one)
                one.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), one.name))
        self._session = session_of(changed.SerializeToString())

    def restore(self) -> None:
        """Set the kernels back."""
        self._session = session_of(self._model.SerializeToString())


def _steps(model: onnx.ModelProto) -> tuple[Step, ...] | None:
    """The operations up to the maps, as far as places matter; `None` where one is not known."""
    from onnx import numpy_helper, shape_inference

    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
        for one in (*graph.value_info, *graph.input, *graph.output)
    }
    constants = {one.name: one for one in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.HasField("t")
    }
    fixed = {*constants}
    steps = [Step(name=VIEW, inputs=(), windows=None, gate=False)]
    for node in graph.node:
        given = tuple(name for name in node.input if name and name not in fixed)
        if not given:
            fixed |= {*node.output}
            continue
        windows: tuple[Window, Window] | None = None
        if node.op_type in _WINDOWED:
            kernel = tuple(constants[node.input[1]].dims[2:]) if node.input[1:2] and node.input[1] in constants else ()
            windows = _windows(node, kernel, shapes.get(given[0], ()))
        elif node.op_type == "Pad":
            pads = constants.get(node.input[1]) if len(node.input) > 1 else None
            windows = _padding(numpy_helper.to_array(pads).tolist()) if pads is not None else None
        shape = shapes.get(node.output[0], ())
        gate = len(shape) != 4 or set(shape[2:]) == {1} or set(shape[1:3]) == {1}
        if not shape or (windows is None and node.op_type not in _POINTWISE and not gate):
            return None
        steps.append(Step(name=node.output[0], inputs=given, windows=windows, gate=gate))
        if node.output[0] == MAPS:
            return tuple(steps)
    return None


def _windows(node: onnx.NodeProto, kernel: tuple[int, ...], given: tuple[int, ...]) -> tuple[Window, Window] | None:
    from onnx import helper

    told: dict[str, Any] = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    kernel = tuple(told.get("kernel_shape") or kernel)
    if len(kernel) != 2 or len(given) != 4 or told.get("ceil_mode"):
        return None
    rows, columns = (_window(told, kernel[axis], axis, given[2 + axis]) for axis in (0, 1))
    return rows, columns


def _window(told: dict[str, Any], kernel: int, axis: int, length: int) -> Window:
    stride = int((told.get("strides") or (1, 1))[axis])
    extent = (kernel - 1) * int((told.get("dilations") or (1, 1))[axis]) + 1
    before = int((told.get("pads") or (0, 0))[axis])
    same = bytes(told.get("auto_pad") or b"NOTSET")
    if same in (b"SAME_UPPER", b"SAME_LOWER"):
        added = max((math.ceil(length / stride) - 1) * stride + extent - length, 0)
        before = added // 2 if same == b"SAME_UPPER" else added - added // 2
    return Window(extent=extent, stride=stride, before=before)


def _padding(pads: list[int]) -> tuple[Window, Window] | None:
    """What padding moves, of rows and columns, wherever the channels are."""
    if len(pads) != 8 or pads[0] or pads[4] or (any((pads[1], pads[5])) and any((pads[3], pads[7]))):
        return None
    first = 1 if any((pads[1], pads[5])) else 2
    rows, columns = (Window(extent=1, stride=1, before=pads[first + at]) for at in (0, 1))
    return rows, columns
