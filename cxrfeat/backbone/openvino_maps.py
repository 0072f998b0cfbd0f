"""A converted network in OpenVINO that gives its last maps next to the features: what explains without Keras.

It takes a third of the memory of TensorFlow, and starts at once. Only networks whose features are the average of their
last maps are looked into here; what is asked of others goes to Keras.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.converted import Source
from cxrfeat.backbone.openvino_engine import import_openvino, read, the_core
from cxrfeat.types import Features, Views

_WEIGHED = frozenset({"Convolution", "GroupConvolution", "MatMul"})
_WINDOWED = frozenset({"Convolution", "GroupConvolution", "MaxPool", "AvgPool"})
_POINTWISE = frozenset(
    {
        "Parameter", "Convert", "Concat", "Transpose", "Multiply", "Add", "Subtract", "Divide", "Clamp", "Relu",
        "PRelu", "Sigmoid", "HardSigmoid", "HSwish", "Swish", "Elu", "Gelu", "Tanh", "ReduceMean",
    }
)  # fmt: skip
"""Operations whose cells depend on the cell at the same place; of `ReduceMean` come gates, which are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one cell of an operation sees along an axis of its input."""

    extent: int
    """Cells."""
    stride: int
    before: int
    """Cells that are added before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation of a network, as far as places matter."""

    name: str
    inputs: tuple[str, ...]
    """Operations that it takes pictures or maps from; weights are none."""
    windows: tuple[Window, Window] | None
    """Along rows and columns; `None` where a cell sees the cell at its place."""
    gate: bool
    """Whether it has no places: a number for each channel."""


class OpenvinoMaps:
    """A network from uint8 views to its last maps and their averages."""

    def __init__(self, source: Callable[[], Source]) -> None:
        """Load a network.

        Args:
            source: Where it was converted to, or what it is made of; asked for again when it is loaded again, so that
                what it is made of takes memory no longer than need be.

        Raises:
            NotImplementedError: If its features are not the average of maps, or an operation on the way is not known.
        """
        self._source = source
        model = self._read()
        self.steps = _steps(model)
        """In their order, the one that gives the maps last."""
        channels, height, width = _averaged(model).shape[1:]
        self._shape = height, width, channels
        self._queue: Any = _queue(model)
        """`None` until it is needed again."""

    def _read(self, *, mapped: bool = True) -> Any:  # noqa: ANN401  # OpenVINO has no types
        model = read(self._source(), mapped=mapped)
        model.add_outputs(_averaged(model))
        return model

    def run(self, views: Views) -> tuple[NDArray[np.float32], Features]:
        """Maps `(n, h, w, dim)` and features `(n, dim)` of `(n, size, size)` uint8 views."""
        if self._queue is None:
            self._queue = _queue(self._read())
        maps = np.empty((len(views), *self._shape), np.float32)
        features = np.empty((len(views), self._shape[2]), np.float32)

        def keep(request: Any, index: int) -> None:  # noqa: ANN401  # OpenVINO has no types
            features[index] = request.get_output_tensor(0).data[0]
            maps[index] = request.get_output_tensor(1).data[0].transpose(1, 2, 0)

        self._queue.set_callback(keep)
        for index, view in enumerate(views):
            self._queue.start_async({0: view[np.newaxis, ..., np.newaxis]}, index)
        self._queue.wait_all()
        return maps, features

    def shuffle(self, rng: np.random.Generator) -> None:
        """Set every kernel to its own values in another order; statistics of normalisation are folded into them."""
        self._queue = None  # one network at a time is in memory
        openvino = import_openvino()
        model = self._read(mapped=False)  # all of the file would stay for the few weights that are kept
        for operation in model.get_ordered_ops():
            if operation.get_type_name() in _WEIGHED:
                kernel = operation.input_value(1).get_node()
                values = np.array(kernel.data)
                changed = openvino.opset13.constant(rng.permutation(values.ravel()).reshape(values.shape))
                operation.input(1).replace_source_output(changed.output(0))
        self._queue = _queue(model)

    def restore(self) -> None:
        """Set the kernels back."""
        self._queue = None


def _queue(model: Any) -> Any:  # noqa: ANN401  # OpenVINO has no types
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    return import_openvino().AsyncInferQueue(the_core().compile_model(model, "CPU", settings))


def _averaged(model: Any) -> Any:  # noqa: ANN401  # OpenVINO has no types
    """The maps whose average the features are."""
    mean = model.get_results()[0].input_value(0).get_node()
    if mean.get_type_name() == "Convert":  # to float32, which it is
        mean = mean.input_value(0).get_node()
    if mean.get_type_name() != "ReduceMean" or sorted(mean.input_value(1).get_node().data.ravel().tolist()) != [2, 3]:
        raise NotImplementedError(f"features come from {mean.get_type_name()}")
    return mean.input_value(0)


def _steps(model: Any) -> tuple[Step, ...]:  # noqa: ANN401  # OpenVINO has no types
    last = _averaged(model).get_node().get_friendly_name()
    steps: list[Step] = []
    for operation in model.get_ordered_ops():
        kind, name = operation.get_type_name(), operation.get_friendly_name()
        given = [operation.input_value(place).get_node() for place in range(len(operation.inputs()))]
        inputs = tuple(one.get_friendly_name() for one in given if one.get_type_name() != "Constant")
        if kind in ("Constant", "Result"):
            continue
        shape = tuple(operation.output(0).shape)
        windows = _windows(operation, kind, tuple(given[0].output(0).shape)) if kind in _WINDOWED else None
        if windows is None and kind not in _POINTWISE:
            raise NotImplementedError(f"{kind} is not known")
        steps.append(Step(name=name, inputs=inputs, windows=windows, gate=len(shape) != 4 or set(shape[2:]) == {1}))
        if name == last:
            return tuple(steps)
    raise AssertionError("the maps are an operation of the network")


def _windows(operation: Any, kind: str, given: tuple[int, ...]) -> tuple[Window, Window]:  # noqa: ANN401  # OpenVINO has no types
    told = operation.get_attributes()
    kernel = told["kernel"] if "kernel" in told else list(operation.input_value(1).get_node().output(0).shape)[-2:]
    return _window(told, kernel, given, 0), _window(told, kernel, given, 1)


def _window(told: dict[str, Any], kernel: list[int], given: tuple[int, ...], axis: int) -> Window:
    stride = int(told["strides"][axis])
    extent = (int(kernel[axis]) - 1) * int((told.get("dilations") or (1, 1))[axis]) + 1
    before, length = int(told["pads_begin"][axis]), given[2 + axis]
    same = str(told.get("auto_pad", "explicit")).lower()
    if same in ("same_upper", "same_lower"):
        added = max((math.ceil(length / stride) - 1) * stride + extent - length, 0)
        before = added // 2 if same == "same_upper" else added - added // 2
    elif same == "valid":
        before = 0
    return Window(extent=extent, stride=stride, before=before)
