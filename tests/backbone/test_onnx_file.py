"""What a stranger might send as a network: refused by what it says, before any runtime sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrfeat.backbone import onnx_file
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.onnx_file import opened, read_onnx
from cxrfeat.backbone.openvino_engine import OPENVINO, import_openvino
from cxrfeat.errors import InputError, UsageError
from cxrfeat.system.files import user_cache

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402  # it may not be there

from tests.backbone.onnx_bodies import DIM, SIZE, convolutional, kernel, model, tokens  # noqa: E402  # as above


def outside(location: str, **numbers: int) -> Any:
    """A network whose kernel is said to lie in another file."""
    body = convolutional()
    (weights,) = body.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 0, "length": kernel().nbytes, **numbers}.items():
        weights.external_data.add(key=key, value=str(value))
    return body


def with_node(*nodes: Any, **fields: Any) -> Any:
    body = convolutional()
    body.graph.node.extend(nodes)
    for name, value in fields.items():
        getattr(body, name).extend(value)
    return body


def asking(kind: str, domain: str = "", given: str = "image") -> Any:
    return with_node(helper.make_node(kind, [given], ["x"], domain=domain))


def loop() -> Any:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"])],
        "inner",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, [])],
    )
    return with_node(helper.make_node("Loop", ["", ""], ["never"], body=inner))


def hidden_graph() -> Any:
    """A graph inside of an operation that has none."""
    body = convolutional()
    body.graph.node[1].attribute.append(helper.make_attribute("more", loop().graph))
    return body


def giant() -> Any:
    body = convolutional()
    body.graph.initializer[0].dims[:] = [2**20, 2**20, 4, 4]
    return body


def giant_outside() -> Any:
    body = outside("weights.data")
    body.graph.initializer[0].dims[:] = [2**15, 2**14, 4, 4]
    return body


def giant_within() -> Any:
    """A value that is made larger than memory."""
    body = convolutional()
    body.graph.initializer.append(numpy_helper.from_array(np.array([1, DIM, 2**20, 2**20]), "shape"))
    body.graph.node[-1].output[0] = "small"
    body.graph.initializer.append(numpy_helper.from_array(np.ones((1, DIM, 1, 1), np.float32), "one"))
    body.graph.node.append(helper.make_node("Expand", ["one", "shape"], ["wide"]))
    body.graph.node.append(helper.make_node("ReduceMax", ["wide"], ["most"], keepdims=1))
    body.graph.node.append(helper.make_node("Add", ["small", "most"], ["out"]))
    return body


def negative() -> Any:
    body = convolutional()
    body.graph.initializer[0].dims[:] = [-DIM, -3, 4, 4]
    return body


def twice() -> Any:
    return with_node(helper.make_node("Relu", ["image"], ["out"]))


def two_places() -> Any:
    """One reader may take the first of them, another the last."""
    body = outside("../secret")
    body.graph.initializer[0].external_data.add(key="location", value="weights.data")
    return body


def other_place() -> Any:
    body = outside("weights.data")
    body.graph.initializer[0].external_data.add(key="basepath", value="/etc")
    return body


def inside_and_outside() -> Any:
    body = outside("weights.data")
    body.graph.initializer[0].raw_data = kernel().tobytes()
    return body


def said_inside() -> Any:
    body = outside("weights.data")
    body.graph.initializer[0].data_location = TensorProto.DEFAULT
    return body


def given_twice() -> Any:
    body = convolutional()
    body.graph.initializer[0].float_data.extend([1.0] * kernel().size)
    return body


def graphs_unsaid() -> Any:
    """Graphs inside of an operation whose attribute says that it is a number."""
    body = convolutional()
    attribute = body.graph.node[1].attribute.add(name="more", type=onnx.AttributeProto.INT)
    attribute.graphs.add()
    return body


def sparse_constant() -> Any:
    node = helper.make_node("Constant", [], ["x"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.dims.append(3)
    return with_node(node)


def sparse() -> Any:
    body = convolutional()
    body.graph.sparse_initializer.add()
    return body


def function() -> Any:
    made = helper.make_function(
        "mine", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 18)]
    )
    return with_node(functions=[made])


def texts() -> Any:
    body = convolutional()
    body.graph.initializer.append(TensorProto(name="t", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"]))
    return body


def unknown_output() -> Any:
    body = convolutional()
    body.graph.output[0].name = "nowhere"
    return body


def versions(*numbers: int) -> Any:
    body = convolutional()
    del body.opset_import[:]
    body.opset_import.extend(helper.make_opsetid("", number) for number in numbers)
    return body


HOSTILE: list[tuple[str, Callable[[], Any], str]] = [
    ("a domain of others", lambda: asking("Run", "com.evil"), r"'Run' of the domain 'com.evil'"),
    ("Microsoft's domain", lambda: asking("FusedConv", "com.microsoft"), r"domain 'com.microsoft'"),
    ("an unknown operation", lambda: asking("Exec"), r"operation 'Exec', which is not among"),
    ("chance", lambda: asking("RandomNormalLike"), r"'RandomNormalLike'"),
    ("a loop", loop, r"operation 'Loop'"),
    ("a graph in an operation", hidden_graph, r"A graph lies inside of Conv"),
    ("a function", function, r"functions of its own"),
    ("a path upwards", lambda: outside("../secret"), r"lies in '../secret'; weights are taken from files in"),
    ("an absolute path", lambda: outside("/etc/passwd"), r"lies in '/etc/passwd'"),
    ("a path downwards", lambda: outside("sub/weights"), r"lies in 'sub/weights'"),
    ("a drive", lambda: outside("C:weights"), r"lies in 'C:weights'"),
    ("no path", lambda: outside(""), r"lies in ''"),
    ("the folder itself", lambda: outside(".."), r"lies in '..'"),
    ("the model as its weights", lambda: outside("m.onnx"), r"m.onnx, which is the model itself"),
    ("two places", two_places, r"lies in two places, or in one of an unknown kind"),
    ("a place of another kind", other_place, r"lies in two places, or in one of an unknown kind"),
    ("inside and outside", inside_and_outside, r"lies in two places"),
    ("outside, said to be inside", said_inside, r"does not say whether it is in the file or next to it"),
    ("weights in two forms", given_twice, r"is given twice"),
    ("graphs that are not said", graphs_unsaid, r"A graph lies inside of Conv"),
    ("a sparse constant", sparse_constant, r"Constant holds sparse numbers"),
    ("a file that is not there", lambda: outside("none.data"), r"none.data, which is not next to it"),
    ("weights cut off", lambda: outside("weights.data", offset=10), r"weights.data does not hold them where it says"),
    ("another length", lambda: outside("weights.data", length=7), r"weights.data does not hold them"),
    ("a negative place", lambda: outside("weights.data", offset=-8), r"says no place in its file"),
    ("a giant weight", giant, r"Its weights are over 8 GiB"),
    ("a giant weight outside", giant_outside, r"Its weights are over 8 GiB"),
    ("a giant value within", giant_within, r"'wide' is \(n, 5, 1048576, 1048576\): over"),
    ("a negative shape", negative, r"has no shape: \(-5, -3, 4, 4\)"),
    ("a name given twice", twice, r"'out' is given twice"),
    ("sparse weights", sparse, r"holds sparse weights"),
    ("texts", texts, r"is of type STRING"),
    ("an output of nothing", unknown_output, r"output nowhere is given by nothing"),
    ("a value of nothing", lambda: asking("Relu", given="ghost"), r"Relu takes 'ghost', which nothing"),
    ("an old version", lambda: versions(6), r"operations version 6; supported are 7 to 28"),
    ("two versions", lambda: versions(13, 18), r"operations version 13, 18"),
    ("no version", lambda: versions(), r"operations version none"),
    ("nothing", lambda: onnx.ModelProto(), r"holds no graph"),
]  # fmt: skip


@pytest.fixture
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody loads a network."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a runtime was given the file")

    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if not OPENVINO.installed():
        pytest.skip("the extra openvino is not installed")
    monkeypatch.setattr(onnxruntime, "InferenceSession", never)
    monkeypatch.setattr(import_openvino().Core, "read_model", never)


@pytest.mark.parametrize(("rule", "make", "message"), HOSTILE, ids=[case[0] for case in HOSTILE])
def test_a_hostile_file_is_refused_before_anything_runs(
    tmp_path: Path, no_runtime: None, rule: str, make: Callable[[], Any], message: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(make().SerializeToString())
    (tmp_path / "weights.data").write_bytes(kernel().tobytes())
    with pytest.raises(InputError, match=message) as caught:
        find_network(str(tmp_path / "m.onnx"), preprocess="tf")
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith(str(tmp_path / "m.onnx"))
    assert not (user_cache() / "networks").exists(), "nothing of it is kept"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no model", b"\x08\x08", b"\x3a\x02\x0a\x00", b"\x08" * 40])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, no_runtime: None, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"m.onnx is not taken as a network. "):
        find_network(str(tmp_path / "m.onnx"), preprocess="tf")


def test_a_file_is_cut_off_anywhere_and_refused(tmp_path: Path, no_runtime: None) -> None:
    content = convolutional().SerializeToString()
    for length in range(0, len(content) - 1, 41):
        (tmp_path / "m.onnx").write_bytes(content[:length])
        with pytest.raises(InputError):
            read_onnx(tmp_path / "m.onnx")


def test_bytes_changed_anywhere_give_a_network_or_a_clear_refusal(tmp_path: Path) -> None:
    content, rng = convolutional().SerializeToString(), np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, 200, 3):  # what describes; the rest is weights
            changed[place] = rng.integers(0, 256)
        (tmp_path / "m.onnx").write_bytes(changed)
        with contextlib.suppress(InputError, UsageError):
            opened(tmp_path / "m.onnx", 16, None, None)


def test_a_link_to_another_folder_is_no_file_beside_the_model(tmp_path: Path, no_runtime: None) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights.data").write_bytes(kernel().tobytes())
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "weights.data").symlink_to(tmp_path / "elsewhere" / "weights.data")
    (tmp_path / "here" / "m.onnx").write_bytes(outside("weights.data").SerializeToString())
    with pytest.raises(InputError, match=r"weights.data next to the model is a link that leads to another folder"):
        read_onnx(tmp_path / "here" / "m.onnx")


def test_weights_in_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MOST_FILES", 1)
    body = outside("weights.data")
    other = outside("other.data").graph.initializer[0]
    other.name = "other"
    body.graph.initializer.append(other)
    for name in ("weights.data", "other.data"):
        (tmp_path / name).write_bytes(kernel().tobytes())
    (tmp_path / "m.onnx").write_bytes(body.SerializeToString())
    with pytest.raises(InputError, match=r"lie in more than 1 files"):
        read_onnx(tmp_path / "m.onnx")


def test_weights_beside_the_model_are_listed_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"12" + kernel().tobytes())
    (tmp_path / "m.onnx").write_bytes(outside("m.onnx.data", offset=2).SerializeToString())
    file = read_onnx(tmp_path / "m.onnx")
    assert file.files == {"network.onnx": tmp_path / "m.onnx", "m.onnx.data": tmp_path / "m.onnx.data"}
    assert not file.model.graph.initializer[0].HasField("raw_data")


def test_what_a_network_takes_and_gives_is_found(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(convolutional().SerializeToString())
    (tmp_path / "free.onnx").write_bytes(convolutional(size="side", channels=1).SerializeToString())
    (tmp_path / "tokens.onnx").write_bytes(tokens().SerializeToString())
    found = opened(tmp_path / "m.onnx", None, None, None)
    assert (found.size, found.output, found.pool, found.image.channels) == (SIZE, "out", "mean", 3)
    assert opened(tmp_path / "free.onnx", None, None, None).size == 224
    assert opened(tmp_path / "free.onnx", 64, "features", None).output == "features", "a value within"
    with pytest.raises(UsageError, match=r"m.onnx takes images of 16 px only; got `size=64`"):
        opened(tmp_path / "m.onnx", 64, None, None)
    with pytest.raises(InputError, match=r"tokens.onnx: The network's 'tokens' is tokens, .*Say with `pool`"):
        opened(tmp_path / "tokens.onnx", None, "tokens", None)
    assert opened(tmp_path / "tokens.onnx", None, "doubled", None).pool == "none"


def test_float16_and_other_types_of_weights_are_counted_rightly(tmp_path: Path) -> None:
    values = {
        f"w{number}": np.ones((2, 3), kind) for number, kind in enumerate((np.float16, np.float64, np.int8, bool))
    }
    nodes = [helper.make_node("Flatten", ["image"], ["flat"])]
    body = model(nodes, ["n", 3, SIZE, SIZE], {"flat": ["n", None]}, values)
    body.graph.initializer.append(helper.make_tensor("typed", TensorProto.FLOAT16, [2], [1.0, 2.0]))
    body.graph.initializer.append(helper.make_tensor("whole", TensorProto.INT64, [2], [1, 2]))
    (tmp_path / "m.onnx").write_bytes(body.SerializeToString())
    assert read_onnx(tmp_path / "m.onnx").data == ()
