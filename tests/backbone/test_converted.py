"""The engines that networks are converted for: Keras's features within the stated tolerance, the same bits always."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone import converted
from cxrfeat.backbone.build import build
from cxrfeat.backbone.choose import CONVERTERS
from cxrfeat.backbone.converted import DIGESTS, Converter
from cxrfeat.backbone.engine import Engine, KerasEngine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import InputError, MissingExtraError, StorageError, UsageError
from cxrfeat.spec import Normalize
from cxrfeat.system.files import TEMPORARY
from cxrfeat.types import Features, Views
from tests.backbone.networks import described, some_views

CASES = [
    pytest.param(
        one, id=one.name, marks=pytest.mark.skipif(not one.installed(), reason=f"the extra {one.name} is not installed")
    )
    for one in CONVERTERS
]
each = pytest.mark.parametrize("converter", CASES)
LATER = [pytest.param(*one.values, id=one.id, marks=[*one.marks, pytest.mark.slow]) for one in CASES[1:]]
first = pytest.mark.parametrize("converter", [CASES[0], *LATER])


def assert_agree(a: Features, b: Features) -> None:
    """The tolerance of DESIGN section 6."""
    assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(a)
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()


def assert_rows_stand_alone(engine: Engine, views: Views) -> None:
    whole = engine.run(views)
    assert np.array_equal(engine.run(views), whole), "again"
    assert np.array_equal(engine.run(views[::-1]), whole[::-1])
    assert np.array_equal(engine.run(views[:1])[0], whole[0]), "a lone row"
    assert np.array_equal(engine.run(views[1:])[0], whole[1])


@pytest.mark.few(1)
@each
@pytest.mark.parametrize("normalize", ["backbone", "none"])
def test_engines_agree_with_keras_and_rows_stand_alone(
    converter: Converter, tiny_network: Path, normalize: Normalize
) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    spec = described(network, normalize)
    views = some_views(11, 32)
    engine = converter(network, spec, 4, 2)
    assert (engine.name, engine.dim, engine.batch) == (converter.name, 8, 4)
    assert engine.run(views[:0]).shape == (0, 8)
    assert_agree(KerasEngine(network, spec, 4).run(views), engine.run(views))
    assert_rows_stand_alone(engine, views)
    for batch, threads in ((8, 1), (16, 2)):
        assert np.array_equal(converter(network, spec, batch, threads).run(views), engine.run(views))


@pytest.mark.slow
@first
@pytest.mark.weights
def test_engines_agree_on_the_real_network(converter: Converter, shared: Path) -> None:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    network = find_network(str(path), preprocess="tf")
    views = some_views(5, 224)
    engine = converter(network, described(network), 4)
    assert_agree(KerasEngine(network, described(network), 4).run(views), engine.run(views))
    assert_rows_stand_alone(engine, views)


@each
@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_engines_agree_on_every_network_of_the_table(converter: Converter, name: str) -> None:
    network = find_network(name, weights="random")
    views = some_views(5, network.size)
    keras, other = KerasEngine(network, described(network), 4), converter(network, described(network), 4)
    assert_agree(keras.run(views), other.run(views))
    assert np.abs(keras.run(views) - other.run(views)).max() <= 1e-5 * np.abs(keras.run(views)).max()
    for engine in (keras, other):
        assert_rows_stand_alone(engine, views)
    assert np.array_equal(converter(network, described(network), 16, 1).run(views), other.run(views))


@first
def test_what_was_converted_once_runs_without_tensorflow(
    converter: Converter, tiny_network: Path, tmp_path: Path
) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    first = converter(network, described(network), 4).run(some_views(3, 32))
    code = f"""
import sys, numpy as np
from cxrfeat.backbone.choose import find_engine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.table import TABLE
from tests.backbone.networks import described, some_views
network = find_network({str(tiny_network)!r}, preprocess="tf")
engine = find_engine({converter.name!r})(network, described(network), 4, 0)
np.save({str(tmp_path / "again.npy")!r}, engine.run(some_views(3, 32)))
loaded = {{name.split(".")[0] for name, module in sys.modules.items() if module is not None}}
assert not loaded & {{"tensorflow", "keras", "jax", "openvino_telemetry"}}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    again: NDArray[np.float32] = np.load(tmp_path / "again.npy")
    assert np.array_equal(again, first)


@pytest.mark.few(1)
@each
def test_a_network_of_the_table_needs_no_keras_at_all(converter: Converter) -> None:
    code = f"""
import sys
from cxrfeat.backbone.choose import find_engine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.table import TABLE
from tests.backbone.networks import described, some_views
network = find_network("vgg16", weights="random", size=32)
engine = find_engine({converter.name!r})(network, described(network), 4, 0)
assert engine.run(some_views(3, 32)).shape == (3, 512)
loaded = {{name.split(".")[0] for name, module in sys.modules.items() if module is not None}}
assert not loaded & {{"tensorflow", "keras", "jax", "tf2onnx", "openvino_telemetry"}}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "KERAS_BACKEND": "jax"})


@pytest.mark.slow
@first
def test_a_network_of_the_table_leaves_nothing_in_the_cache(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path / "cache"))
    network, views = find_network("vgg16", weights="random", size=32), some_views(3, 32)
    first = converter(network, described(network), 4).run(views)
    assert np.array_equal(converter(network, described(network), 4).run(views), first)
    assert not (tmp_path / "cache").exists()


@each
def test_another_preparation_is_another_graph(converter: Converter, tiny_network: Path) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    folders = {converter.folder(network, described(network, normalize)) for normalize in ("backbone", "none")}
    ways = ({"preprocess": "torch"}, {"mean": 0.5, "std": 0.5}, {"mean": 0.5, "std": 0.25}, {"preprocess": "xrv"})
    networks = [find_network(str(tiny_network), **way) for way in ways]
    networks.append(find_network("resnet50", weights="random", size=32))
    assert len(folders | {converter.folder(one, described(one)) for one in networks}) == 7


@pytest.mark.few(1)
@each
@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(one, marks=pytest.mark.slow) for one in ("truncate", "delete", "digest"))]
)
def test_a_damaged_graph_is_converted_again(
    converter: Converter, damage: str, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path))
    network = find_network(str(tiny_network), preprocess="tf")
    spec, views = described(network), some_views(3, 32)
    expected = converter(network, spec, 4).run(views)
    folder = converter.folder(network, spec)
    largest = max((path for path in folder.iterdir()), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        largest.write_bytes(content)
    elif damage == "truncate":
        largest.write_bytes(content[:-1])
    else:
        (folder / DIGESTS if damage == "digest" else largest).unlink()
    assert np.array_equal(converter(network, spec, 4).run(views), expected)
    assert largest.read_bytes()[: len(content) // 4]
    assert converted._whole(folder)


@pytest.mark.few(1)
@each
def test_a_killed_conversion_leaves_nothing_in_the_way(
    converter: Converter, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path))
    network = find_network(str(tiny_network), preprocess="tf")
    left = tmp_path / converter.name / f"{TEMPORARY}0000-1111"
    left.mkdir(parents=True)
    (left / "graph").write_bytes(b"half")
    converter(network, described(network), 4)
    assert not left.exists()
    assert converter.converted(network, described(network))


@pytest.mark.few(1)
@each
def test_a_conversion_that_computes_something_else_is_refused_and_not_kept(
    converter: Converter, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path))
    network = find_network(str(tiny_network), preprocess="tf")
    write = converter.write

    class Wrong:
        """A model half as bright as the one it stands for."""

        def __init__(self, model: Any) -> None:
            self.model = model

        def predict_on_batch(self, views: Views) -> Any:
            return self.model.predict_on_batch(views) / 2

    monkeypatch.setattr(converted, "build", lambda network, spec: Wrong(build(network, spec)))
    unwrapped = Converter(
        **{key: getattr(converter, key) for key in ("name", "packages", "distribution", "revision", "take", "load")},
        write=lambda model, size, folder: write(model.model, size, folder),
    )
    with pytest.raises(UsageError, match=r"different features than with `engine=keras`.*Use that"):
        unwrapped(network, described(network), 4)
    assert not converter.converted(network, described(network))
    assert [path.name for path in (tmp_path / converter.name).iterdir()] == [".lock"]


def _load(name: str, path: str) -> int:
    """In a process of its own: convert, and say how many files the cache holds."""
    from cxrfeat.backbone.choose import find_engine

    network = find_network(path, preprocess="tf")
    return find_engine(name)(network, described(network), 4, 0).dim


@pytest.mark.slow
@each
def test_two_processes_convert_one_network_once(
    converter: Converter, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(_load, [(converter.name, str(tiny_network))] * 2) == [8, 8]
    assert len([path for path in (tmp_path / converter.name).iterdir() if path.is_dir()]) == 1


@each
def test_without_the_extra_the_error_names_it(
    converter: Converter, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=rf"cxrfeat\[{converter.name}\]"):
        converter(network, described(network), 4)


@each
def test_a_network_is_not_converted_on_another_backend(
    converter: Converter, tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = find_network(str(tiny_network), preprocess="caffe")
    monkeypatch.setattr(converted, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="KERAS_BACKEND=tensorflow"):
        converter(network, described(network), 4)


@each
def test_a_cache_that_cannot_be_written_is_named(
    converter: Converter, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = find_network(str(tiny_network), preprocess="tf")
    (tmp_path / "file").touch()
    monkeypatch.setenv("CXRFEAT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="CXRFEAT_CACHE"):
        converter(network, described(network), 4)


@pytest.mark.few(1)
@each
def test_an_onnx_file_gives_what_its_operations_give(converter: Converter, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from tests.backbone.onnx_bodies import DIM, SIZE, convolutional, kernel, maps_of

    views = some_views(5, SIZE)
    pixels = np.repeat(views[:, np.newaxis].astype(np.float32) / np.float32(127.5) - 1, 3, axis=1)
    wanted = maps_of(pixels, kernel()).mean(axis=(2, 3)).astype(np.float32)
    onnx.save(convolutional(), tmp_path / "whole.onnx")
    onnx.save(
        convolutional(), tmp_path / "parted.onnx", save_as_external_data=True, location="w.data", size_threshold=0
    )
    onnx.save(convolutional(batch=1), tmp_path / "single.onnx")
    for name in ("whole", "parted", "single"):
        network = find_network(str(tmp_path / f"{name}.onnx"), preprocess="tf")
        (tmp_path / f"{name}.onnx").unlink()
        engine = converter(network, described(network), 4)
        assert (engine.name, engine.dim) == (converter.name, DIM)
        assert_agree(wanted, engine.run(views))
        assert_rows_stand_alone(engine, views)
        folder = converter.folder(network, described(network))
        files = sorted(path.name for path in folder.iterdir())
        assert DIGESTS in files
        assert converter.name == "onnx" or not [one for one in files if one in ("graph.onnx", "w.data")]


@each
def test_what_an_onnx_file_is_read_with_is_another_graph(converter: Converter, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from tests.backbone.onnx_bodies import tokens

    onnx.save(tokens(), tmp_path / "m.onnx")
    ways: list[dict[str, Any]] = [
        {"preprocess": "tf", "output": "tokens", "pool": "cls"},
        {"preprocess": "tf", "output": "tokens", "pool": "mean"},
        {"preprocess": "tf", "output": "doubled"},
        {"mean": 0.5, "std": 0.5, "output": "doubled"},
        {"mean": 0.5, "std": 0.4, "output": "doubled"},
    ]
    networks = [find_network(str(tmp_path / "m.onnx"), **way) for way in ways]
    folders = {converter.folder(network, described(network)) for network in networks}
    assert len(folders) == len(ways)


@each
def test_an_onnx_file_that_cannot_be_run_is_refused_and_nothing_kept(converter: Converter, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    from onnx import helper, numpy_helper

    from tests.backbone.onnx_bodies import convolutional

    mixing = convolutional()  # the mean over all images of a batch
    mixing.graph.node[-1].output[0] = "before"
    mixing.graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    mixing.graph.node.append(helper.make_node("ReduceMean", ["before", "axes"], ["mean"], keepdims=1))
    mixing.graph.node.append(helper.make_node("CumSum", ["before", "axis"], ["out"]))
    mixing.graph.initializer.append(numpy_helper.from_array(np.array(0), "axis"))
    baked = convolutional()  # for one image, though it says any number
    baked.graph.node[-1].output[0] = "before"
    baked.graph.initializer.append(numpy_helper.from_array(np.array([1, 5, 4, 4]), "shape"))
    baked.graph.node.append(helper.make_node("Reshape", ["before", "shape"], ["out"]))
    for name, body, message in (
        ("mixing", mixing, r"mixing gives an image different features when it is batched with other images"),
        ("baked", baked, r"baked cannot be run by ONNX Runtime \(.*for any number of images"),
    ):
        onnx.save(body, tmp_path / f"{name}.onnx")
        network = find_network(str(tmp_path / f"{name}.onnx"), preprocess="tf")
        with pytest.raises(InputError, match=message):
            converter(network, described(network), 4)
        assert not converter.folder(network, described(network)).exists()
