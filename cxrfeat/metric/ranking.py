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
        self._group = group[order]
        ordered, positive = probability[order], np.flatnonzero(of_class[order])
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])[: len(order)]  # of each run of equal values
        run = np.searchsorted(starts, positive, "right") - 1
        first = np.flatnonzero(np.r_[True, run[1:] != run[:-1]])[: len(run)]
        # Only at values that an image of the class has is anything to be added; mostly these are few.
        self._own, self._first = self._group[positive], first
        self._below, self._through = starts[run[first]], np.r_[starts, len(order)][run[first] + 1]

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """`(resamples,)` chance that a drawn image of the class outranks one of the rest, ties counted half.

        Source: Hanley & McNeil 1982.
        """
        return _rate(*self.wins(weights))

    def wins(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` how often an image of the class outranks one of the rest, and the number of such pairs."""
        return _wins(*self._drawn(weights))

    def auroc_and_auprc(self, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`(resamples,)` AUROC, and the average precision: precision at each probability, weighted by recall gained.

        Source: Hanley & McNeil 1982; Zhu 2004 and scikit-learn's `average_precision_score`, ties taken together.
        """
        positive, positive_through, both_below, both_through, everything = self._drawn(weights)
        positives = positive.sum(axis=1)
        precision = positives[:, None] - positive_through + positive
        called = everything[:, None] - both_below
        np.divide(precision, called, out=precision, where=called > 0)  # else nothing is called, nor positive
        auprc = _rate(np.einsum("rt,rt->r", positive, precision), positives)
        return _rate(*_wins(positive, positive_through, both_below, both_through, everything)), auprc

    def _drawn(self, weights: Weights) -> tuple[Weights, Weights, Weights, Weights, NDArray[np.float64]]:
        """How many images were drawn, at each value that one of the class has, from the least.

        Returns:
            `(resamples, values)` of the class there, of it up to there, of all below, and of all up to there; and
            `(resamples,)` of all.
        """
        below = np.zeros((len(weights), len(self._group) + 1))  # of all, before each place
        np.cumsum(np.take(weights, self._group, axis=1), axis=1, out=below[:, 1:])
        positive = np.take(weights, self._own, axis=1)
        if len(self._first) < len(self._own):
            positive = np.add.reduceat(positive, self._first, axis=1)
        both_below, both_through = np.take(below, self._below, axis=1), np.take(below, self._through, axis=1)
        return positive, np.cumsum(positive, axis=1), both_below, both_through, below[:, -1]


def _wins(
    positive: Weights,
    positive_through: Weights,
    both_below: Weights,
    both_through: Weights,
    everything: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From what was drawn, as `Ranked._drawn` gives it."""
    positives = positive.sum(axis=1)
    # Twice the rest below, ties counted half: those below and those up to there.
    twice = both_below + both_through - 2 * positive_through + positive
    return 0.5 * np.einsum("rt,rt->r", positive, twice), positives * (everything - positives)


def _rate(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0))
