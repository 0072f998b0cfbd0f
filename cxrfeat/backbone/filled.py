"""A network of the table as one ONNX graph with its weights, made without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.drawn import draw
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_graph import BODY, wrapped
from cxrfeat.backbone.place import Place
from cxrfeat.backbone.skeleton import fill, load_skeleton, places_in
from cxrfeat.backbone.weights_file import read_weights
from cxrfeat.spec import FeatureSpec
from cxrfeat.system.process import threads

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A graph and its weights, which nothing has copied yet."""

    graph: onnx.ModelProto
    """Names its weights as constants that lie elsewhere."""
    weights: dict[str, NDArray[np.float32]]
    """Those, by their names."""

    def serialized(self) -> bytes:
        """All of it as one ONNX file."""
        import onnx

        whole = onnx.ModelProto()
        whole.CopyFrom(self.graph)
        for one in whole.graph.initializer:
            if one.name in self.weights:
                one.ClearField("data_location")
                one.raw_data = self.weights[one.name].tobytes()
        content: bytes = whole.SerializeToString()
        return content


def weights_for(network: Network, places: Sequence[Place]) -> list[NDArray[np.float32]]:
    """The weights of a network, from its file or drawn: one array for each place, shaped as in Keras.

    Raises:
        WeightsError: If its file does not hold them.
    """
    if network.path is not None:
        return read_weights(network.path, places, network.name)
    assert network.seed is not None, "weights are of a file or drawn"
    seed = network.seed
    with ThreadPoolExecutor(threads()) as pool:
        return [*pool.map(lambda place: draw(place, seed), places)]


def graph_of(network: Network, spec: FeatureSpec) -> Filled:
    """The inference graph of a network that has a skeleton: what `backbone.build` is in Keras.

    Returns:
        `view`, `(n, size, size, 1)` uint8, to `features`, `(n, dim)` float32.

    Raises:
        WeightsError: If the weights do not fit the network.
    """
    body = load_skeleton(network.backbone)
    weights = fill(body, weights_for(network, places_in(body)))
    return Filled(graph=wrapped(body, spec), weights={BODY + name: values for name, values in weights.items()})
