"""The only place that ranks images by probability: AUROC and average precision, of weighted images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.resample import Weights
from cxrfeat.types import Groups


class Ranked:
    """The images of one class against the rest, sorted by probability once for all resamples.

    Sums of whole weights are exact in float64, so the order of the images cannot change a bit of the result.

    Example:
        >>> ranked = Ranked(np.array([True, True, False]), np.array([0.9, 0.3, 0.3]), np.arange(3))
        >>> [float(rate[0]) for rate in ranked.auroc_and_auprc(np.ones((1, 3)))]
        [0.75, 0.8333333333333333]
    """

    def __init__(self, of_class: NDArray[np.bool_], probability: NDArray[np.float64], group: Groups) -> None:
        """Sort the images.

        Args:
            of_class: `(n,)`, whether an image is of the class.
            probability: `(n,)` of the class, or anything that ranks as it does.
            group: `(n,)` group of each image, a column of the weights.
        """
        order = np.argsort(probability, kind="stable")
        self._positive = of_class[order].astype(np.float64)
        self._group = group[order]
        ordered = probability[order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # one entry per run of equal values

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """`(resamples,)` chance that a drawn image of the class outranks one of the rest, ties counted half.

        Source: Hanley & McNeil 1982.
        """
        return _rate(*self.wins(weights))

    def wins(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` how often an image of the class outranks one of the rest, and the number of such pairs."""
        positive, both = self._drawn(weights)
        negative = both - positive
        return _wins(positive, negative, np.cumsum(negative, axis=1))

    def auroc_and_auprc(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` AUROC, and the average precision: precision at each probability, weighted by recall gained.

        Source: Hanley & McNeil 1982; Zhu 2004 and scikit-learn's `average_precision_score`, ties taken together.
        """
        positive, both = self._drawn(weights)
        positive_below, both_below = np.cumsum(positive, axis=1), np.cumsum(both, axis=1)  # those here included
        positives, everything = positive_below[:, -1:], both_below[:, -1:]
        precision = positives - positive_below + positive
        called = everything - both_below + both
        np.divide(precision, called, out=precision, where=called > 0)  # else nothing is called, nor positive
        auprc = _rate(np.einsum("rt,rt->r", positive, precision), positives[:, 0])
        both_below -= positive_below
        both -= positive
        return _rate(*_wins(positive, both, both_below)), auprc

    def _drawn(self, weights: Weights) -> tuple[Weights, Weights]:
        """`(resamples, values)` drawn images of the class, and drawn images, for each distinct value from the least."""
        both = weights[:, self._group]
        positive = both * self._positive
        if len(self._starts) < both.shape[1]:
            positive = np.add.reduceat(positive, self._starts, axis=1)
            both = np.add.reduceat(both, self._starts, axis=1)
        return positive, both


def _wins(
    positive: Weights, negative: Weights, negative_below: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From how often images of the class were drawn at each value, and of the rest, there and up to there."""
    pairs = positive.sum(1) * negative_below[:, -1]
    return np.einsum("rt,rt->r", positive, negative_below - 0.5 * negative), pairs


def _rate(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))
