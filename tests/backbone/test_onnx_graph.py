"""A network made of ONNX operations gives what NumPy works out from its weights, however its pixels are prepared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.build import prepare
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.preparing import planes_of
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import InputError
from cxrfeat.spec import FeatureSpec, Pool, ViewSpec
from cxrfeat.types import Views
from tests.backbone.networks import some_views

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytestmark = pytest.mark.skipif(not ONNX.installed(), reason="the extra onnx is not installed")

from onnx import TensorProto, checker, helper  # noqa: E402  # it may not be there

from cxrfeat.backbone.onnx_graph import wrapped  # noqa: E402  # as above
from tests.backbone.onnx_bodies import DIM, SIZE, convolutional, kernel, maps_of, model, tokens  # noqa: E402  # as above

VIEWS = some_views(3, SIZE)


def spec(size: int = SIZE, **fields: Any) -> FeatureSpec:
    plain: dict[str, Any] = {"backbone": "file", "weights": "sha256:0", "preprocess": "tf"}
    return FeatureSpec(**{**plain, **fields}, view=ViewSpec(size=size, count=1))


def run(graph: Any, views: Views = VIEWS) -> list[NDArray[np.float32]]:
    import onnxruntime

    checker.check_model(graph, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [(one.name, one.type) for one in session.get_inputs()] == [("view", "tensor(uint8)")]
    found: list[NDArray[np.float32]] = session.run(None, {"view": views[..., None]})
    return found


def prepared(described: FeatureSpec, channels: int = 3) -> NDArray[np.float32]:
    """`(n, c, h, w)`, as the arithmetic says."""

    def do(values: NDArray[np.float32], sign: str, number: float) -> NDArray[np.float32]:
        by = np.float32(number)
        return values - by if sign == "-" else values * by if sign == "*" else values / by

    grey: NDArray[np.float32] = VIEWS.astype(np.float32)
    planes: list[NDArray[np.float32]] = planes_of(grey, described, channels, do)
    return np.stack(planes, axis=1)


def assert_close(got: NDArray[np.float32], wanted: NDArray[Any]) -> None:
    assert got.shape == wanted.shape
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6 * float(np.abs(wanted).max()))


PREPARED: list[dict[str, Any]] = [
    {"preprocess": "tf"},
    {"preprocess": "torch"},
    {"preprocess": "caffe"},
    {"preprocess": "none"},
    {"preprocess": "xrv"},
    {"preprocess": "torch", "pixel_mean": (0.5, 0.4, 0.3), "pixel_std": (0.1, 0.2, 0.3)},
    {"preprocess": "torch", "pixel_mean": (0.5307,), "pixel_std": (0.2583,)},
    {"normalize": "none"},
    {"normalize": "featurewise", "mean": 100.0, "std": 50.0},
]


@pytest.mark.few(13)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("fields", PREPARED, ids=lambda fields: "-".join(map(str, fields.values())))
def test_pixels_are_prepared_as_for_keras_bit_for_bit(fields: dict[str, Any], first: bool, channels: int) -> None:
    described = spec(**fields)
    sides = [channels, SIZE, SIZE] if first else [SIZE, SIZE, channels]
    flat = helper.make_node("Flatten", ["image"], ["flat"])
    (got,) = run(wrapped(model([flat], ["n", *sides], {"flat": ["n", None]}), described))
    wanted = prepared(described, channels)
    layout = wanted if first else wanted.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(got, layout.reshape(len(VIEWS), -1))
    keras = import_keras()
    keras_own = prepare(keras, keras.ops.convert_to_tensor(VIEWS[..., None]), described, channels=channels)
    np.testing.assert_array_equal(np.asarray(keras_own), wanted.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("opset", [9, 13, 18, 21])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("first", [True, False])
def test_maps_are_averaged_over_space_wherever_their_channels_are(first: bool, channels: int, opset: int) -> None:
    described = spec()
    features, maps = run(wrapped(convolutional(first=first, channels=channels, opset=opset), described, maps=True))
    wanted = maps_of(prepared(described, channels), kernel(channels))
    assert_close(maps, wanted.transpose(0, 2, 3, 1))
    assert_close(features, wanted.mean(axis=(2, 3)))
    (alone,) = run(wrapped(convolutional(first=first, channels=channels, opset=opset), described))
    np.testing.assert_array_equal(alone, features)


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_of_tokens_the_first_is_taken_or_the_others_are_averaged(opset: int) -> None:
    described = spec(preprocess="torch")
    wanted = maps_of(prepared(described), kernel()).reshape(3, DIM, 16).transpose(0, 2, 1)
    first = wanted[:, 0] + np.arange(1, DIM + 1)
    for pool, features in (("cls", first), ("mean", wanted.mean(axis=1))):
        (got,) = run(wrapped(tokens(opset=opset), spec(preprocess="torch", output="tokens", pool=pool)))
        assert_close(got, features)


def test_an_output_of_features_is_taken_as_it_is_and_what_nobody_asks_for_is_gone() -> None:
    described = spec(output="doubled", pool="none")
    graph = wrapped(tokens(), described)
    assert "Concat" not in [node.op_type for node in graph.graph.node if node.name == "body/"]
    assert not {"body/cls", "body/tokens"} & {one.name for one in graph.graph.initializer}
    (got,) = run(graph)
    assert_close(got, 2 * maps_of(prepared(described), kernel())[..., 0, 0])


def test_a_network_may_be_cut_at_a_value_within() -> None:
    described = spec(output="maps", pool="mean")
    (got,) = run(wrapped(tokens(), described))
    blocks = prepared(described).reshape(3, 3, 4, 4, 4, 4).astype(np.float64)
    assert_close(got, np.einsum("nchiwj,dcij->ndhw", blocks, kernel().astype(np.float64)).mean(axis=(2, 3)))


def test_a_network_of_any_size_gets_views_of_the_size_that_is_asked_for() -> None:
    graph = wrapped(convolutional(size="side"), spec(size=24))
    (got,) = run(graph, some_views(2, 24))
    assert got.shape == (2, DIM)
    assert [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim] == [0, 24, 24, 1]
    assert [side.dim_value for side in graph.graph.output[0].type.tensor_type.shape.dim] == [0, DIM]


def test_a_network_of_one_image_stays_one() -> None:
    graph = wrapped(convolutional(batch=1), spec())
    assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    np.testing.assert_allclose(run(graph, VIEWS[1:2])[0], run(wrapped(convolutional(), spec()))[0][1:2], rtol=1e-6)


def image(*dims: int | str | None, kind: int = TensorProto.FLOAT) -> Any:
    return model([helper.make_node("Flatten", ["image"], ["flat"])], dims, {"flat": ["n", None]}, kind=kind)


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    (lambda: image("n", 3, 16), {}, r"input 'image' is \(n, 3, 16\): it must be \(images, channels, h, w\)"),
    (lambda: image("n", 4, 16, 16), {}, r"of shape \(n, 16, 16\), which are neither grey nor RGB|neither grey nor RGB"),
    (lambda: image("n", 3, 16, 24), {}, r"16 x 24 pixels, and views are square"),
    (lambda: image(4, 3, 16, 16), {}, r"exactly 4 images at a time"),
    (lambda: image("n", 3, 16, 16, kind=TensorProto.FLOAT16), {}, r"is FLOAT16: it must be FLOAT"),
    (tokens, {}, r"gives 2 outputs: tokens \(n, 17, 5\), doubled \(n, 5\). Say which with `output`"),
    (tokens, {"output": "logits"}, r"gives no 'logits'. Its outputs are tokens"),
    (tokens, {"output": "tokens", "pool": "none"}, r"`pool=none` does not go with 'tokens', which is \(n, 17, 5\)"),
    (tokens, {"output": "doubled", "pool": "cls"}, r"`pool=cls` does not go with 'doubled'.*take none"),
    (tokens, {"output": "image", "pool": "cls"}, r"gives no 'image'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "fields", "message"), REFUSED)
def test_what_gives_no_features_is_refused(make: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wrapped(make(), spec(**fields))


def test_a_size_that_the_operations_do_not_take_is_refused() -> None:
    added = helper.make_node("Add", ["image", "positions"], ["maps"])
    positions = {"positions": np.ones((1, 3, 16, 16), np.float32)}

    def body() -> Any:
        return model([added], ["n", 3, "side", "side"], {"maps": ["n", 3, None, None]}, positions)

    assert run(wrapped(body(), spec()))[0].shape == (3, 3)
    with pytest.raises(InputError, match=r"do not fit each other for images of 32 px .*Check `size`"):
        wrapped(body(), spec(size=32))


@pytest.mark.parametrize("pool", ["cls", "mean", "none"])
def test_an_output_may_be_cast(pool: Pool) -> None:
    """Halves and whole numbers become float32."""
    body = tokens()
    name = "doubled" if pool == "none" else "tokens"
    body.graph.node.append(helper.make_node("Cast", [name], ["half"], to=TensorProto.FLOAT16))
    body.graph.output.append(helper.make_tensor_value_info("half", TensorProto.FLOAT16, None))
    (got,) = run(wrapped(body, spec(output="half", pool=pool)))
    (wanted,) = run(wrapped(tokens(), spec(output=name, pool=pool)))
    np.testing.assert_allclose(got, wanted, rtol=2e-3)
