from __future__ import annotations

from typing import Any

import pytest

from cxrfeat.backbone.build import build
from cxrfeat.backbone.network import find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.table import TABLE, find_row
from cxrfeat.errors import UsageError
from cxrfeat.spec import FeatureSpec, ViewSpec


class SeenError(Exception):
    """Carries what Keras was about to use."""


@pytest.mark.parametrize("name", TABLE)
def test_native_sizes_are_those_of_the_constructors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = import_keras()
    from keras.src.applications import imagenet_utils

    def stop(_: object, *, default_size: int, **__: object) -> None:
        raise SeenError(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", stop)
    with pytest.raises(SeenError) as seen:
        getattr(keras.applications, TABLE[name].constructor)(weights=None)
    assert seen.value.args == (TABLE[name].size,)


@pytest.mark.parametrize("name", TABLE)
def test_least_sizes_are_those_of_the_constructors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = import_keras()
    from keras.src.applications import imagenet_utils

    def stop(_: object, *, min_size: int, **__: object) -> None:
        raise SeenError(min_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", stop)
    with pytest.raises(SeenError) as seen:
        getattr(keras.applications, TABLE[name].constructor)(weights=None)
    assert seen.value.args == (TABLE[name].least,)


def check_dim_and_weights(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    keras, row = import_keras(), TABLE[name]
    network = find_network(name, weights="random", size=size)
    spec = FeatureSpec(
        backbone=name, weights=network.weights, preprocess=network.preprocess, view=ViewSpec(size=size, count=1)
    )
    model = build(network, spec)
    assert model.input_shape == (None, size, size, 1)
    assert model.output_shape == (None, row.dim)
    from keras.src.utils import file_utils

    def stop(file: str, url: str, **options: Any) -> None:
        raise SeenError(file, url, options["cache_subdir"], options["file_hash"])

    monkeypatch.setattr(file_utils, "get_file", stop)
    with pytest.raises(SeenError) as seen:
        getattr(keras.applications, row.constructor)(include_top=False, input_shape=(size, size, 3))
    assert seen.value.args == (row.weights_file, row.weights_url, "models", row.weights_digest)


def test_vgg16_is_as_its_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    check_dim_and_weights("vgg16", 32, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TABLE if name != "vgg16"])
def test_every_network_is_as_its_row_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_dim_and_weights(name, 75, monkeypatch)


def test_the_networks_of_the_contract_are_there_and_some_more() -> None:
    assert {name: (row.size, row.dim, row.preprocess) for name, row in TABLE.items()} == {
        "densenet121": (224, 1024, "torch"),
        "resnet50": (224, 2048, "caffe"),
        "vgg16": (224, 512, "caffe"),
        "inceptionv3": (299, 2048, "tf"),
        "xception": (299, 2048, "tf"),
        "densenet169": (224, 1664, "torch"),
        "densenet201": (224, 1920, "torch"),
        "resnet50v2": (224, 2048, "tf"),
        "efficientnetv2b0": (224, 1280, "none"),
        "convnexttiny": (224, 768, "none"),
    }


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet", "resnet50"), ("ResNet50", "resnet50"), ("vgg19", "vgg16"), ("inception_v3", "inceptionv3")],
)
def test_an_unknown_backbone_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(
        UsageError, match=rf"There is no backbone '{name}'. Did you mean {near}\? The backbones are dens"
    ):
        find_row(name)


def test_nothing_like_a_backbone_names_them_all() -> None:
    with pytest.raises(UsageError, match=rf"no backbone 'qqq'. The backbones are {', '.join(TABLE)}, or the path"):
        find_row("qqq")
