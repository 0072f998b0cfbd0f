"""Files of weights: both of Keras's layouts are read, and a stranger's tricks refused before anything is."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.backbone.place import Place, places_of
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.weights_file import read_weights
from cxrfeat.errors import WeightsError

PLACES = [
    Place("conv/kernel", "layers/conv2d/vars/0", (3, 3, 3, 8), "variance_scaling 1 fan_avg uniform"),
    Place("conv/bias", "layers/conv2d/vars/1", (8,), "zeros"),
    Place("bn/gamma", "layers/batch_normalization/vars/0", (8,), "ones"),
]
VALUES = [np.random.default_rng(number).normal(size=place.shape) for number, place in enumerate(PLACES)]
NAMES = {"conv2d_9": ["conv2d_9/kernel:0", "conv2d_9/bias:0"], "input_1": [], "bn_0": ["bn_0_1/gamma:0"]}


def write(path: Path, kind: str = "f4") -> Path:
    """A file in the older layout, with names that are not ours, as those of Keras's own files are not."""
    values = iter(VALUES)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in NAMES]
        for layer, weights in NAMES.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name in weights:
                group.create_dataset(name, data=next(values).astype(kind))
    return path


def check(found: list[NDArray[np.float32]], tolerance: float = 0.0) -> None:
    for got, wanted in zip(found, VALUES, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted.astype(np.float32), rtol=tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [("f2", 1e-2), ("f4", 0.0), ("f8", 0.0)])
def test_the_older_layout_is_read_in_its_order_whatever_the_names(tmp_path: Path, kind: str, tolerance: float) -> None:
    check(read_weights(write(tmp_path / "w.h5", kind), PLACES, "net"), tolerance)


def test_many_names_lie_in_several_attributes(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "w.h5"), "a") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names0"] = [b"conv2d_9"]
        file.attrs["layer_names1"] = [b"input_1", b"bn_0"]
    check(read_weights(tmp_path / "w.h5", PLACES, "net"))


@pytest.mark.parametrize("name", ["m.h5", "w.weights.h5", "m.keras"])
def test_every_file_that_keras_writes_is_read(tmp_path: Path, name: str) -> None:
    keras = import_keras()
    layers, rng = keras.layers, np.random.default_rng(0)
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1, name="inside")], name="inner")
    maps = layers.BatchNormalization(scale=False, name="bn")(layers.SeparableConv2D(4, 3, name="sep")(inner(image)))
    body = keras.Model(image, layers.Conv2D(3, 1, name="last")(layers.BatchNormalization()(maps)))
    found = places_of(body)
    for _, variable in found:
        variable.assign(rng.normal(size=variable.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, about its older formats
        (body.save_weights if name.startswith("w") else body.save)(str(tmp_path / name))
    read = read_weights(tmp_path / name, [place for place, _ in found], "net")
    for got, (_, variable) in zip(read, found, strict=True):
        np.testing.assert_array_equal(got, np.asarray(variable))


def replaced(name: str, make: Callable[[h5py.Group, str], Any]) -> Callable[[Path], None]:
    """Puts something else where a dataset was."""

    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            group, _, last = name.rpartition("/")
            del file[name]
            make(file[group], last)

    return change


def attribute(layer: str, name: str, value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            node = file[layer] if layer else file
            node.attrs[name] = value

    return change


def virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", (8,))
    group.create_virtual_dataset(name, layout)


GAMMA = "bn_0/bn_0_1/gamma:0"

HOSTILE: list[tuple[str, Callable[[Path], object], str]] = [
    ("nothing", lambda path: path.write_bytes(b""), "not an HDF5 file"),
    ("no HDF5", lambda path: path.write_bytes(b"weights" * 99), "not an HDF5 file"),
    ("cut off", lambda path: path.write_bytes(path.read_bytes()[:3000]), "damaged"),
    ("a layer less", attribute("", "layer_names", [b"conv2d_9"]), "has 2 layers with weights, the file 1"),
    ("a weight less", attribute("conv2d_9", "weight_names", [b"conv2d_9/kernel:0"]), "conv/kernel and what follows"),
    ("another shape", replaced(GAMMA, lambda group, name: group.create_dataset(name, data=np.ones(9, "f4"))),
     r"bn/gamma is \(8,\), and /bn_0/bn_0_1/gamma:0 in the file \(9,\)"),
    ("a claim of terabytes", replaced(GAMMA, lambda group, name: group.create_dataset(name, (2**40,), "f4")),
     r"bn/gamma is \(8,\)"),
    ("whole numbers", replaced(GAMMA, lambda group, name: group.create_dataset(name, data=np.ones(8, "i4"))),
     "has type int32"),
    ("objects", replaced(GAMMA, lambda group, name: group.create_dataset(name, data=["x"] * 8)), "has type object"),
    ("large pieces", replaced(GAMMA, lambda group, name: group.create_dataset(
        name, (8,), "f4", maxshape=(None,), chunks=(2**28,))), "not a plain array in this file"),
    ("compressed", replaced(GAMMA, lambda group, name: group.create_dataset(
        name, data=np.ones(8, "f4"), compression="gzip")), "not a plain array in this file"),
    ("raw storage elsewhere", replaced(GAMMA, lambda group, name: group.create_dataset(
        name, (8,), "f4", external=[("/etc/passwd", 0, 32)])), "not a plain array in this file"),
    ("a view of another file", replaced(GAMMA, virtual), "not a plain array in this file"),
    ("a link to another file", replaced(GAMMA, lambda group, name: group.__setitem__(
        name, h5py.ExternalLink("other.h5", "/x"))), "missing, or a link"),
    ("a soft link", replaced(GAMMA, lambda group, name: group.__setitem__(
        name, h5py.SoftLink("/conv2d_9/conv2d_9/bias:0"))), "missing, or a link"),
    ("a group", replaced(GAMMA, lambda group, name: group.create_group(name)), "not a plain array in this file"),
    ("missing", replaced(GAMMA, lambda group, name: None), "missing, or a link"),
    ("a layer that is none", attribute("", "layer_names", [b"conv2d_9", b"conv2d_9/conv2d_9/bias:0"]), "not a group"),
    ("upwards", attribute("bn_0", "weight_names", [b"../conv2d_9/conv2d_9/bias:0"]), "missing, or a link"),
    ("a name without end", attribute("bn_0", "weight_names", np.array([b"x" * 2000])), "not a list of names"),
    ("names without end", attribute("", "layer_names", np.array([b"x"] * 20_000)), "not a list of names"),
    ("one name", attribute("", "layer_names", "conv2d_9"), "not a list of names"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "message"), HOSTILE, ids=[case[0] for case in HOSTILE])
def test_what_does_not_fit_is_named(tmp_path: Path, what: str, change: Callable[[Path], object], message: str) -> None:
    path = write(tmp_path / "w.h5")
    change(path)
    with pytest.raises(WeightsError, match=rf"(?s)w.h5 does not fit net \(.*{message}.*'notop'"):
        read_weights(path, PLACES, "net")


def test_weights_packed_to_next_to_nothing_are_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(200 * 2**20))
    with pytest.raises(WeightsError, match=r"its weights take 209715200 bytes, and the network has 232 numbers"):
        read_weights(tmp_path / "m.keras", PLACES, "net")


def test_a_zip_archive_of_other_things_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightsError, match="does not fit net"):
        read_weights(tmp_path / "m.keras", PLACES, "net")
