"""A head as layers of a Keras model, behind the network whose features it takes; none are but Keras's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxrfeat.head.expression import Matrix, probabilities_in
from cxrfeat.head.fitted import FittedHead

PROBABILITIES = "probabilities"
"""Name of the last layer."""


def with_head(keras: Any, network: Any, head: FittedHead) -> Any:  # noqa: ANN401  # Keras has no types
    """Put a head behind a network.

    Args:
        keras: The module.
        network: A Keras model: `(n, size, size, 1)` uint8 to `(n, dim)` float32.
        head: The head.

    Returns:
        A Keras model of the same input, to `(n, classes)` float32.
    """
    return keras.Model(network.input, probabilities_in(KerasOperations(keras), head, network.output), name="cxrfeat")


class KerasOperations:
    """Arithmetic of heads as layers of Keras, on float32."""

    def __init__(self, keras: Any) -> None:  # noqa: ANN401  # Keras has no types
        """Take the module."""
        self._layers, self._ops = keras.layers, keras.ops

    def standardized(self, x: Any, mean: Matrix, scale: Matrix) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._layers.Normalization(mean=mean.tolist(), variance=np.square(scale).tolist(), dtype="float32")(x)

    def affine(self, x: Any, weights: Matrix, bias: Matrix) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        layer = self._layers.Dense(weights.shape[1], dtype="float32")
        made = layer(x)
        layer.set_weights([weights.astype(np.float32), bias.astype(np.float32)])
        return made

    def linear(self, x: Any, factor: float, plus: float) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._layers.Rescaling(factor, plus, dtype="float32")(x)

    def add(self, x: Any, y: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.add(x, y)

    def multiplied(self, x: Any, y: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.multiply(x, y)

    def divided(self, x: Any, y: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.divide(x, y)

    def relu(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.relu(x)

    def exp(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.exp(x)

    def log(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.log(x)

    def size(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.absolute(x)

    def negative(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._ops.cast(self._ops.less(x, 0.0), "float32")

    def of_largest(self, x: Any, count: int, rows: Matrix) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        _, places = self._ops.top_k(x, count)
        layer = self._layers.Embedding(*rows.shape, dtype="float32")
        made = layer(places)
        layer.set_weights([rows.astype(np.float32)])
        return self._ops.mean(made, axis=1)

    def softmax(self, x: Any) -> Any:  # noqa: ANN401, D102  # as in `Operations`
        return self._layers.Softmax(name=PROBABILITIES, dtype="float32")(x)
