from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from cxrfeat.backbone import onnx_wire
from cxrfeat.backbone.onnx_wire import check_wire
from cxrfeat.errors import InputError

DESCRIBED, PARTS = 2**20, 10_000
"""Less than in earnest, for the sake of time."""


@pytest.fixture(autouse=True)
def _less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (onnx_wire.DESCRIBED, onnx_wire.PARTS) == (32 * 2**20, 500_000)
    monkeypatch.setattr(onnx_wire, "DESCRIBED", DESCRIBED)
    monkeypatch.setattr(onnx_wire, "PARTS", PARTS)


onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, or a message inside a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    digits = []
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def test_what_onnx_writes_is_taken_weights_and_all() -> None:
    from tests.backbone.onnx_bodies import convolutional

    body = convolutional()
    weights = onnx.numpy_helper.from_array(np.zeros((4 * DESCRIBED // 16, 4), np.float32), "large")
    body.graph.initializer.append(weights)
    body.graph.node.append(onnx.helper.make_node("Constant", [], ["too"], value=weights))
    old = onnx.TensorProto(name="old", data_type=1, dims=[DESCRIBED // 2], float_data=[0.5] * (DESCRIBED // 2))
    body.graph.initializer.append(old)
    content = body.SerializeToString()
    assert len(content) > 3 * DESCRIBED
    check_wire(content)


LARGE: list[tuple[str, bytes]] = [
    ("nodes of nothing", field(7, field(1, b"") * (PARTS + 1))),
    ("attributes of nothing", field(7, field(1, field(5, b"") * (PARTS + 1)))),
    ("graphs of nothing", field(7, b"") * (PARTS + 1)),
    ("a long text", field(7, field(10, b"a" * (DESCRIBED + 1)))),
    ("a model's functions", field(25, b"\x0a\x00" * (DESCRIBED // 2))),
    ("unpacked numbers", field(7, field(5, b"\x25\x00\x00\x00\x00" * (PARTS + 1)))),
    ("small integers, that grow", field(7, field(5, field(7, b"\x01" * (DESCRIBED + 1))))),
    ("texts as weights", field(7, field(5, field(6, b"") * (PARTS + 1)))),
]


@pytest.mark.parametrize(("rule", "content"), LARGE, ids=[case[0] for case in LARGE])
def test_a_description_larger_than_any_networks_is_refused_in_little_memory(rule: str, content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"describes more than a network: over 1 MiB"):
            check_wire(content)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"\x3a",  # a field without its length
        b"\x3a\x05\x0a",  # longer than the file
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # longer than any
        b"\xff" * 11,  # a number that does not end
        b"\x3b\x3c",  # groups, which ONNX has not
        b"\x0d\x00\x00",
    ],
)
def test_bytes_that_are_no_messages_are_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"not an ONNX model, or it is truncated"):
        check_wire(content)
