from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.build import build, load_body, prepare
from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.table import TABLE
from cxrfeat.errors import InputError, WeightsError
from cxrfeat.spec import FeatureSpec, Preprocess, ViewSpec

# Keras 3.15.1 asks NumPy for copies the old way when it saves weights.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

GREY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
"""Every grey value there is."""


def spec_of(network: Network, **options: Any) -> FeatureSpec:
    view = ViewSpec(size=network.size, count=1)
    return FeatureSpec(
        backbone=network.backbone, weights=network.weights, preprocess=network.preprocess, view=view, **options
    )


def prepared(preprocess: Preprocess, channels: int = 3, **options: Any) -> NDArray[np.float32]:
    keras = import_keras()
    view = ViewSpec(size=16, count=1)
    spec = FeatureSpec(backbone="file", weights="sha256:0", preprocess=preprocess, view=view, **options)
    grey = keras.Input((16, 16, 1), dtype="uint8")
    model = keras.Model(grey, prepare(keras, grey, spec, channels=channels))
    values: NDArray[np.float32] = np.asarray(model.predict_on_batch(GREY))
    return values


@pytest.mark.parametrize("name", TABLE)
def test_preprocessing_is_that_of_keras_for_every_grey_value(name: str) -> None:
    modules = {
        "densenet121": "densenet", "resnet50": "resnet", "vgg16": "vgg16", "inceptionv3": "inception_v3",
        "xception": "xception", "densenet169": "densenet", "densenet201": "densenet", "resnet50v2": "resnet_v2",
        "efficientnetv2b0": "efficientnet_v2", "convnexttiny": "convnext",
    }  # fmt: skip
    keras_module = getattr(import_keras().applications, modules[name])
    rgb = np.repeat(GREY, 3, axis=-1).astype(np.float32)
    wanted = np.asarray(keras_module.preprocess_input(rgb.copy()))
    got = prepared(TABLE[name].preprocess)
    assert got.shape == wanted.shape
    assert got.dtype == np.float32
    # A compiled graph may divide by multiplying: a few units in the last place, where the values reach 2.6.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0 if TABLE[name].preprocess == "caffe" else 1e-6)


def test_no_preprocessing_leaves_the_grey_values() -> None:
    rgb = np.repeat(GREY, 3, axis=-1).astype(np.float32)
    np.testing.assert_array_equal(prepared("none"), rgb)
    np.testing.assert_array_equal(prepared("caffe", normalize="none"), rgb)
    np.testing.assert_array_equal(prepared("none", channels=1), GREY.astype(np.float32))


def test_featurewise_removes_the_mean_and_divides_by_the_deviation() -> None:
    got = prepared("caffe", normalize="featurewise", mean=100.0, std=50.0, split="a")
    wanted = (np.repeat(GREY, 3, axis=-1).astype(np.float32) - 100) / 50
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("preprocess", "first"), [("tf", -1.0), ("torch", -0.485 / 0.229), ("caffe", -103.939)])
def test_a_grey_network_gets_one_channel(preprocess: Preprocess, first: float) -> None:
    got = prepared(preprocess, channels=1)
    assert got.shape == (1, 16, 16, 1)
    assert got.flat[0] == pytest.approx(first, rel=1e-6)


def test_the_graph_takes_grey_bytes_and_gives_the_mean_over_space(tiny_network: Path) -> None:
    keras = import_keras()
    network = find_network(str(tiny_network), preprocess="tf")
    model = build(network, spec_of(network))
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 1), (None, 8))
    assert model.inputs[0].dtype == "uint8"
    assert not model.trainable_variables
    views = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    rgb = np.repeat(views[..., None], 3, axis=-1).astype(np.float32) / 127.5 - 1
    maps = np.asarray(keras.saving.load_model(tiny_network).predict_on_batch(rgb))
    got = np.asarray(model.predict_on_batch(views[..., None]))
    np.testing.assert_allclose(got, maps.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_an_old_h5_file_is_the_same_network(tiny_network: Path, tmp_path: Path) -> None:
    keras = import_keras()
    keras.saving.load_model(tiny_network).save(tmp_path / "old.h5")
    views = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    a, b = (find_network(str(path), preprocess="torch") for path in (tiny_network, tmp_path / "old.h5"))
    assert b.size == 32
    np.testing.assert_array_equal(
        build(a, spec_of(a)).predict_on_batch(views), build(b, spec_of(b)).predict_on_batch(views)
    )


@pytest.mark.slow
@pytest.mark.weights
def test_features_of_the_real_network_are_those_of_plain_keras(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_imagenet_conv_pw_12.keras"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    keras = import_keras()
    network = find_network(str(path), preprocess="tf")
    assert network.size == 224
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 14, 14), dtype=np.uint8)
    views = np.kron(coarse, np.ones((1, 16, 16), dtype=np.uint8))
    got = np.asarray(build(network, spec_of(network)).predict_on_batch(views[..., None]))
    rgb = keras.applications.mobilenet.preprocess_input(np.repeat(views[..., None], 3, axis=-1).astype(np.float32))
    wanted = np.asarray(keras.saving.load_model(path).predict_on_batch(rgb)).mean(axis=(1, 2))
    assert got.shape == (3, 1024)
    assert np.linalg.norm(got - wanted) <= 1e-5 * np.linalg.norm(wanted)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert wanted.std() > 0.1, "a network that says something"


@pytest.mark.slow
def test_random_weights_depend_on_the_seed_alone() -> None:
    views = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)

    def features(seed: int) -> NDArray[np.float32]:
        network = find_network("vgg16", weights="random", size=32, seed=seed)
        return np.asarray(build(network, spec_of(network)).predict_on_batch(views))

    def numpys() -> list[int]:
        key: list[int] = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002  # the user's own
        return key

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002  # the user's own generator, as Keras meets it
    before = random.getstate(), numpys()
    first = features(5)
    assert (random.getstate(), numpys()) == before
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002  # as above
    np.testing.assert_array_equal(features(5), first)
    assert np.abs(features(6) - first).max() > 0


def test_weights_of_a_path_are_loaded_into_the_network_of_the_table(tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(0)
    plain = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    plain.save_weights(tmp_path / "mine.weights.h5")
    network = find_network("vgg16", weights=str(tmp_path / "mine.weights.h5"), size=32)
    views = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    got = np.asarray(build(network, spec_of(network)).predict_on_batch(views))
    rgb = keras.applications.vgg16.preprocess_input(np.repeat(views, 3, axis=-1).astype(np.float32))
    wanted = np.asarray(plain.predict_on_batch(rgb)).mean(axis=(1, 2))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6 * float(np.abs(wanted).max()))


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.h5").write_bytes(content)
    network = find_network("vgg16", weights=str(tmp_path / "w.h5"), size=32)
    with pytest.raises(WeightsError, match=r"does not fit vgg16 \(.*'notop'"):
        build(network, spec_of(network))


# Networks of the user's own that load, and are of no use


def saved(path: Path, make: Any) -> Network:
    keras = import_keras()
    image = keras.Input((32, 32, 3))
    keras.Model(image, make(keras.layers, image)).save(path)
    return find_network(str(path), preprocess="tf")


CUTS: list[tuple[str, Any, str]] = [
    ("two outputs", lambda layers, x: [layers.Flatten()(x), layers.Flatten()(x)], "gives several outputs"),
    ("named outputs", lambda layers, x: {"a": layers.Flatten()(x), "b": layers.Flatten()(x)}, "gives several outputs"),
    ("rows of tokens", lambda layers, x: layers.Reshape((64, 48))(x), r"gives \(None, 64, 48\): features are"),
]


@pytest.mark.parametrize(("rule", "make", "message"), CUTS, ids=[case[0] for case in CUTS])
def test_an_output_that_is_no_features_is_refused(tmp_path: Path, rule: str, make: Any, message: str) -> None:
    network = saved(tmp_path / "m.keras", make)
    with pytest.raises(InputError, match=message):
        build(network, spec_of(network))


def test_a_flat_output_is_taken_as_it_is(tmp_path: Path) -> None:
    network = saved(tmp_path / "m.keras", lambda layers, x: layers.GlobalMaxPooling2D()(x))
    model = build(network, spec_of(network))
    views = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    wanted = views.max(axis=(1, 2)).astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(model.predict_on_batch(views), np.repeat(wanted, 3, axis=1), rtol=1e-6)


def test_a_network_of_two_images_is_refused(tmp_path: Path) -> None:
    keras = import_keras()
    a, b = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    keras.Model([a, b], keras.layers.Flatten()(keras.layers.Add()([a, b]))).save(tmp_path / "m.keras")
    network = find_network(str(tmp_path / "m.keras"), preprocess="tf")
    with pytest.raises(InputError, match=r"m does not take one batch of images"):
        build(network, spec_of(network))


def test_a_model_with_its_weights_cut_off_is_refused(tiny_network: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tiny_network) as whole, zipfile.ZipFile(tmp_path / "m.keras", "w") as part:
        for name in whole.namelist():
            content = whole.read(name)
            part.writestr(name, content[: len(content) // 2] if name.endswith(".h5") else content)
    network = find_network(str(tmp_path / "m.keras"), preprocess="tf")
    with pytest.raises(InputError, match=r"m cannot be loaded as a Keras model \(.*Save it with this Keras"):
        build(network, spec_of(network))


def test_a_layer_that_keras_does_not_know_is_refused(tiny_network: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tiny_network) as whole, zipfile.ZipFile(tmp_path / "m.keras", "w") as other:
        for name in whole.namelist():
            content = whole.read(name)
            if name == "config.json":
                content = json.dumps(json.loads(content)).replace("Conv2D", "Conv2F").encode()
            other.writestr(name, content)
    network = find_network(str(tmp_path / "m.keras"), preprocess="tf")
    with pytest.raises(InputError, match=r"m cannot be loaded as a Keras model"):
        build(network, spec_of(network))


@pytest.mark.slow
def test_layers_have_the_names_that_they_have_in_a_process_of_their_own() -> None:
    """Keras counts nameless layers over all networks of a process, and `--freeze-until` goes by their names."""
    network = find_network("inceptionv3", weights="random", size=75)
    spec = FeatureSpec(
        backbone=network.backbone, weights=network.weights, preprocess=network.preprocess, view=ViewSpec(size=75)
    )
    bodies = [load_body(network, spec) for _ in range(2)]
    names = [[layer.name for layer in body.layers] for body in bodies]
    assert names[0] == names[1]
    assert {"input_layer", "conv2d", "conv2d_93", "batch_normalization_1", "mixed10"} <= set(names[0])
    assert bodies[0].get_layer("conv2d_93") is not None
