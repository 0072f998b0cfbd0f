"""A network of the table as one ONNX graph with its weights, made without Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.drawn import draw
from cxrfeat.backbone.network import Network
from cxrfeat.backbone.onnx_graph import wrapped
from cxrfeat.backbone.place import Place
from cxrfeat.backbone.skeleton import fill, load_skeleton, places_in
from cxrfeat.backbone.weights_file import read_weights
from cxrfeat.spec import FeatureSpec

if TYPE_CHECKING:
    import onnx


def weights_for(network: Network, places: Sequence[Place]) -> list[NDArray[np.float32]]:
    """The weights of a network, from its file or drawn: one array for each place, shaped as in Keras.

    Raises:
        WeightsError: If its file does not hold them.
    """
    if network.path is not None:
        return read_weights(network.path, places, network.name)
    assert network.seed is not None, "weights are of a file or drawn"
    return [draw(place, network.seed) for place in places]


def graph_of(network: Network, spec: FeatureSpec) -> onnx.ModelProto:
    """The inference graph of a network that has a skeleton: what `backbone.build` is in Keras.

    Returns:
        `view`, `(n, size, size, 1)` uint8, to `features`, `(n, dim)` float32.

    Raises:
        WeightsError: If the weights do not fit the network.
    """
    body = load_skeleton(network.backbone)
    fill(body, weights_for(network, places_in(body)))
    return wrapped(body, spec)
