"""How a network's features are described, and views to compute them of."""

from __future__ import annotations

import numpy as np

from cxrfeat.backbone.network import Network
from cxrfeat.spec import FeatureSpec, Normalize, ViewSpec
from cxrfeat.types import Views


def described(network: Network, normalize: Normalize = "backbone") -> FeatureSpec:
    view = ViewSpec(size=network.size, count=1)
    return network.described(view, normalize=normalize)


def some_views(count: int, size: int) -> Views:
    return np.random.default_rng(3).integers(0, 256, (count, size, size), dtype=np.uint8)
