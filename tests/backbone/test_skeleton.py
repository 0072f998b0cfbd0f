from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cxrfeat.backbone.filled import Filled
from cxrfeat.backbone.place import Place
from cxrfeat.backbone.skeleton import (
    FOLDER,
    IMAGE,
    described,
    fill,
    has_skeleton,
    load_skeleton,
    places_in,
)
from cxrfeat.backbone.table import TABLE

if TYPE_CHECKING:
    import onnx

pytest.importorskip("onnx", reason="the extra onnx is not installed")


def test_every_network_of_the_table_has_a_small_skeleton_without_weights() -> None:
    import onnx

    sizes = {name: len(FOLDER.joinpath(f"{name}.onnx").read_bytes()) for name in TABLE}
    assert max(sizes.values()) < 250_000, "kilobytes, for they are part of the package"
    for name in TABLE:
        assert has_skeleton(name)
        skeleton = load_skeleton(name)
        onnx.checker.check_model(skeleton)
        assert sum(np.prod(one.dims) for one in skeleton.graph.initializer) < 100, "constants, and no weights"
        places = places_in(skeleton)
        assert len({place.name for place in places}) == len(places)
    assert not has_skeleton("scratch")
    assert not has_skeleton("../skeletons/vgg16")


def small() -> onnx.ModelProto:
    """A skeleton of one convolution, one that treats each channel by itself, and one normalisation."""
    from onnx import TensorProto, helper

    def value(name: str, dims: list[int | str], doc: str = "") -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims, doc)

    places = [
        Place("conv/kernel", "layers/conv2d/vars/0", (1, 1, 3, 4), "zeros"),
        Place("deep/kernel", "layers/depthwise_conv2d/vars/0", (1, 1, 4, 1), "zeros"),
        Place("bn/beta", "layers/batch_normalization/vars/0", (4,), "zeros"),
    ]
    given = [
        value(IMAGE, ["n", 3, "h", "w"]),
        value("conv/kernel", [4, 3, 1, 1], described(places[0], (3, 2, 0, 1))),
        value("deep/kernel", [4, 1, 1, 1], described(places[1], (2, 3, 0, 1))),
        value("bn/beta", [4], described(places[2], ())),
        value("ones/4", [4]),
    ]
    nodes = [
        helper.make_node("Conv", [IMAGE, "conv/kernel"], ["a"]),
        helper.make_node("Conv", ["a", "deep/kernel"], ["b"], group=4),
        helper.make_node("BatchNormalization", ["b", "ones/4", "bn/beta", "bn/beta", "ones/4"], ["maps"], epsilon=0.0),
    ]
    graph = helper.make_graph(nodes, "small", given, [value("maps", ["n", 4, "h", "w"])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    assert places_in(model) == places
    return model


def test_weights_are_put_where_they_belong_in_the_order_of_onnx() -> None:
    import onnx
    import onnxruntime

    rng = np.random.default_rng(0)
    model = small()
    weights = [rng.normal(size=place.shape).astype(np.float32) for place in places_in(model)]
    whole = Filled(graph=model, weights=fill(model, weights)).serialized()
    onnx.checker.check_model(whole)
    assert [one.name for one in model.graph.input] == [IMAGE]
    image = rng.normal(size=(2, 3, 5, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"])
    (maps,) = session.run(None, {IMAGE: image})
    kernel, deep, _ = weights
    wanted = np.einsum("nihw,io->nohw", image, kernel[0, 0]) * deep[0, 0, :, 0][:, None, None]
    np.testing.assert_allclose(maps, wanted, rtol=1e-4, atol=1e-5)


def test_weights_of_another_shape_are_a_fault_of_ours() -> None:
    with pytest.raises(AssertionError, match=r"conv/kernel is \(4, 3, 1, 1\)"):
        fill(small(), [np.zeros((4, 3, 1, 1), np.float32)])
