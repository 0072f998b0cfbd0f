"""The only place that asks whether probabilities carry over to other patients, and mends them on some of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.calibrate import log_softmax, softmax
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered
from cxrfeat.metric.score import checked
from cxrfeat.types import Groups, Labels, Probabilities

_LEAST = 1e-9
"""Probabilities are taken to be this far from 0 and 1 at least: no head is surer than that."""
_STEPS, _LONGEST, _FLAT = 100, 2.0, 1e-10
"""Newton steps, the longest of them, and the mean slope of the likelihood up to which its summit is reached."""


def calibration_lines(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    *,
    level: float = 0.95,
) -> dict[str, Any]:
    """Calibration slope and intercept of each class against the rest.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices; images of one group are taken to be alike.
        classes: Class names, in the order of the columns.
        level: How often an interval shall hold the truth.

    Returns:
        By class `slope`, that of the log odds of the class on those the model gives: 1 where they are right, below 1
        where the model is too sure, 0 where it knows nothing; `intercept`, by how much the log odds are too low where
        the slope is left at 1: above 0, the class is more frequent than the model thinks. And `slope_ci` and
        `intercept_ci`. `None` where the class or the rest is missing, or no mistake is made; an interval also where
        fewer than 8 groups bear it.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Cox 1958, "Two further applications of a model for binary regression"; Van Calster et al. 2019,
    "Calibration: the Achilles heel of predictive analytics", for the two numbers; Liang & Zeger 1986, equation 7, for
    the variance over groups, with Student's quantile for what few of them tell.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.uniform(0.05, 0.95, 4000)
        >>> y = (rng.uniform(size=4000) > p).astype(int)  # right by construction
        >>> found = calibration_lines(y, np.column_stack([p, 1 - p]), np.arange(4000), ["COVID", "NORMAL"])
        >>> found["slope_ci"]["COVID"][0] < 1 < found["slope_ci"]["COVID"][1]
        True
    """
    y, probabilities = checked(y, probabilities, len(classes))
    group, count = numbered(groups)
    found: dict[str, dict[str, Any]] = {"slope": {}, "slope_ci": {}, "intercept": {}, "intercept_ci": {}}
    for index, name in enumerate(classes):
        of_class = y == index
        clipped = np.clip(probabilities[:, index], _LEAST, 1 - _LEAST)
        odds = np.log(clipped) - np.log1p(-clipped)
        bearing = min(len(np.unique(group[side])) for side in (of_class, ~of_class))
        apart = not bearing or odds[of_class].min() >= odds[~of_class].max()
        for what, columns, shift in (
            ("slope", np.column_stack([odds, np.ones(len(y))]), np.zeros(len(y))),
            ("intercept", np.ones((len(y), 1)), odds),
        ):
            told = (
                None if not bearing or (apart and what == "slope") else _fitted(columns, shift, of_class, group, count)
            )
            found[what][name] = None if told is None else told[0]
            wide = _quantile(bearing, level)
            known = told is not None and bearing >= LEAST_GROUPS
            found[f"{what}_ci"][name] = [told[0] - wide * told[1], told[0] + wide * told[1]] if told and known else None
    return found


def _quantile(bearing: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(1, bearing - 1), (1 + level) / 2))


def _fitted(
    columns: NDArray[np.float64], shift: NDArray[np.float64], of_class: NDArray[np.bool_], group: Groups, groups: int
) -> tuple[float, float] | None:
    """The first coefficient of a logistic regression and its standard error over groups; `None` if there is none.

    Args:
        columns: `(n, k)`.
        shift: `(n,)` log odds that are added as they are.
        of_class: `(n,)`, what is predicted.
        group: `(n,)`, from 0.
        groups: How many.
    """
    at = np.zeros(columns.shape[1])
    at[0] = 1.0 if len(at) > 1 else 0.0
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(columns @ at + shift, -500, 500)))
        short = columns * (of_class - chance)[:, None]
        bent = columns.T @ (columns * (chance * (1 - chance))[:, None])
        uphill = short.sum(axis=0)
        if np.abs(uphill).max() <= _FLAT * len(columns) * np.abs(columns).max():
            break
        try:
            step = np.linalg.solve(bent, uphill)
        except np.linalg.LinAlgError:
            return None
        at = at + step * min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
    else:
        return None
    of_groups = np.zeros((groups, len(at)))
    np.add.at(of_groups, group, short)
    try:
        inverse = np.linalg.inv(bent)
    except np.linalg.LinAlgError:
        return None
    spread = inverse @ (of_groups.T @ of_groups) @ inverse * groups / max(1, groups - 1)
    return float(at[0]), float(np.sqrt(spread[0, 0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """One slope, and a shift of each class, of the logarithms of probabilities."""

    slope: float
    shifts: tuple[float, ...]
    """In the order of the classes; they sum to 0."""

    def of(self, probabilities: Probabilities) -> Probabilities:
        """The probabilities, mended."""
        logs = np.log(np.maximum(probabilities, _LEAST))
        return softmax(self.slope * logs + np.array(self.shifts))


def recalibrate(y: Labels, probabilities: Probabilities) -> Recalibration:
    """What makes probabilities fit some patients best: those of an outside set, or of a new hospital.

    Args:
        y: `(n,)` true class indices; of every class some.
        probabilities: `(n, classes)`, rows summing to 1.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Steyerberg et al. 2004, "Validation and updating of predictive logistic regression models", method 3 (one
    slope and new intercepts), for several classes as Alexandari, Kundaje & Shrikumar 2020, section 3 (bias-corrected
    temperature scaling). A little weight holds slope and shifts where all are told without a mistake.

    Example:
        >>> y, p = np.array([0, 0, 0, 1]), np.tile([0.5, 0.5], (4, 1))
        >>> recalibrate(y, p).of(p)[0].round(2).tolist()
        [0.75, 0.25]
    """
    from scipy.optimize import minimize

    y, probabilities = checked(y, probabilities, np.shape(probabilities)[-1])
    logs = np.log(np.maximum(probabilities, _LEAST))
    targets = np.eye(logs.shape[1])[y]

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = at[0] * logs + at[1:]
        short = (softmax(z) - targets) / len(y)
        held = 1e-4 * np.r_[at[0] - 1, at[1:]]
        value = -float(log_softmax(z)[np.arange(len(y)), y].mean()) + 0.5e-4 * float(
            np.square(np.r_[at[0] - 1, at[1:]]).sum()
        )
        return value, np.r_[(short * logs).sum(), short.sum(axis=0)] + held

    start = np.r_[1.0, np.zeros(logs.shape[1])]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), *[(None, None)] * logs.shape[1]])
    shifts = found.x[1:] - found.x[1:].mean()
    return Recalibration(slope=float(found.x[0]), shifts=tuple(float(shift) for shift in shifts))
