"""The graphs that come with the package are those of Keras, for any size and any weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrfeat.backbone.build import bare_body
from cxrfeat.backbone.filled import Filled
from cxrfeat.backbone.place import places_of
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.skeleton import FOLDER, IMAGE, fill, load_skeleton, places_in
from cxrfeat.backbone.table import TABLE

pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

EACH = [pytest.param(name, marks=() if name == "vgg16" else pytest.mark.slow) for name in TABLE]


@pytest.mark.parametrize("name", EACH)
def test_a_skeleton_is_what_the_script_writes(name: str) -> None:
    from scripts.skeletons import skeleton_of

    assert skeleton_of(name) == FOLDER.joinpath(f"{name}.onnx").read_bytes(), "run python -m scripts.skeletons"


@pytest.mark.few(1)
@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("beyond", [0, 30])
def test_a_skeleton_computes_what_keras_computes(name: str, beyond: int) -> None:
    """At the least size, and at one that halves to odd lengths; every kind of weight has a say."""
    size, rng = TABLE[name].least + beyond, np.random.default_rng(beyond)
    body = bare_body(import_keras(), name, size)
    found = places_of(body)
    for place, variable in found:
        if place.start == "zeros":
            variable.assign(rng.normal(0, 0.2, place.shape))
        elif not place.start.startswith("variance_scaling"):
            variable.assign(rng.uniform(0.5, 1.5, place.shape))
    skeleton = load_skeleton(name)
    assert places_in(skeleton) == [place for place, _ in found]
    weights = fill(skeleton, [np.asarray(variable) for _, variable in found])
    pixels = rng.uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    pixels = pixels if TABLE[name].preprocess == "none" else pixels / 127.5 - 1
    wanted = np.asarray(body.predict_on_batch(pixels)).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(
        Filled(graph=skeleton, weights=weights).serialized(), providers=["CPUExecutionProvider"]
    )
    (maps,) = session.run(None, {IMAGE: pixels.transpose(0, 3, 1, 2)})
    assert maps.shape == wanted.shape
    assert np.abs(maps - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_the_script_writes_where_the_package_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts import skeletons

    monkeypatch.setattr(skeletons, "FOLDER", tmp_path)
    skeletons.main(["vgg16"])
    assert [path.name for path in tmp_path.iterdir()] == ["vgg16.onnx"]
    assert (tmp_path / "vgg16.onnx").read_bytes() == FOLDER.joinpath("vgg16.onnx").read_bytes()
