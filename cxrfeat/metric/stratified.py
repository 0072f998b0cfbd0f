"""The AUROC within strata: of two images of one stratum, one of a kind and one not, how often the right one is higher.

What tells strata apart, such as the hospital, is then no help, and scores of different strata are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights
from cxrfeat.metric.small import Bearing
from cxrfeat.types import Groups


@dataclass(frozen=True, slots=True, eq=False)
class Stratified:
    """Images of several strata, ranked within each, ready for any number of resamples.

    Source: Janes & Pepe 2009, "Adjusting for covariate effects on classification accuracy using the covariate-adjusted
    ROC curve"; each stratum counts by its pairs.
    """

    bearing: Bearing
    """What the figure rests on: each stratum as much as the share of the pairs that it has."""
    ranked: tuple[Ranked, ...]
    """Of each stratum with both kinds."""

    @classmethod
    def of(
        cls, kind: NDArray[np.bool_], score: NDArray[np.float64], group: Groups, groups: int, strata: NDArray[np.int64]
    ) -> Stratified:
        """Rank.

        Args:
            kind: `(n,)` whether an image is of the kind.
            score: `(n,)` what images are ranked by, the kind high.
            group: `(n,)` group indices from 0.
            groups: How many there are, those of no image here among them.
            strata: `(n,)` a number for each stratum, -1 for images that are not judged.
        """
        present = [strata == code for code in np.unique(strata[strata >= 0])]
        both = [rows for rows in present if kind[rows].any() and not kind[rows].all()]
        kinds = [
            [Bearing.of(np.bincount(group[rows & one], minlength=groups)) for one in (kind, ~kind)] for rows in both
        ]
        pairs = [ours.images * theirs.images for ours, theirs in kinds]
        of_strata = [Bearing.against(*one).units for one in kinds]
        spread = sum((of / sum(pairs)) ** 2 / units for of, units in zip(pairs, of_strata, strict=True))
        held = np.any(both, axis=0) if both else np.zeros(len(kind), bool)
        sides = [held & one for one in (kind, ~kind)]
        bearing = Bearing(
            groups=min(len(np.unique(group[rows])) for rows in sides),
            units=1 / spread if spread else 0.0,
            images=float(held.sum()),
        )
        return cls(bearing, tuple(Ranked(kind[rows], score[rows], group[rows]) for rows in both))

    def auroc(self, weights: Weights) -> NDArray[np.float64]:
        """Wins over pairs, both summed over the strata, `(resamples,)`; NaN where there is no pair."""
        wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for stratum in self.ranked:
            won, there = stratum.wins(weights)
            wins += won
            pairs += there
        rates = np.full(len(weights), np.nan)
        np.divide(wins, pairs, out=rates, where=pairs > 0)
        return rates
