"""The only place that says by how much a model scores otherwise on another hospital's images than on its own test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.metric.small import difference_interval

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "brier", "log_loss", "ece")
"""Scores of all images."""

BY_CLASS = ("sensitivity", "specificity", "precision", "auroc_per_class", "auprc_per_class")
"""Scores of each class."""


def gap(
    inside: Mapping[str, Any],
    outside: Mapping[str, Any],
    figures: Sequence[str] = FIGURES,
    by_class: Sequence[str] = BY_CLASS,
) -> dict[str, Any]:
    """Every score elsewhere less the same at home: below 0, it is less elsewhere.

    The two are of different patients, so nothing is paired. Each score brings the interval that drawing its own groups
    again gave, or the exact one of few (`metric.interval`), and the interval of the difference is made of both.

    Args:
        inside: Scores of the own test with their intervals, as `score.scores` and `interval.bootstrap` give them.
        outside: Those of the other images, of the same classes.
        figures: Names of scores of all images.
        by_class: Names of scores of each class.

    Returns:
        For each of `figures` its difference and under `<name>_ci` its `[low, high]`; for each of `by_class` the same by
        class. `None` where a score, or an interval, is missing on either side.

    Source: Zou & Donner 2008 for the interval of a difference of independent estimates (the MOVER).

    Example:
        >>> at_home = {"accuracy": 0.9, "accuracy_ci": [0.85, 0.94]}
        >>> one = gap(at_home, {"accuracy": 0.7, "accuracy_ci": [0.62, 0.77]})
        >>> round(one["accuracy"], 3), [round(end, 3) for end in one["accuracy_ci"]], one["auroc"]
        (-0.2, [-0.289, -0.114], None)
    """
    found: dict[str, Any] = {}
    for name in figures:
        found[name], found[f"{name}_ci"] = _difference(
            (inside.get(name), inside.get(f"{name}_ci")), (outside.get(name), outside.get(f"{name}_ci"))
        )
    for name in by_class:
        found[name], found[f"{name}_ci"] = {}, {}
        for label in inside.get(name, ()):
            sides = (
                (side[name].get(label), (side.get(f"{name}_ci") or {}).get(label)) if name in side else (None, None)
                for side in (inside, outside)
            )
            found[name][label], found[f"{name}_ci"][label] = _difference(*sides)
    return found


def _difference(inside: tuple[Any, Any], outside: tuple[Any, Any]) -> tuple[float | None, list[float] | None]:
    (home, of_home), (away, of_away) = inside, outside
    if home is None or away is None:
        return None, None
    if of_home is None or of_away is None:
        return away - home, None
    return away - home, difference_interval(away, of_away, home, of_home, 0.0)
