"""The bytes of a stranger's ONNX file, counted before protobuf makes objects of them.

A message of two bytes becomes an object of a hundred, so a file of a gigabyte could fill any memory. Weights apart, the
description of a network is small; its parts are counted here without making anything of them.

Source: protobuf.dev/programming-guides/encoding, and the field numbers of `onnx/onnx.proto3`.
"""

from __future__ import annotations

from collections.abc import Iterator

from cxrfeat.errors import InputError

DESCRIBED = 32 * 2**20
"""Bytes of everything but weights, at most."""

PARTS = 500_000
"""Fields of messages on the way to the weights, at most."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR = 7, 1, 5, 5, 5
_TENSOR_NUMBERS = (4, 9, 10)
"""Weights that take no more memory than they take of the file: `float_data`, `raw_data`, `double_data`."""

_WAY: dict[str, dict[int, str]] = {
    "model": {_MODEL_GRAPH: "graph"},
    "graph": {_GRAPH_NODE: "node", _GRAPH_INITIALIZER: "tensor"},
    "node": {_NODE_ATTRIBUTE: "attribute"},
    "attribute": {_ATTRIBUTE_TENSOR: "tensor"},
    "tensor": {},
}
"""Which fields of a message are looked into, and what they are."""


def check_wire(content: bytes) -> None:
    """Check that a model can be parsed in bounded memory.

    Args:
        content: A serialised `ModelProto`.

    Raises:
        InputError: If it is no such thing, or its description is larger than that of any network.
    """
    described = parts = 0
    view = memoryview(content)
    pending = [("model", 0, len(content))]
    while pending:
        kind, start, end = pending.pop()
        for number, first, last in _fields(view, start, end):
            parts += 1
            inner = _WAY[kind].get(number) if last - first else None
            if inner is not None:
                pending.append((inner, first, last))
            elif not (kind == "tensor" and number in _TENSOR_NUMBERS and last - first > 8):
                described += last - first + 2
            if described > DESCRIBED or parts > PARTS:
                raise InputError(
                    f"The file describes more than a network: over {DESCRIBED // 2**20} MiB besides the weights, or "
                    f"over {PARTS} parts. Export it again with its weights as initialisers of one graph."
                )


def _fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the content of each field of a message."""
    at = start
    while at < end:
        key, at = _varint(view, at, end)
        kind, first = key & 7, at
        if kind == _VARINT:
            _, at = _varint(view, at, end)
        elif kind == _BYTES:
            length, first = _varint(view, at, end)
            at = first + length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise _broken()
        if at > end:
            raise _broken()
        yield key >> 3, first, at


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _broken()
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _broken()


def _broken() -> InputError:
    return InputError("The file is not an ONNX model, or it is truncated. Export it again.")
