"""Parts of ONNX graphs as this package makes them: operations in their order, constants, values with their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


class Nodes:
    """Operations of ours, in their order, with the constants that they take."""

    def __init__(self, prefix: str, opset: int) -> None:
        """Begin with none.

        Args:
            prefix: What their names begin with.
            opset: Version of ONNX's operations.
        """
        self._prefix, self._opset = prefix, opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, given: Sequence[str], made: str | None = None, **attributes: int | Sequence[int]) -> str:
        """An operation; the name of what it gives, `made` or a new one."""
        from onnx import helper

        made = made or f"{self._prefix}{kind.lower()}_{len(self.nodes)}"
        node = helper.make_node(kind, given, [made], name=made)
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return made

    def constant(self, value: NDArray[Any], called: str | None = None) -> str:
        """The name of a constant, which is kept once; small ones are called by their numbers."""
        from onnx import numpy_helper

        called = called or f"{value.dtype}_{'_'.join(f'{one:.9g}' for one in value.ravel())}_{value.ndim}"
        name = f"{self._prefix}{called}"
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def mean(self, given: str, axes: tuple[int, ...]) -> str:
        """The average over some axes, which are gone then."""
        if self._opset < 18:
            return self.add("ReduceMean", [given], axes=axes, keepdims=0)
        return self.add("ReduceMean", [given, self.constant(np.array(axes, np.int64))], keepdims=0)

    def largest(self, given: str, count: int) -> tuple[str, str]:
        """The largest values of each row, and their columns, the first of equal ones."""
        from onnx import helper

        made = [f"{self._prefix}{what}_{len(self.nodes)}" for what in ("largest", "places")]
        if self._opset < 10:
            node = helper.make_node("TopK", [given], made, name=made[0], axis=1, k=count)
        else:
            number = self.constant(np.array([count], np.int64))
            node = helper.make_node("TopK", [given, number], made, name=made[0], axis=1)
        self.nodes.append(node)
        return made[0], made[1]

    def after_first(self, given: str) -> str:
        """All tokens of `(n, tokens, dim)` but the first."""
        if self._opset < 10:
            return self.add("Slice", [given], axes=(1,), starts=(1,), ends=(_END,))
        each = [self.constant(np.array([number], np.int64)) for number in (1, _END, 1)]
        return self.add("Slice", [given, *each])


_END = 2**31 - 1
"""Behind the last of any number of tokens."""


def put(field: Any, values: Iterable[Any]) -> None:  # noqa: ANN401  # any repeated field
    """Give a repeated field other values."""
    values = list(values)
    del field[:]
    field.extend(values)


def type_of(name: str) -> int:
    """ONNX's number of a type, such as `FLOAT`."""
    import onnx

    return int(onnx.TensorProto.DataType.Value(name))


def value_of(name: str, kind: int, dims: Iterable[int | None]) -> onnx.ValueInfoProto:
    """A value of the graph; the first of its unknown dimensions is `n`, the number of images."""
    from onnx import helper

    shape = [f"{name}_{place}" if dim is None else dim for place, dim in enumerate(dims)]
    return helper.make_tensor_value_info(name, kind, ["n", *shape[1:]] if isinstance(shape[0], str) else shape)
