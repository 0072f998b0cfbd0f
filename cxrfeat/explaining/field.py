"""The only place that knows receptive fields: which pixels a cell of a map depends on, and where the cell lies.

Worked out on the graph, layer by layer. A cell lies at the middle of its field, which is not the middle of its share of
the picture: where a network pads one side only, as TensorFlow's "same" does before each halving, its last maps lie
half a cell further down and right than an even grid would have them, and heat that is drawn without that
lies beside what it is about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cxrfeat.backbone.openvino_maps import Step

Tensor = Any
"""A symbolic tensor of Keras."""

_NOT_LOCAL = frozenset({"Conv2DTranspose", "MultiHeadAttention", "GroupQueryAttention", "Attention"})
"""Layers whose cells depend on others than a window tells, though they have the attributes or the shape of one."""


@dataclass(frozen=True, slots=True)
class Field:
    """The cells of a map along one axis: cell `i` depends on pixels `first + i * step - size / 2` to `... + size / 2`.

    Example:
        >>> regular(cells=7, pixels=224)
        Field(step=32.0, first=16.0, size=224)
    """

    step: float
    """Pixels from one cell to the next."""
    first: float
    """Middle of the first cell's field, in pixels from the edge of the picture."""
    size: float
    """Length of a field in pixels; it may be longer than the picture."""

    def centre(self, cell: float) -> float:
        """Middle of a cell's field, in pixels from the edge."""
        return self.first + cell * self.step

    def span(self, cell: int, pixels: int) -> tuple[int, int]:
        """First pixel of a cell's field and the one behind its last, inside a picture of so many."""
        low, high = self.centre(cell) - self.size / 2, self.centre(cell) + self.size / 2
        return max(0, min(pixels - 1, round(low))), max(1, min(pixels, round(high)))


Fields = tuple[Field, Field]
"""Along rows and along columns."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Pixels `low + i * step` to `high + i * step`, both included, counted from 0."""

    step: int
    low: int
    high: int


def regular(cells: int, pixels: int) -> Field:
    """Cells that share the picture evenly and may depend on all of it: all that is known of an unknown network."""
    return Field(step=pixels / cells, first=pixels / cells / 2, size=pixels)


def fields_of(tensor: Tensor) -> Fields | None:
    """The receptive fields of the cells of a map, in pixels of the graph's input.

    Args:
        tensor: Symbolic, `(n, h, w, channels)`, of a Keras graph whose input is one batch of images.

    Returns:
        Along rows and columns; `None` where a layer on the way is not local, or not known to be. Gates that weigh
        whole channels (squeeze and excitation) depend on everything, and are left out of account.

    Source: Araujo et al. 2019, Computing Receptive Fields of Convolutional Neural Networks, section 2 (Distill).
    """
    rows, columns = (_reach(tensor, axis, {}) for axis in (0, 1))
    return None if rows is None or columns is None else (_field(rows), _field(columns))


def fields_of_steps(steps: Sequence[Step]) -> Fields:
    """The same of a network that another engine runs, from its operations in order; the last gives the maps."""
    rows, columns = (_reach_of_steps(steps, axis) for axis in (0, 1))
    return _field(rows), _field(columns)


def _reach_of_steps(steps: Sequence[Step], axis: int) -> _Reach:
    known: dict[str, _Reach] = {}
    gates = {step.name for step in steps if step.gate}
    for step in steps:
        given = [known[name] for name in step.inputs if name not in gates]
        at = _Reach(1, 0, 0)
        if given:
            at = _Reach(given[0].step, min(one.low for one in given), max(one.high for one in given))
        if step.windows is not None:
            window = step.windows[axis]
            low = at.low - window.before * at.step
            at = _Reach(at.step * window.stride, low, low + at.high - at.low + (window.extent - 1) * at.step)
        known[step.name] = at
    return known[steps[-1].name]


def producers(tensor: Tensor) -> Iterator[tuple[Any, list[Tensor], list[Tensor]]]:
    """The steps of the graph that a tensor comes from, the nearest first: layer, its inputs, its outputs."""
    pending, seen = [tensor], set()
    while pending:
        layer, node = _made_by(pending.pop(0))
        if id(node) not in seen:
            seen.add(id(node))
            pending += node.input_tensors
            yield layer, node.input_tensors, node.output_tensors


def _made_by(tensor: Tensor) -> tuple[Any, Any]:
    history = tensor._keras_history  # Keras has no public way back through a graph
    return history.operation, history.operation._inbound_nodes[history.node_index]


def _field(reach: _Reach) -> Field:
    return Field(step=reach.step, first=(reach.low + reach.high + 1) / 2, size=reach.high - reach.low + 1)


def _reach(tensor: Tensor, axis: int, known: dict[int, _Reach | None]) -> _Reach | None:
    """Of the first cell along an axis."""
    pending = [tensor]
    while pending:  # depth first without recursion: DenseNet is deeper than Python's stack
        one = pending[-1]
        layer, node = _made_by(one)
        waiting = [each for each in node.input_tensors if id(each) not in known]
        if waiting:
            pending += waiting
            continue
        pending.pop()
        if not node.input_tensors:
            known[id(one)] = _Reach(1, 0, 0) if len(one.shape) == 4 else None
        elif hasattr(layer, "layers"):
            inner = _reach(layer.outputs[0], axis, {}) if len(node.input_tensors) == 1 else None
            known[id(one)] = _chained(known[id(node.input_tensors[0])], inner)
        else:
            given = _union([(each, known[id(each)]) for each in node.input_tensors])
            known[id(one)] = _through(layer, node.input_tensors, one, given, axis)
    return known[id(tensor)]


def _chained(outer: _Reach | None, inner: _Reach | None) -> _Reach | None:
    if outer is None or inner is None:
        return None
    step = outer.step
    return _Reach(step * inner.step, outer.low + inner.low * step, outer.high + inner.high * step)


def _union(given: list[tuple[Tensor, _Reach | None]]) -> _Reach | None:
    """What a layer with several inputs reaches in all of them; gates, one number for each channel, apart."""
    reaches = [reach for tensor, reach in given if not _is_gate(tensor)]
    if not reaches or any(one is None for one in reaches):
        return None
    known = [one for one in reaches if one is not None]
    if len({one.step for one in known}) > 1:
        return None
    return _Reach(known[0].step, min(one.low for one in known), max(one.high for one in known))


def _is_gate(tensor: Tensor) -> bool:
    return len(tensor.shape) != 4 or tuple(tensor.shape[1:3]) == (1, 1)


def _through(layer: Any, inputs: list[Tensor], output: Tensor, given: _Reach | None, axis: int) -> _Reach | None:  # noqa: ANN401  # Keras has no types
    kind = type(layer).__name__
    if given is None or len(output.shape) != 4 or kind in _NOT_LOCAL:
        return None
    length = inputs[0].shape[1 + axis]
    if kind in ("ZeroPadding2D", "Cropping2D"):
        shift = (layer.padding if kind == "ZeroPadding2D" else layer.cropping)[axis][0]
        shift *= given.step * (-1 if kind == "ZeroPadding2D" else 1)
        return _Reach(given.step, given.low + shift, given.high + shift)
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if kernel is None:
        local = all(_is_gate(each) or each.shape[1:3] == output.shape[1:3] for each in inputs)
        return given if local else None
    stride = layer.strides[axis]
    extent = (kernel[axis] - 1) * getattr(layer, "dilation_rate", (1, 1))[axis] + 1
    before = _padded_before(layer.padding, length, extent, stride)
    low = given.low - before * given.step
    return _Reach(given.step * stride, low, given.high - before * given.step + (extent - 1) * given.step)


def _padded_before(padding: str, length: int | None, extent: int, stride: int) -> int:
    """Cells that are added before the first: TensorFlow's "same" puts the odd one behind the last."""
    if padding != "same":
        return 0
    if length is None:  # as for a length that the stride divides
        return max(extent - stride, 0) // 2
    return max((math.ceil(length / stride) - 1) * stride + extent - length, 0) // 2
