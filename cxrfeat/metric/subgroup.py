"""The only place that says how a class is told apart in parts of the images, and whether two parts really differ.

The parts are of one test and share its draws, so a patient with images in both counts in both. A gap is that of two
parts of which each figure has an interval; its own interval and p follow from these (`small.difference_interval`), not
from percentiles of draws: corrected for many pairs, a p must reach below what 2000 draws can show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.calibrate import ECE_BINS, confidence_bins
from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import Weights, numbered, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import (
    Bearing,
    Interval,
    correlation,
    difference_interval,
    p_value,
    score_interval,
    share_interval,
    sum_of_sizes_interval,
    variance,
)
from cxrfeat.types import Groups, Labels, Probabilities

FIGURES = ("prevalence", "sensitivity", "specificity", "auroc", "ece")
"""What is reported of each subgroup, in this order."""

_TOLD = 0.99
"""Level up to which draws tell how far a calibration error varies; its distances beyond grow as normal ones do, which
is too fast for a sum of sizes, and so on the safe side."""


def subgroup_figures(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    member: NDArray[np.int64],
    subgroups: int,
    of: int,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How one class is told from the rest in each subgroup, and how far each two subgroups are apart.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1; an image is called what is most probable.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        member: `(n,)` the subgroup of each image, from 0; a group may stand in several.
        subgroups: How many there are, empty ones among them.
        of: Index of the class.
        resamples: How often to draw.
        level: How often an interval shall hold the truth.
        seed: Decides the draws; the order of the images does not.

    Returns:
        For each subgroup `images`, `groups`, each of `FIGURES` (`None` where it does not exist) with its `_ci` (`None`
        where too little bears it), and `small`, whether any of these lacks. The calibration error, `ece`, is that of
        the class's own probability: the mean over images of how far, in their bin of it, the share of the class is from
        the mean probability. For each figure and two subgroups that have an interval of it: `figure`; `high` and `low`,
        their numbers; `difference`, 0 or more; `ci`; and `p`, two-sided and not corrected.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: intervals as in `metric.small`; Zou & Donner 2008 for those of a difference; Nixon et al. 2019, section 3,
    for the calibration error of one class, after Guo et al. 2017.

    Example:
        >>> y = np.arange(40) % 2
        >>> found, gaps = subgroup_figures(y, np.eye(2)[y], np.arange(40), np.arange(40) // 20, 2, 1)
        >>> found[0]["sensitivity"], [round(end, 3) for end in found[0]["sensitivity_ci"]]  # 10 of 10
        (1.0, [0.692, 1.0])
        >>> gaps[1]["figure"], gaps[1]["difference"], [round(end, 3) for end in gaps[1]["ci"]]
        ('sensitivity', 0.0, [-0.308, 0.308])
    """
    y, probabilities = checked(y, probabilities, np.shape(probabilities)[-1])
    if np.shape(groups) != y.shape or np.shape(member) != y.shape:
        raise ValueError(f"A group and a subgroup of {len(y)} images; got {np.shape(groups)} and {np.shape(member)}.")
    group, count = numbered(groups)
    of_class, called, probability = y == of, probabilities.argmax(1) == of, probabilities[:, of]
    parts = [
        _Part(of_class[rows], called[rows], probability[rows], group[rows], count)
        for rows in (np.flatnonzero(member == index) for index in range(subgroups))
    ]
    told = [[part.figures(weights) for part in parts] for weights in weight_blocks(count, len(y), resamples, seed)]
    found, known = [], []
    for index, part in enumerate(parts):
        observed = {name: value[0] for name, value in part.figures(np.ones((1, count))).items()}
        drawn = {name: np.concatenate([block[index][name] for block in told]) for name in FIGURES}
        each = {name: _figure(name, observed[name], drawn[name], part.bearings[name]) for name in FIGURES}
        row: dict[str, Any] = {"images": part.images, "groups": int(np.count_nonzero(part.sizes))}
        for name, figure in each.items():
            row |= {name: figure.value, f"{name}_ci": figure.interval(level)}
        found.append(row | {"small": any(row[f"{name}_ci"] is None for name in FIGURES)})
        known.append(each)
    gaps = [
        {"figure": name, **_gap(index, other, known[index][name], known[other][name], level, shared=shared)}
        for index, other in combinations(range(subgroups), 2)
        for shared in [bool(np.any((parts[index].sizes > 0) & (parts[other].sizes > 0)))]
        for name in FIGURES
        if found[index][f"{name}_ci"] is not None and found[other][f"{name}_ci"] is not None
    ]
    return found, sorted(gaps, key=lambda gap: FIGURES.index(gap["figure"]))


class _Part:
    """What is counted once of the images of a subgroup, group by group."""

    def __init__(
        self,
        of_class: NDArray[np.bool_],
        called: NDArray[np.bool_],
        probability: NDArray[np.float64],
        group: Groups,
        groups: int,
    ) -> None:
        def per_group(images: NDArray[np.bool_]) -> NDArray[np.float64]:
            return np.bincount(group[images], minlength=groups).astype(np.float64)

        self.images = len(of_class)
        self.sizes = per_group(np.ones(self.images, bool))
        ours, theirs = per_group(of_class), per_group(~of_class)
        order = np.argsort(probability, kind="stable")  # adding in order of size, the order of images changes no bit
        cell = (group * ECE_BINS + confidence_bins(probability))[order]
        above = np.bincount(cell, (of_class - probability)[order], minlength=groups * ECE_BINS)
        counted = (self.sizes, ours, theirs, per_group(of_class & called), per_group(~of_class & ~called))
        self._counts = np.column_stack([*counted, above.reshape(groups, ECE_BINS)])
        both = of_class.any() and not of_class.all()
        self._ranked = Ranked(of_class, probability, group) if both else None
        every = Bearing.of(self.sizes)
        of, rest = Bearing.of(ours), Bearing.of(theirs)
        self.bearings = {
            "prevalence": every,
            "sensitivity": of,
            "specificity": rest,
            "auroc": Bearing.against(of, rest),
            "ece": every,
        }

    def figures(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """Every figure of every resample, `(resamples,)`, NaN where it does not exist; `ece` bin by bin, signed."""
        sums = weights @ self._counts
        sizes, ours, theirs, hits, passed = sums[:, :5].T
        return {
            "prevalence": _rate(ours, sizes),
            "sensitivity": _rate(hits, ours),
            "specificity": _rate(passed, theirs),
            "auroc": np.full(len(weights), np.nan) if self._ranked is None else self._ranked.auroc(weights),
            "ece": _rate(sums[:, 5:], sizes[:, None]),
        }


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of a subgroup, and how it varies in draws."""

    value: float | None
    interval: Callable[[float], Interval]
    """At a level, as it is shown."""
    ends: Callable[[float], list[float]]
    """At any level, where there is an interval: what those of differences are made of."""
    drawn: NDArray[np.float64] | None
    """`(resamples,)`, NaN where it does not exist; `None` where draws do not say how two of its kind go together."""
    bearing: Bearing


def _figure(name: str, observed: Any, drawn: NDArray[np.float64], bearing: Bearing) -> _Figure:  # noqa: ANN401  # of a part
    if name == "ece":
        return _of_sizes(observed, drawn[~np.isnan(drawn).any(1)], bearing)
    spread = variance(drawn) or 0.0
    return _Figure(
        value=None if np.isnan(observed) else float(observed),
        interval=lambda level: score_interval(drawn, float(observed), bearing, level),
        ends=lambda level: share_interval(float(observed), spread, bearing, level),
        drawn=drawn,
        bearing=bearing,
    )


def _of_sizes(observed: NDArray[np.float64], drawn: NDArray[np.float64], bearing: Bearing) -> _Figure:
    """A calibration error, from the signed gap of each bin."""
    value = None if np.isnan(observed).any() else min(1.0, float(np.abs(observed).sum()))

    def interval(level: float) -> Interval:
        return None if value is None else sum_of_sizes_interval(drawn, observed, bearing, level)

    def ends(level: float) -> list[float]:
        from scipy.special import ndtri

        found = interval(min(level, _TOLD))
        assert value is not None, "only figures with an interval are set against each other"
        assert found is not None, "only figures with an interval are set against each other"
        if level <= _TOLD:
            return found
        further = float(ndtri((1 + level) / 2) / ndtri((1 + _TOLD) / 2))
        return [max(0.0, value - further * (value - found[0])), min(1.0, value + further * (found[1] - value))]

    return _Figure(value=value, interval=interval, ends=ends, drawn=None, bearing=bearing)


def _gap(index: int, other: int, a: _Figure, b: _Figure, level: float, *, shared: bool) -> dict[str, Any]:
    assert a.value is not None, "only figures with an interval are set against each other"
    assert b.value is not None, "only figures with an interval are set against each other"
    if a.value < b.value:
        return _gap(other, index, b, a, level, shared=shared)
    one, two, together = a.value, b.value, 0.0
    if shared and a.drawn is not None and b.drawn is not None:
        together = correlation(a.drawn, b.drawn, Bearing.weakest([a.bearing, b.bearing]))

    def interval(level: float) -> list[float]:
        return difference_interval(one, a.ends(level), two, b.ends(level), together)

    p = p_value(interval) if one > two else 1.0
    return {"high": index, "low": other, "difference": one - two, "ci": interval(level), "p": min(p, 1.0)}


def _rate(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    above, below = np.broadcast_arrays(above, below)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))
