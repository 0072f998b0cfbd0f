"""Where each array of a network's weights belongs: its name, its shape, and what it is before anybody trains it.

What Keras builds and what a skeleton stands for have the same places in the same order, so weights that were read from
a file or drawn by chance are the same for both.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """One array of a network's weights."""

    name: str
    """Of its layer and of itself, such as `conv1_conv/kernel`; no two of a network have the same."""
    kept: str
    """Where Keras's own format of weights keeps it, such as `layers/conv2d/vars/0`."""
    shape: tuple[int, ...]
    """As in Keras."""
    start: str
    """What it is at first: `zeros`, `ones`, `constant VALUE`, or `variance_scaling SCALE MODE DISTRIBUTION` as Keras
    names these."""

    @property
    def layer(self) -> str:
        """The outermost layer, in the order of which older files of weights are written."""
        return "/".join(self.kept.split("/")[:2])

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


_BY_LAYER = {("DepthwiseConv2D", "kernel"): "depthwise_initializer"}
"""Variables whose initialiser is not called as they are."""

_UNNAMED = {"LayerScale": "gamma"}
"""Layers with one variable, which they leave Keras to number."""


def places_of(body: Any) -> list[tuple[Place, Any]]:  # noqa: ANN401  # Keras has no types
    """The places of a network that Keras has built, in the order that files of weights have, each with its variable.

    Raises:
        NotImplementedError: If a layer begins with weights that no rule here describes.
    """
    return list(_in_layers(body, ""))


def _in_layers(parent: Any, path: str) -> Iterator[tuple[Place, Any]]:  # noqa: ANN401  # Keras has no types
    seen: Counter[str] = Counter()
    for layer in parent.layers:
        kind = snake(type(layer).__name__)
        kept = f"{path}layers/{kind}" + (f"_{seen[kind]}" if seen[kind] else "")
        seen[kind] += 1
        if hasattr(layer, "layers"):
            yield from _in_layers(layer, f"{kept}/")
            continue
        for number, variable in enumerate(layer.weights):
            name = _UNNAMED.get(type(layer).__name__, variable.name)
            shape, start = tuple(variable.shape), _start(layer, name)
            yield Place(f"{layer.name}/{name}", f"{kept}/vars/{number}", shape, start), variable


def snake(name: str) -> str:
    """A class's name as Keras spells it in the names of layers and in its own format of weights.

    Example:
        >>> snake("BatchNormalization"), snake("DepthwiseConv2D")
        ('batch_normalization', 'depthwise_conv2d')
    """
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()


def _start(layer: Any, variable: str) -> str:  # noqa: ANN401  # Keras has no types
    if type(layer).__name__ == "LayerScale":
        return f"constant {layer.init_values:g}"
    called = variable.removesuffix("_kernel") if variable.endswith("_kernel") else variable
    rule = getattr(layer, _BY_LAYER.get((type(layer).__name__, variable), f"{called}_initializer"))
    kind = type(rule).__name__
    if kind in ("Zeros", "Ones"):
        return kind.lower()
    if hasattr(rule, "distribution"):  # Glorot's and He's are among them
        return f"variance_scaling {rule.scale:g} {rule.mode} {rule.distribution}"
    raise NotImplementedError(f"{layer.name}/{variable} begins with {kind}")
