"""How many patients an interval of a wanted width would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cxrfeat.metric.drawn import DrawnScore
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.small import score_interval, share_interval, variance

_MOST = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one score would take."""

    score: str
    label: str | None
    """The class that it is of; `None` of all."""
    value: float
    ci: tuple[float, float]
    """Now."""
    patients: int
    """Tested now."""
    needed: int
    """Patients to test, classes in the same proportions."""


def patients_for(scores: Sequence[DrawnScore], groups: int, width: float, *, level: float = 0.95) -> list[Wanted]:
    """How many patients must be tested for intervals of a width, if they vary as those that were.

    Args:
        scores: Of the test images.
        groups: Patients that they are of.
        width: From the lower to the upper end, above 0 and below 1.
        level: How often an interval shall hold the truth.

    Returns:
        Of each score that has an interval now; of patients by the hundreds the exact interval is wider than it need be.

    Source: as the intervals of `metric.small`, with so many times the patients; Korn & Graubard 1998 for what clustered
    images are worth.

    Example:
        >>> import numpy as np
        >>> from cxrfeat.metric.drawn import drawn_scores
        >>> y = np.arange(100) % 2
        >>> p = np.eye(2)[np.where(np.arange(100) < 80, y, 1 - y)]
        >>> wanted = patients_for(drawn_scores(y, p, np.arange(100), ["A", "B"]), 100, 0.08)
        >>> wanted[0].score, 350 < wanted[0].needed < 450
        ('accuracy', True)
    """
    found = []
    for one in scores:
        spread = variance(one.drawn)
        now = score_interval(one.drawn, one.observed, one.bearing, level)
        if now is None or spread is None:
            continue
        held, missed = 0, _MOST  # the last number that is too small, and the first that is enough
        while missed - held > 1:
            middle = (held + missed) // 2
            held, missed = (held, middle) if _width(one, spread, groups, middle, level) <= width else (middle, missed)
        found.append(
            Wanted(
                score=one.name,
                label=one.label,
                value=one.observed,
                ci=(now[0], now[1]),
                patients=groups,
                needed=missed,
            )
        )
    return found


def _width(one: DrawnScore, spread: float, groups: int, wanted: int, level: float) -> float:
    """Of the interval of a score, if so many patients were tested."""
    times = wanted / groups
    bearing = replace(one.bearing, units=one.bearing.units * times, images=one.bearing.images * times)
    if one.bearing.groups * times < LEAST_GROUPS:
        return 1.0
    low, high = share_interval(one.observed, spread / times, bearing, level)
    return high - low
