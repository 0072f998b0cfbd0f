"""Small networks and heads with random weights, whose every number can be worked out another way."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cxrfeat.backbone.network import Network, find_network
from cxrfeat.backbone.quiet import import_keras
from cxrfeat.explaining.graph import Graph
from cxrfeat.head.fitted import FittedHead
from cxrfeat.spec import FeatureSpec, HeadKind, ViewSpec

SIZE, CHANNELS = 32, 8
CLASSES = ("COVID", "NORMAL", "PNEUMONIA")


def saved(path: Path, make: Callable[[Any], Any]) -> Network:
    """A network of Keras layers, saved and found as a user's own."""
    keras = import_keras()
    model = make(keras)
    draw = np.random.default_rng(7)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras 3.15.1 on saving
        model.set_weights([draw.normal(0, 0.3, one.shape).astype(np.float32) for one in model.weights])
        model.save(path)
    return find_network(str(path), preprocess="tf")


def spec_of(network: Network) -> FeatureSpec:
    return network.described(ViewSpec(size=network.size, count=1))


def graph_of(network: Network) -> Graph:
    return Graph(network, spec_of(network))


def convolutional(keras: Any) -> Any:
    """32 x 32 to `(4, 4, 8)` maps."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="first"),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="second"),
            layers.Conv2D(CHANNELS, 3, strides=2, padding="same", name="last"),
        ]
    )


def pooled(keras: Any) -> Any:
    """The same with pooling and one more layer: its features are not the mean of its maps."""
    body = convolutional(keras)
    values = keras.layers.GlobalAveragePooling2D(name="pool")(body.outputs[0])
    return keras.Model(body.inputs, keras.layers.Dense(CHANNELS, activation="tanh", name="after")(values))


def nested(keras: Any) -> Any:
    """A model in a model."""
    body = convolutional(keras)
    body.name = "inner"
    given = keras.Input((SIZE, SIZE, 3))
    return keras.Model(given, keras.layers.ReLU(name="outside")(body(given)))


def flat(keras: Any) -> Any:
    """A network without maps."""
    given = keras.Input((SIZE, SIZE, 3))
    return keras.Model(given, keras.layers.Dense(CHANNELS)(keras.layers.Flatten()(given)))


def head_of(kind: HeadKind, *, classes: tuple[str, ...] = CLASSES, dim: int = CHANNELS, seed: int = 0) -> FittedHead:
    """A head of random numbers."""
    rng = np.random.default_rng([seed, len(kind), len(classes)])
    count, pairs = len(classes), len(classes) * (len(classes) - 1) // 2
    scaler = {"mean": rng.normal(size=dim), "scale": rng.uniform(0.5, 2, dim)}
    rows, labels = rng.normal(size=(6 * count, dim)).astype(np.float32), np.repeat(np.arange(count), 6)
    arrays: dict[str, Any]
    if kind in ("softmax", "dense", "dropout"):
        sizes = [dim, count] if kind == "softmax" else [dim, 7, 5, count]
        arrays = {} if kind == "dense" else dict(scaler)
        for index, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
            arrays[f"weights_{index}"] = rng.normal(size=(wide, narrow)).astype(np.float32)
            arrays[f"bias_{index}"] = rng.normal(size=narrow).astype(np.float32)
    elif kind == "svm-rbf":
        arrays = scaler | {
            "support_vectors": rows,
            "n_support": np.full(count, 6, np.int64),
            "dual_coef": rng.normal(size=(count - 1, len(rows))),
            "intercept": rng.normal(size=pairs),
            "gamma": np.array(0.1),
        }
    elif kind == "knn":
        arrays = scaler | {"rows": rows, "labels": labels.astype(np.int64), "neighbours": np.array(5)}
    else:
        one = kind == "svm-linear" or (kind == "logreg" and count == 2)
        size = pairs if one else count
        arrays = scaler | {"coef": rng.normal(size=(size, dim)), "intercept": rng.normal(size=size)}
    return FittedHead(kind=kind, classes=classes, arrays=arrays)


def views(count: int, seed: int = 0, size: int = SIZE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size), dtype=np.uint8)
