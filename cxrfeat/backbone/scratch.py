"""The paper's small network that starts from nothing: no row of the table, since nobody has trained it before."""

from __future__ import annotations

from typing import Any

SCRATCH = "scratch"

SIZE = 224
"""Height and width in pixels, as in the paper."""

_FILTERS = (32, 64, 128, 256)


def scratch_body(keras: Any, size: int) -> Any:  # noqa: ANN401  # Keras has no types
    """Four convolutions of 3 x 3, each normalised over the batch and halved: `(n, size / 16, size / 16, 256)` maps.

    Source: the paper's "CNN from scratch" (`docs/paper.md`), which only says that it is small; the form is that of
    Simonyan & Zisserman 2015 (section 2.1) with Ioffe & Szegedy 2015 (section 3.2).
    """
    layers = keras.layers
    pixels = keras.Input((size, size, 1))
    maps = pixels
    for number, filters in enumerate(_FILTERS, start=1):
        maps = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{number}_conv")(maps)
        maps = layers.BatchNormalization(name=f"block{number}_bn")(maps)
        maps = layers.Activation("relu", name=f"block{number}_relu")(maps)
        maps = layers.MaxPooling2D(2, name=f"block{number}_pool")(maps)
    return keras.Model(pixels, maps, name=SCRATCH)
