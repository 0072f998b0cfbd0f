"""How a score grows with what is trained on: an inverse power law through a few amounts, and what it says of more.

With n images the error is `c + a n ** -b`: it falls towards c, the faster the larger b. So few points bear no more than
such a curve, and what it says far beyond them is a guess with an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_POINTS = 4
"""Amounts that a curve of three numbers takes to say anything."""

_EXPONENTS = np.linspace(0.05, 2.0, 79)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PowerLaw:
    """Curves of so many draws."""

    floor: NDArray[np.float64]
    """`(draws,)` c: the error that no amount of images takes away."""
    scale: NDArray[np.float64]
    """`(draws,)` a."""
    exponent: NDArray[np.float64]
    """`(draws,)` b."""

    def at(self, amount: float) -> NDArray[np.float64]:
        """`(draws,)` the score with so many images."""
        return np.asarray(1 - self.floor - self.scale * amount**-self.exponent)


def fit_power_law(amounts: Sequence[float], scores: NDArray[np.float64]) -> PowerLaw:
    """Fit by least squares, later points weighing more.

    Args:
        amounts: `(k,)` images, ascending, above 0, at least `LEAST_POINTS`.
        scores: `(draws, k)`, 0 to 1.

    Raises:
        ValueError: If there are fewer amounts.

    Source: Mukherjee et al. 2003, "Estimating dataset size requirements for classifying DNA microarray data", for the
    law; Figueroa et al. 2012, "Predicting sample size required for classification performance", for its weighted fit,
    the j-th of m points by j / m.

    Example:
        >>> n = np.array([50, 100, 200, 400])
        >>> found = fit_power_law(n, 1 - (0.1 + 2 * n ** -0.5)[None])
        >>> [round(float(value[0]), 3) for value in (found.floor, found.scale, found.exponent, found.at(1600))]
        [0.1, 2.0, 0.5, 0.85]
    """
    sizes = np.asarray(amounts, np.float64)
    if len(sizes) < LEAST_POINTS:
        raise ValueError(f"A power law takes at least {LEAST_POINTS} amounts; got {len(sizes)}.")
    error = 1 - np.atleast_2d(scores)
    weight = np.arange(1, len(sizes) + 1) / len(sizes)
    weight /= weight.sum()
    least = np.full(len(error), np.inf)
    best = np.zeros((3, len(error)))
    for exponent in _EXPONENTS:
        x = (sizes / sizes[-1]) ** -exponent
        mean, level = weight @ x, error @ weight
        slope = ((error - level[:, None]) * (x - mean)) @ weight / (weight @ (x - mean) ** 2)
        slope = np.maximum(slope, 0.0)
        floor = level - slope * mean
        # Below 0 no error can fall: then all of it is of the law.
        alone = np.maximum((error * x) @ weight / (weight @ x**2), 0.0)
        slope, floor = np.where(floor < 0, alone, slope), np.maximum(floor, 0.0)
        left = np.square(error - floor[:, None] - slope[:, None] * x) @ weight
        better = left < least - 1e-15
        least = np.where(better, left, least)
        best = np.where(better, np.stack([floor, slope * sizes[-1] ** exponent, np.full(len(error), exponent)]), best)
    return PowerLaw(floor=best[0], scale=best[1], exponent=best[2])
