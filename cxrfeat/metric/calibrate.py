"""The only place that knows calibration: decision values into probabilities, and how far those can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Labels, Probabilities

TEMPERATURES = (0.1, 1000.0)
"""Coldest and hottest temperature tried. The cold end is there because validation images that are all right would
otherwise ask for certainty: the log loss falls for ever as the temperature does."""

ECE_BINS = 15
"""Bins of the expected calibration error, as in Guo et al. 2017."""


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


def reliability(y: Labels, probabilities: Probabilities, bins: int = ECE_BINS) -> dict[str, Any]:
    """How often the predicted class is right, against how sure it was: the reliability diagram as numbers.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        bins: Of equal width over the largest probability, each closed on the right.

    Returns:
        `edges`, `bins + 1` of them, from 0 to 1; and for each bin `counts`, images in it; `confidence`, the mean of
        their largest probability; `accuracy`, the share of them whose predicted class is the true one; the last two in
        [0, 1], `None` in a bin without images.

    Raises:
        ValueError: If there is no image or no bin, or the arguments do not fit together.

    Source: Guo et al. 2017, section 2.

    Example:
        >>> found = reliability(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), bins=2)
        >>> found["counts"], found["confidence"], found["accuracy"]
        ([0, 2], [None, 0.75], [None, 0.5])
    """
    y, probabilities = np.asarray(y, np.int64), np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or len(probabilities) != len(y) or not len(y) or bins < 1:
        raise ValueError(
            f"Probabilities of {len(y)} images, at least one, in at least one bin; "
            f"got shape {probabilities.shape} and {bins} bins."
        )
    order = np.argsort(probabilities.max(1))  # adding in order of size, the order of the images cannot change a bit
    confidence = probabilities.max(1)[order]
    correct = (probabilities.argmax(1) == y)[order]
    place = confidence_bins(confidence, bins)
    counts = np.bincount(place, minlength=bins)
    right = np.bincount(place, weights=correct, minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins)

    def mean(sums: list[float]) -> list[float | None]:
        return [total / count if count else None for total, count in zip(sums, counts.tolist(), strict=True)]

    return {
        "edges": np.linspace(0, 1, bins + 1).tolist(),
        "counts": counts.tolist(),
        "confidence": mean(sure.tolist()),
        "accuracy": mean(right.tolist()),
    }


def confidence_bins(confidence: NDArray[np.float64], bins: int = ECE_BINS) -> NDArray[np.int64]:
    """The bin, from 0, of each largest probability: equal widths over [0, 1], each closed on the right.

    Example:
        >>> confidence_bins(np.array([0.5, 0.51, 1.0]), bins=2).tolist()
        [0, 1, 1]
    """
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def calibration_error(y: Labels, probabilities: Probabilities, bins: int = ECE_BINS) -> float:
    """Expected calibration error: the mean over images of their bin's |accuracy - confidence|, in [0, 1].

    Source: Guo et al. 2017, section 2, equation 3.

    Example:
        >>> round(calibration_error(np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), bins=2), 12)
        0.25
    """
    curve = reliability(y, probabilities, bins)
    filled = [
        (count, accuracy, confidence)
        for count, accuracy, confidence in zip(curve["counts"], curve["accuracy"], curve["confidence"], strict=True)
        if count
    ]
    return float(sum(count * abs(accuracy - confidence) for count, accuracy, confidence in filled) / len(y))
