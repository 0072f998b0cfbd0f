"""The only place that turns decision values into probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Labels, Probabilities

TEMPERATURES = (0.1, 1000.0)
"""Coldest and hottest temperature tried. The cold end is there because validation images that are all right would
otherwise ask for certainty: the log loss falls for ever as the temperature does."""


def softmax(z: NDArray[np.floating]) -> Probabilities:
    """Probabilities `(n, classes)` from logits of any size, in float64.

    Example:
        >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
        [[0.5, 0.5]]
    """
    return np.asarray(np.exp(log_softmax(z)))


def log_softmax(z: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithm of `softmax(z)`, exact where the probability itself would round to zero."""
    z = np.asarray(z, dtype=np.float64)
    shifted = z - z.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def log_loss(z: NDArray[np.floating], y: Labels) -> float:
    """Mean over images of minus the log probability, in nats, that logits `z` give the true class."""
    return float(-log_softmax(z)[np.arange(len(y)), y].mean())


def fit_temperature(decision: NDArray[np.floating], y: Labels) -> float:
    """The temperature T, within `TEMPERATURES`, at which `softmax(decision / T)` has the least log loss.

    Args:
        decision: `(n, classes)` decision values of images the model was not trained on.
        y: `(n,)` their true class indices.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Guo et al. 2017, section 4.2.

    Example:
        >>> two_of_three_right = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> round(fit_temperature(two_of_three_right, np.array([0, 0, 1])), 2)  # 2 / log(2)
        2.89
    """
    from scipy.optimize import minimize_scalar

    decision, y = np.asarray(decision, np.float64), np.asarray(y, np.int64)
    if decision.ndim != 2 or decision.shape[0] != len(y) or not len(y):
        raise ValueError(f"Decision values of {len(y)} images, at least one; got shape {decision.shape}.")
    # Convex in 1 / T, hence with one valley in log T too.
    found = minimize_scalar(
        lambda log_t: log_loss(decision / np.exp(log_t), y), bounds=tuple(np.log(TEMPERATURES)), method="bounded"
    )
    return float(np.clip(np.exp(found.x), *TEMPERATURES))
