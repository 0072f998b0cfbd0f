"""Networks as ONNX files, from export to report: what their own framework gives, and every command on it."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.choose import auto_engine, find_engine
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.types import Features, Views
from cxrfeat.workflow.verify import verify
from tests.backbone.networks import described, some_views
from tests.cases.conftest import CLASSES, take
from tests.cli.conftest import Cli, use_engine

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytestmark = pytest.mark.skipif(not ONNX.installed(), reason="the extra onnx is not installed")

from tests.backbone.onnx_bodies import convolutional, kernel, tokens  # noqa: E402  # onnx may not be there
from tests.backbone.test_onnx_file import HOSTILE  # noqa: E402  # as above

each = pytest.mark.parametrize(
    "engine",
    [
        "onnx",
        pytest.param(
            "openvino",
            marks=pytest.mark.skipif(not OPENVINO.installed(), reason="the extra openvino is not installed"),
        ),
    ],
)


def features(path: Path, engine: str, views: Views, **how: Any) -> Features:
    network = find_network(str(path), **how)
    return find_engine(engine)(network, described(network), 2, 0).run(views)


def assert_agree(got: Features, wanted: NDArray[Any]) -> None:
    assert got.shape == wanted.shape
    assert np.linalg.norm(got - wanted) <= 1e-5 * np.linalg.norm(wanted)
    assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def converted(model: Any, path: Path) -> Path:
    """A Keras model as an ONNX file, by tf2onnx."""
    import tensorflow
    from tf2onnx import convert

    size = model.input_shape[1]
    signature = [tensorflow.TensorSpec((None, size, size, 3), tensorflow.float32, name="image")]
    function = tensorflow.function(lambda image: model(image, training=False))
    convert.from_function(function, input_signature=signature, opset=18, output_path=str(path))
    return path


def parted(path: Path) -> Path:
    """The same with its weights in a second file, as exporters leave them."""
    place = path.with_name(f"parted_{path.name}")
    onnx.save(onnx.load(path), place, save_as_external_data=True, location=f"{place.name}.data")
    assert place.stat().st_size < place.with_name(f"{place.name}.data").stat().st_size
    return place


@pytest.mark.slow
@pytest.mark.weights
def test_the_real_network_gives_as_onnx_what_it_gives_as_keras(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    views = np.kron(some_views(3, 14), np.ones((1, 16, 16), np.uint8))
    wanted = features(path, "keras", views, preprocess="tf")
    assert wanted.std() > 0.1, "a network that says something"
    model = import_keras().saving.load_model(path, compile=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras's exporter, about NumPy
        model(np.zeros((1, 224, 224, 3), np.float32))
        model.export(str(tmp_path / "keras.onnx"), format="onnx", verbose=False)
    files = [tmp_path / "keras.onnx", converted(model, tmp_path / "tf2onnx.onnx")]
    for file in (*files, *map(parted, files)):
        for engine in ("onnx", "openvino"):
            if find_engine(engine) is not OPENVINO or OPENVINO.installed():
                assert_agree(features(file, engine, views, preprocess="tf"), wanted)


def transformer(keras: Any, size: int = 518, patch: int = 14, dim: int = 16) -> Any:
    """A vision transformer of two blocks to `(n, 1370, dim)` tokens, the class token first; all weights are drawn."""
    layers, count = keras.layers, (size // patch) ** 2

    class Placed(keras.Layer):  # type: ignore[misc]  # Keras has no types
        """A class token before the patches, and where each of them is."""

        def build(self, shape: Any) -> None:
            self.first = self.add_weight(shape=(1, 1, dim), initializer="random_normal", name="first")
            self.places = self.add_weight(shape=(1, count + 1, dim), initializer="random_normal", name="places")

        def call(self, patches: Any) -> Any:
            first = keras.ops.zeros_like(patches[:, :1]) + self.first
            return keras.ops.concatenate([first, patches], axis=1) + self.places

    image = keras.Input((size, size, 3))
    made = layers.Conv2D(dim, patch, strides=patch)(image)
    made = Placed()(layers.Reshape((count, dim))(made))
    for _ in range(2):
        normal = layers.LayerNormalization(epsilon=1e-6)(made)
        made = made + layers.MultiHeadAttention(2, dim // 2)(normal, normal)
        normal = layers.LayerNormalization(epsilon=1e-6)(made)
        made = made + layers.Dense(dim)(layers.Dense(2 * dim, activation="silu")(normal))
    model = keras.Model(image, layers.LayerNormalization(epsilon=1e-6)(made))
    draw = np.random.default_rng(7)
    model.set_weights([draw.normal(0, 0.3, weight.shape).astype(np.float32) for weight in model.weights])
    return model


@pytest.mark.slow
def test_a_vision_transformer_gives_as_onnx_what_keras_makes_of_its_tokens(tmp_path: Path) -> None:
    model, views = transformer(import_keras()), some_views(2, 518)
    scaled = (views.astype(np.float32)[..., np.newaxis] / np.float32(255) - np.float32(0.5307)) / np.float32(0.2583)
    made = np.asarray(model.predict_on_batch(np.repeat(scaled, 3, axis=-1)))
    assert made.shape == (2, 1370, 16)
    file = converted(model, tmp_path / "vit.onnx")
    for pool, wanted in (("cls", made[:, 0]), ("mean", made[:, 1:].mean(axis=1))):
        for path in (file, parted(file)):
            for engine in ("onnx", "openvino"):
                if find_engine(engine) is not OPENVINO or OPENVINO.installed():
                    assert_agree(features(path, engine, views, mean=0.5307, std=0.2583, pool=pool), wanted)


@pytest.fixture
def folder(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set, in the folder in which commands run with the engines that users have."""
    use_engine(monkeypatch, None)
    monkeypatch.setitem(inspect.unwrap(verify).__kwdefaults__ or {}, "make_engine", auto_engine)
    for label in CLASSES:
        take(tmp_path / "d" / label, label, 14)
    return tmp_path / "d"


def kept(path: Path, body: Any) -> str:
    onnx.save(body, path)
    return path.name


@pytest.mark.few(1)
@each
def test_every_command_works_on_features_of_an_onnx_file(folder: Path, cli: Cli, tmp_path: Path, engine: str) -> None:
    name = kept(tmp_path / "net.onnx", convolutional())
    said = cli("extract", folder, "--backbone", name, "--preprocess", "xrv", "--engine", engine, "--views", 2, "--json")
    assert said.code == 0, said.err
    (file,) = said.json["files"]
    assert (file["backbone"], file["engine"], file["dim"]) == ("net", engine, 5)
    (tmp_path / name).unlink()  # it is kept
    assert cli("verify", file["path"], "--recompute", 4, "--data", folder).code == 0
    said = cli("fit-head", file["path"], "--head", "softmax", "--epochs", 2, "--json")
    assert said.code == 0, said.err
    run = Path(said.json["runs"][0]["run"]).name
    assert len(cli("predict", run, folder / CLASSES[0], "--json").json["predictions"]) == 14
    assert cli("audit", folder, "--cache", file["path"]).code == 0
    shown = cli("explain", run, "--data", folder, "--n", 2, "--json")
    assert shown.code == 0, shown.err
    assert {one["method"] for one in shown.json["images"]} == {"cam"}
    assert cli("report", run, "--data", folder).code == 0
    refused = cli("explain", run, folder / CLASSES[0] / f"{CLASSES[0]}-1.png", "--layer", "conv")
    assert (refused.code, "net is an ONNX file, whose layers have no names" in refused.err) == (2, True)
    for way in (("--cache", file["path"]), ("--head-from", run)):
        refused = cli("finetune", folder, *way)
        assert (refused.code, "net is an ONNX file, which says what a network computes" in refused.err) == (2, True)
    refused = cli("finetune", folder, "--backbone", name, "--preprocess", "tf")
    assert (refused.code, "net.onnx is an ONNX file" in refused.err) == (2, True)


def test_a_network_of_tokens_is_explained_by_occlusion(folder: Path, cli: Cli, tmp_path: Path) -> None:
    name = kept(tmp_path / "net.onnx", tokens())
    how = ("--backbone", name, "--mean", "0.5", "--std", "0.25,0.25,0.25", "--views", 1)
    refused = cli("extract", folder, *how)
    assert (refused.code, "2 outputs: tokens (n, 17, 5), doubled (n, 5). Say which with --output" in refused.err) == (
        3,
        True,
    )
    refused = cli("extract", folder, *how, "--output", "tokens")
    assert (refused.code, "Say with --pool what they become" in refused.err) == (3, True)
    said = cli("extract", folder, *how, "--output", "tokens", "--pool", "cls", "--json")
    assert said.code == 0, said.err
    run = Path(cli("fit-head", said.json["files"][0]["path"], "--head", "logreg", "--json").json["runs"][0]["run"]).name
    shown = cli("explain", run, folder / CLASSES[0] / f"{CLASSES[0]}-1.png", "--json")
    assert shown.code == 0, shown.err
    assert [one["method"] for one in shown.json["images"]] == ["occlusion"]


@pytest.mark.few(12)
@pytest.mark.parametrize(("rule", "make", "message"), HOSTILE, ids=[case[0] for case in HOSTILE])
def test_a_hostile_file_ends_a_command_with_3_and_leaves_nothing(
    folder: Path, cli: Cli, tmp_path: Path, rule: str, make: Callable[[], Any], message: str
) -> None:
    (tmp_path / "m.onnx").write_bytes(make().SerializeToString())
    (tmp_path / "weights.data").write_bytes(kernel().tobytes())
    said = cli("extract", folder, "--backbone", "m.onnx", "--preprocess", "tf")
    assert said.code == 3, said.err
    assert said.err.startswith("cxrfeat: m.onnx")
    assert not (tmp_path / "features").exists()


@pytest.mark.slow
def test_an_onnx_file_needs_neither_keras_nor_tensorflow(folder: Path, tmp_path: Path) -> None:
    kept(tmp_path / "net.onnx", convolutional())
    code = f"""
import sys
from cxrfeat.cli.main import run
assert run(["extract", {str(folder)!r}, "--backbone", {str(tmp_path / "net.onnx")!r}, "--preprocess", "tf"]) == 0
loaded = {{name.split(".")[0] for name, module in sys.modules.items() if module is not None}}
assert not loaded & {{"tensorflow", "keras", "jax", "tf2onnx"}}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
