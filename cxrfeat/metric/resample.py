"""The only place that knows how groups are drawn again: the bootstrap's weights, block by block.

Images of one patient are not independent, so whole groups are drawn, with replacement, as many as there are. A draw is
the vector of how often each group came. Source: Field & Welsh 2007, "Bootstrapping clustered data" (the cluster
bootstrap); Davison & Hinkley 1997, section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Groups

Weights = NDArray[np.float64]
"""`(resamples, groups)`: how often each group was drawn; each row sums to the number of groups."""

_BLOCK = 2**16
"""Largest `resamples * columns` held at once, 512 KB of float64: what is made of a block stays in a core's own cache,
and intervals come about twice as fast as with 16 MB."""


def numbered(groups: Groups) -> tuple[Groups, int]:
    """The groups renumbered 0, 1, ... in their own order, and how many there are."""
    names, index = np.unique(groups, return_inverse=True)
    return index.astype(np.int64), len(names)


def weight_blocks(groups: int, images: int, resamples: int, seed: int) -> Iterator[Weights]:
    """Draw the groups `resamples` times, in blocks that stay small however many images there are.

    Example:
        >>> [block.shape for block in weight_blocks(3, 5, 10, seed=0)]
        [(10, 3)]
    """
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(images, groups))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, groups, (rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def expanded(level: float, groups: int) -> float:
    """The level of percentiles that hold the truth as often as `level` says, of a mean over so few groups.

    Percentiles of drawn means are too near by two factors: draws vary by `(n - 1) / n` of what new groups would, and
    what is known of how groups vary is known from these few alone (Student's quantile). With 100 groups or more there
    is hardly a difference.

    Source: Hesterberg 2015, "What teachers should know about the bootstrap", section 3.2 (the expanded percentile
    interval).

    Example:
        >>> [round(expanded(0.95, groups), 3) for groups in (8, 20, 100, 10_000)]
        [0.989, 0.968, 0.954, 0.95]
    """
    from scipy.special import ndtr, stdtrit

    quantile = stdtrit(groups - 1, (1 + level) / 2) * (groups / (groups - 1)) ** 0.5
    return float(2 * ndtr(quantile) - 1)


def percentile_interval(values: NDArray[np.float64], level: float) -> list[float] | None:
    """`[low, high]` that hold the middle `level` of the values; NaN ones are left out, `None` if they are the most."""
    defined = values[~np.isnan(values)]
    if not len(defined) or 2 * len(defined) < len(values):
        return None
    tail = 50 * (1 - level)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return [float(low), float(high)]
