"""The networks as they are measured: what a user of Keras has, what cxrfeat has, and how much arithmetic they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.build import build
from cxrfeat.backbone.choose import choose_engine, find_engine, usual_batch
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.backbone.table import TABLE
from cxrfeat.spec import FeatureSpec, ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Views


def find(backbone: str, *, preprocess: str | None = None, size: int | None = None) -> Network:
    """A network of the table with random weights, or one of the user's own, which says how it wants its pixels."""
    if backbone in TABLE:
        return find_network(backbone, weights="random", size=size)
    return find_network(backbone, preprocess=preprocess, size=size)


def call_arguments(backbone: str, *, preprocess: str | None = None, size: int | None = None) -> dict[str, Any]:
    """What `cxrfeat.extract` is asked, for the network that `find` finds."""
    arguments: dict[str, Any] = {"backbone": backbone, "preprocess": preprocess, "size": size}
    return arguments | ({"weights": "random"} if backbone in TABLE else {})


def command_words(backbone: str, *, preprocess: str | None = None, size: int | None = None) -> list[str]:
    """The same as options of `cxrfeat extract`, wherever that is called."""
    own = Path(backbone)
    asked = call_arguments(str(own.resolve()) if own.is_file() else backbone, preprocess=preprocess, size=size)
    return [word for name, value in asked.items() if value is not None for word in (f"--{name}", str(value))]


def auto(network: Network) -> str:
    """Name of the engine that cxrfeat picks for a job large enough to be worth any conversion."""
    return choose_engine("auto", network, plain_spec(network), views=1_000_000)


def load(engine: str, network: Network) -> Engine:
    """An engine as an extraction has it, the network converted first where that has not been done."""
    return find_engine(engine)(network, plain_spec(network), usual_batch(engine), threads())


def plain_spec(network: Network, views: int = 1) -> FeatureSpec:
    """The description of a network's features with every option at its default."""
    return FeatureSpec(
        backbone=network.backbone,
        weights=network.weights,
        preprocess=network.preprocess,
        view=ViewSpec(size=network.size, count=views),
    )


def keras_model(network: Network) -> Any:  # noqa: ANN401  # Keras has no types
    """The network as a user of Keras has it: prepared float pixels in, features averaged over space out."""
    keras = import_keras()
    body = next(layer for layer in build(network, plain_spec(network)).layers if isinstance(layer, keras.Model))
    layers = [body] if len(body.output_shape) == 2 else [body, keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((network.size, network.size, body.input_shape[-1])), *layers])


def keras_pixels(network: Network, views: Views, channels: int) -> NDArray[np.float32]:
    """Views as a user of Keras prepares them."""
    pixels = np.repeat(views[..., np.newaxis].astype(np.float32), channels, axis=-1)
    return np.asarray(keras_prepared(network, pixels), dtype=np.float32)


def keras_prepared(network: Network, pixels: Any) -> Any:  # noqa: ANN401  # Keras and scikit-learn have no types
    """Float pixels from 0 to 255 as Keras itself prepares them for a network."""
    if network.preprocess == "none":
        return pixels
    return import_keras().applications.imagenet_utils.preprocess_input(pixels, mode=network.preprocess)


def gflop(model: Any) -> float:  # noqa: ANN401  # Keras and scikit-learn have no types
    """Thousand million operations for one image: two for each multiply-add of its convolutions and dense layers.

    What is cheap is left out (normalisation, activation, pooling, padding), so a share of a matrix product's rate that
    is computed with it is a little too low.
    """
    return 2e-9 * _multiply_adds(model)


def _multiply_adds(model: Any) -> int:  # noqa: ANN401  # Keras and scikit-learn have no types
    layers = import_keras().layers
    total = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):
            total += _multiply_adds(layer)
        elif isinstance(layer, layers.SeparableConv2D):
            places = math.prod(layer.output.shape[1:3])
            total += places * sum(
                math.prod(kernel.shape) for kernel in (layer.depthwise_kernel, layer.pointwise_kernel)
            )
        elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):  # each weight is used once at every place
            total += math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Dense):
            total += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return total
