"""The two colour maps of all pictures: the only place that chooses colours for numbers."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

HEAT, ACTIVITY = "heat", "activity"
"""Their lightness changes evenly, so that they read without colour vision, and in print. Heat ends in dark red, which
stands out from bone and from air; what ends in yellow or white is lost on bone."""

_YELLOW_TO_RED = "ffffcc ffeda0 fed976 feb24c fd8d3c fc4e2a e31a1c bd0026 800026"
"""`YlOrRd` of ColorBrewer (Harrower & Brewer 2003), nine colours."""

_VIRIDIS = """
    440154 45085b 470f62 471669 481d6f 482374 472a79 46307d 453681 433c84 414286 3e4888 3c4d8a 3a538b 37588c 355d8c
    32628d 30678d 2e6c8e 2c718e 2a768e 287a8e 267f8e 24848d 23898d 218d8c 1f928c 1e978a 1e9b89 1ea087 20a585 23a982
    28ae7f 2eb27c 35b778 3dbb74 45bf6f 4fc369 59c764 64cb5d 70ce56 7cd24f 88d547 95d73f a2da37 afdc2e bdde26 cae01e
    d7e219 e4e318 f1e51c fde724
"""
"""Every fifth of the 256 colours of `viridis` (Smith, van der Walt & Firing 2015, CC0): straight lines between them are
off by one level of 255 at most."""


@functools.cache
def shades(name: str) -> NDArray[np.uint8]:
    """The colours of a map, from the lowest value to the highest.

    Args:
        name: `HEAT` or `ACTIVITY`.

    Returns:
        `(256, 3)`.

    Example:
        >>> shades(HEAT)[[0, 255]].tolist()
        [[255, 255, 204], [128, 0, 38]]
    """
    anchors = np.array([list(bytes.fromhex(one)) for one in {HEAT: _YELLOW_TO_RED, ACTIVITY: _VIRIDIS}[name].split()])
    places, ends = np.linspace(0, 1, 256), np.linspace(0, 1, len(anchors))
    mixed = np.stack([np.interp(places, ends, colour) for colour in anchors.T], axis=1)
    return np.floor(mixed + 1e-6).astype(np.uint8)  # cut, not rounded, as Matplotlib cuts the same maps
