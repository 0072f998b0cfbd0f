"""The only place that differentiates: each backend of Keras does it in its own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.quiet import import_keras
from cxrfeat.errors import UsageError

Tensor = Any
"""An array of the backend that Keras runs on."""


def gradient_of_sum(
    function: Callable[[Tensor], Tensor], values: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A function's values, and the gradient of their sum.

    Where the function treats each row by itself, the gradient's rows are those of the single values.

    Args:
        function: `(n, ...)` to `(n,)`, of Keras operations.
        values: Where, `(n, ...)`.

    Returns:
        Values `(n,)`, and the gradient, shaped like `values`.

    Raises:
        UsageError: If Keras runs on a backend that is not known here.
    """
    keras = import_keras()
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        point = tf.convert_to_tensor(values)
        with tf.GradientTape() as tape:
            tape.watch(point)
            found = function(point)
        gradient = tape.gradient(found, point)
    elif name == "jax":
        import jax

        def total(point: Tensor) -> tuple[Tensor, Tensor]:
            each = function(point)
            return each.sum(), each

        (_, found), gradient = jax.value_and_grad(total, has_aux=True)(keras.ops.convert_to_tensor(values))
    else:
        raise UsageError(
            f"Keras runs on {name}, where cxrfeat takes no gradients. Set KERAS_BACKEND to tensorflow or jax, or pass "
            "`method=occlusion`."
        )
    return np.asarray(found, np.float32), np.asarray(gradient, np.float32)
