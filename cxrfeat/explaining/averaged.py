"""Networks looked into without Keras: those whose features are the average of their last maps, and ONNX files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.choose import auto_engine
from cxrfeat.backbone.engine import Engine
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_engine import ONNX
from cxrfeat.backbone.onnx_maps import OnnxMaps
from cxrfeat.backbone.openvino_engine import OPENVINO
from cxrfeat.backbone.openvino_maps import OpenvinoMaps
from cxrfeat.backbone.quiet import has_gpu
from cxrfeat.explaining.field import Fields, fields_of_steps, regular
from cxrfeat.explaining.graph import BATCH, Graph, Maps
from cxrfeat.explaining.score import Score
from cxrfeat.spec import OPENVINO_BFLOAT16, FeatureSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Features, Views


class AveragedGraph:
    """As `explaining.graph.Graph`, of a network that has been converted: in a third of the memory, and at once.

    Maps and features are those of Keras but for rounding. Where weights are shuffled, normalisation is part of them.
    """

    has_maps = averages = True

    def __init__(self, network: Network, maps: OpenvinoMaps | OnnxMaps) -> None:
        """Take a network that has been loaded."""
        self.network = network
        self._maps = maps
        self.fields = _fields(network, maps)
        """Where the cells of the maps lie in the view."""

    def run(self, views: Views) -> tuple[Maps, Features]:
        """Maps and pooled features of `(n, size, size)` uint8 views, from one pass."""
        return self._maps.run(views)

    def features(self, views: Views) -> Features:
        """Pooled features `(n, dim)` of `(n, size, size)` uint8 views; no more maps are kept than of one batch."""
        parts = [self.run(views[start : start + BATCH])[1] for start in range(0, len(views), BATCH)]
        return np.concatenate(parts)

    def gradient(self, maps: Maps, score: Score, classes: NDArray[np.int64]) -> tuple[NDArray[np.float32], Maps]:
        """Scores of one class for each row, and their gradient at the maps: each cell has its share of the average."""
        features = maps.mean(axis=(1, 2), dtype=np.float64)
        slopes = score.slopes(features, classes) / (maps.shape[1] * maps.shape[2])
        values = score.values(features)[np.arange(len(classes)), classes]
        return values, np.broadcast_to(slopes[:, np.newaxis, np.newaxis].astype(np.float32), maps.shape)

    def shuffle(self, rng: np.random.Generator) -> None:
        """Set every kernel to its own values in another order; biases stay, so that the numbers keep their size."""
        self._maps.shuffle(rng)

    def restore(self) -> None:
        """Set the weights back."""
        self._maps.restore()


def _fields(network: Network, maps: OpenvinoMaps | OnnxMaps) -> Fields:
    if maps.steps is not None:
        return fields_of_steps(maps.steps)
    assert isinstance(maps, OnnxMaps)
    rows, columns = maps.cells
    return regular(rows, network.size), regular(columns, network.size)


class FeaturesGraph:
    """A network of which only its features are known, as an engine gives them: it is explained by occlusion."""

    has_maps = averages = False
    fields: Fields | None = None

    def __init__(self, network: Network, engine: Engine) -> None:
        """Take a network that has been loaded."""
        self.network = network
        self._engine = engine

    def run(self, views: Views) -> tuple[Maps, Features]:
        """The features of `(n, size, size)` uint8 views twice: there are no maps."""
        features = self.features(views)
        return features, features

    def features(self, views: Views) -> Features:
        """Features `(n, dim)` of `(n, size, size)` uint8 views."""
        return self._engine.run(views)

    def gradient(self, maps: Maps, score: Score, classes: NDArray[np.int64]) -> tuple[NDArray[np.float32], Maps]:
        """Nothing: without maps, no method asks for it."""
        raise AssertionError(f"{self.network.name} has no maps")

    def shuffle(self, rng: np.random.Generator) -> None:
        """Nothing: heat by occlusion is not probed so, which would take hours."""
        raise AssertionError(f"{self.network.name} is explained by occlusion")

    def restore(self) -> None:
        """Nothing, likewise."""
        raise AssertionError(f"{self.network.name} is explained by occlusion")


AnyGraph = Graph | AveragedGraph | FeaturesGraph


def open_graph(network: Network, spec: FeatureSpec) -> AnyGraph:
    """A network, ready to be looked into: without Keras where that can be and it is known through and through.

    Raises:
        InputError, WeightsError, UsageError: As `explaining.graph.Graph`.
    """
    if (
        spec.precision in ("float32", OPENVINO_BFLOAT16)
        and OPENVINO.installed()
        and not has_gpu()
        and OPENVINO.at_once(network, spec)
    ):
        try:
            return AveragedGraph(network, OpenvinoMaps(lambda: OPENVINO.source(network, spec)))
        except NotImplementedError:  # it does not average its maps, or does what we do not know
            pass
    return _of_onnx(network, spec) if network.onnx else Graph(network, spec)


def _of_onnx(network: Network, spec: FeatureSpec) -> AnyGraph:
    """An ONNX file: with its maps if ONNX Runtime is there, and features are their average."""
    if ONNX.installed() and spec.pool == "mean":
        try:
            return AveragedGraph(network, OnnxMaps(network, spec))
        except NotImplementedError:
            pass
    return FeaturesGraph(network, auto_engine(network, spec, BATCH, threads()))
