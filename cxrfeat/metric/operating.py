"""The only place that turns probabilities into yes or no for one class at a time, and says what a yes is worth.

A class is called where its probability is at least a threshold. A threshold chosen on the images that it is then judged
on is optimistic: it fits their chance as well as their truth. Choose it on validation images with `choose_thresholds`,
or say that it was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.resample import numbered, percentile_interval, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import Bearing, is_many, score_interval, variance
from cxrfeat.system.given import nearest
from cxrfeat.types import Groups, Labels, Probabilities

_Values = NDArray[np.float64]
"""Rates, NaN where they do not exist."""


def choose_thresholds(
    y: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    *,
    specificity: float | None = None,
    sensitivity: float | None = None,
) -> dict[str, float | None]:
    """For each class the threshold that keeps to one rate and makes the most of the other, on these images.

    Args:
        y: `(n,)` true class indices, of validation images.
        probabilities: `(n, classes)`, rows summing to 1.
        classes: Class names, in the order of the columns.
        specificity: At least this share of the other classes' images is left alone: the lowest such threshold.
        sensitivity: Or: at least this share of the class's images is called: the highest such threshold.

    Returns:
        `{class: threshold}`, one of the probabilities that occur, or the number just above the largest where only
        calling nothing keeps to the specificity. `None` where the rate to keep to does not exist.

    Raises:
        ValueError: Unless one rate is given, above 0 and at most 1, and the other arguments fit together.

    Source: Zhou, Obuchowski & McClish 2011, section 2.2, for the two rates; the empirical ROC curve of scikit-learn's
    `roc_curve`, whose points these are.

    Example:
        >>> y, p = np.array([0, 0, 1, 1]), np.array([0.9, 0.6, 0.7, 0.2])
        >>> choose_thresholds(y, np.column_stack([p, 1 - p]), ["COVID", "NORMAL"], sensitivity=1.0)["COVID"]
        0.6
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if (specificity is None) == (sensitivity is None):
        raise ValueError("A threshold keeps to a specificity or to a sensitivity: give one of them.")
    _check_target(specificity if sensitivity is None else sensitivity)
    chosen: dict[str, float | None] = {}
    for index, name in enumerate(classes):
        of_class, probability = y == index, probabilities[:, index]
        kept = ~of_class if sensitivity is None else of_class
        if not kept.any():
            chosen[name] = None
            continue
        values = np.unique(probability)
        values = np.append(values, np.nextafter(values[-1], np.inf))
        below = np.searchsorted(np.sort(probability[kept]), values, "left")
        if sensitivity is None:
            chosen[name] = float(values[np.argmax(below / kept.sum() >= specificity)])
        else:
            chosen[name] = float(values[np.flatnonzero((kept.sum() - below) / kept.sum() >= sensitivity)[-1]])
    return chosen


def operating_points(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    *,
    specificity: float = 0.9,
    sensitivity: float = 0.9,
    thresholds: Mapping[str, float] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Sensitivity at a chosen specificity and the reverse, for each class against the rest.

    Without `thresholds` they are chosen on these very images, and the rates are optimistic: somewhat better than the
    same thresholds will do on other images, the more so the fewer images there are. The intervals hold the thresholds
    fixed, so they do not make up for it.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        specificity: To keep to, above 0 and at most 1.
        sensitivity: To keep to, above 0 and at most 1.
        thresholds: `{class: threshold}` chosen on other images; then nothing is chosen here.
        resamples: How often to draw.
        level: Share of the resamples inside an interval.
        seed: Decides the draws; the order of the images does not.

    Returns:
        For each class `at_specificity` and `at_sensitivity`, or with `thresholds` only `at_threshold`, each with
        `threshold`, `sensitivity`, `sensitivity_ci`, `specificity` and `specificity_ci`. A point is `None` where its
        threshold does not exist or is not given, a rate where the class, or the rest, has no images. An interval is
        `None` where fewer than 8 groups bear it, of the class or of the rest; none has no width.

    Raises:
        ValueError: If the arguments do not fit together, or a threshold is of no class or is not finite.

    Source: Zhou, Obuchowski & McClish 2011, section 2.2; Field & Welsh 2007 for drawing whole groups; Clopper & Pearson
    1934 and Korn & Graubard 1998 for few groups or hardly any mistake (`metric.small`).

    Example:
        >>> y, p = np.array([0, 0, 1, 1]), np.array([0.9, 0.6, 0.7, 0.2])
        >>> found = operating_points(y, np.column_stack([p, 1 - p]), np.arange(4), ["COVID", "NORMAL"])
        >>> point = found["COVID"]["at_specificity"]
        >>> point["threshold"], point["sensitivity"], point["specificity"]
        (0.9, 0.5, 1.0)
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if thresholds is None:
        for target in (specificity, sensitivity):
            _check_target(target)
        chosen = {
            "at_specificity": choose_thresholds(y, probabilities, classes, specificity=specificity),
            "at_sensitivity": choose_thresholds(y, probabilities, classes, sensitivity=sensitivity),
        }
    else:
        for name, given in thresholds.items():
            _check_class(name, classes)
            if not math.isfinite(given):
                raise ValueError(f"The threshold of {name} is a number; got {given}.")
        chosen = {"at_threshold": {name: thresholds.get(name) for name in classes}}
    asked = [
        (name, index, point, threshold)
        for point, of in chosen.items()
        for index, name in enumerate(classes)
        if (threshold := of[name]) is not None
    ]
    found: dict[str, Any] = {name: dict.fromkeys(chosen) for name in classes}
    if not asked:
        return found
    called = np.column_stack([probabilities[:, index] >= threshold for _, index, _, threshold in asked])
    truth = np.column_stack([y == index for _, index, _, _ in asked])
    rates = _Rates(called, truth, groups, resamples, level, seed)
    for column, (name, _, point, used) in enumerate(asked):
        found[name][point] = {"threshold": used} | rates.told(column)
    return found


def predictive_values(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    prevalence: Mapping[str, float],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """How often a call is right, and a class not called absent, where the class is as frequent as stated.

    A class is seldom as frequent among test images as among the people a test is used on, and predictive values depend
    on that. These follow from the sensitivity and specificity of the predicted class (the largest probability) by
    Bayes' rule. So they hold where both carry over: patients of the class as ill as those of the test images, and the
    rest the same mixture of the other classes.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        prevalence: `{class: share}`, each between 0 and 1, of the people the test is used on; classes may be left out.
        resamples: How often to draw.
        level: Share of the resamples inside an interval.
        seed: Decides the draws; the order of the images does not.

    Returns:
        For each class of `prevalence`, in the order of `classes`: `prevalence`, and `sensitivity`, `specificity`, `ppv`
        and `npv`, each in [0, 1] or `None` where it does not exist, with `sensitivity_ci`, `specificity_ci`, `ppv_ci`
        and `npv_ci`, from the same resamples. Where sensitivity or specificity has the exact interval of few groups,
        the ends of a predictive value are those of both together, the lower two and the upper two; where one has none,
        it has none.

    Raises:
        ValueError: If the arguments do not fit together, or a prevalence is of no class or not between 0 and 1.

    Source: Altman & Bland 1994, "Diagnostic tests 2: predictive values"; Field & Welsh 2007 for drawing whole groups;
    with few groups `metric.small`, and that both predictive values rise with both rates.

    Example:
        >>> y, p = np.array([0, 0, 1, 1, 1, 1]), np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.1])
        >>> p = np.column_stack([p, 1 - p])
        >>> found = predictive_values(y, p, np.arange(6), ["COVID", "NORMAL"], {"COVID": 0.1})["COVID"]
        >>> found["sensitivity"], found["specificity"], round(found["ppv"], 3), round(found["npv"], 3)
        (0.5, 0.75, 0.182, 0.931)
    """
    y, probabilities = checked(y, probabilities, len(classes))
    check_prevalence(prevalence, classes)
    asked = [index for index, name in enumerate(classes) if name in prevalence]
    if not asked:
        return {}
    called, truth = probabilities.argmax(1)[:, None] == asked, y[:, None] == asked
    rates = _Rates(called, truth, groups, resamples, level, seed)
    return {
        classes[index]: {"prevalence": float(prevalence[classes[index]])}
        | rates.told(column)
        | rates.worth(column, prevalence[classes[index]])
        for column, index in enumerate(asked)
    }


def check_prevalence(prevalence: Mapping[str, float], classes: Sequence[str]) -> None:
    """Make sure that every prevalence is of a class and lies between 0 and 1.

    Raises:
        ValueError: If one does not; the message names it.

    Example:
        >>> check_prevalence({"Covid": 0.1}, ["COVID", "NORMAL"])
        Traceback (most recent call last):
        ...
        ValueError: There is no class 'Covid'. Did you mean COVID? The classes are COVID, NORMAL.
    """
    for name, share in prevalence.items():
        _check_class(name, classes)
        if not 0 < share < 1:
            raise ValueError(f"The prevalence of {name} is a share between 0 and 1, such as 0.1; got {share}.")


def _check_class(name: str, classes: Sequence[str]) -> None:
    if name in classes:
        return
    raise ValueError(f"There is no class {name!r}.{nearest(name, classes)} The classes are {', '.join(classes)}.")


def _check_target(rate: float | None) -> None:
    if rate is None or not 0 < rate <= 1:
        raise ValueError(f"A sensitivity or specificity to keep to is above 0 and at most 1; got {rate}.")


class _Rates:
    """Sensitivity and specificity of some yes-or-no questions, each a column, as observed and resampled."""

    def __init__(
        self,
        called: NDArray[np.bool_],
        truth: NDArray[np.bool_],
        groups: Groups,
        resamples: int,
        level: float,
        seed: int,
    ) -> None:
        if np.shape(groups) != truth.shape[:1]:
            raise ValueError(f"Groups of {len(truth)} images; got shape {np.shape(groups)}.")
        if not 0 < level < 1 or resamples < 1:
            raise ValueError(f"A level between 0 and 1 and at least one resample; got {level} and {resamples}.")
        self.level = level
        group, count = numbered(groups)
        columns = truth.shape[1]
        tallies = np.column_stack([called & truth, ~called & ~truth, truth, ~truth]).astype(np.float64)
        sums = np.zeros((count, 4 * columns))
        np.add.at(sums, group, tallies)
        blocks = weight_blocks(count, len(truth), resamples, seed) if count >= LEAST_GROUPS else ()
        drawn = np.concatenate([np.zeros((0, 4 * columns)), *(weights @ sums for weights in blocks)])
        self._bearing = [Bearing.of(sizes) for sizes in sums[:, 2 * columns :].T]
        self._observed, self._drawn = (
            _ratio(told[..., : 2 * columns], told[..., 2 * columns :]) for told in (sums.sum(0), drawn)
        )  # sensitivities, then specificities
        self._columns = columns

    def told(self, column: int) -> dict[str, Any]:
        """Both rates of one column with their intervals."""
        found: dict[str, Any] = {}
        for name, place in (("sensitivity", column), ("specificity", self._columns + column)):
            value = float(self._observed[place])
            found[name] = None if math.isnan(value) else value
            found[f"{name}_ci"] = score_interval(self._drawn[:, place], value, self._bearing[place], self.level)
        return found

    def worth(self, column: int, prevalence: float) -> dict[str, Any]:
        """Both predictive values of one column with their intervals."""
        places = (column, self._columns + column)
        values = _bayes(self._observed[places[0]], self._observed[places[1]], prevalence)
        drawn = _bayes(self._drawn[:, places[0]], self._drawn[:, places[1]], prevalence)
        told = self.told(column)
        of_sensitivity, of_specificity = told["sensitivity_ci"], told["specificity_ci"]
        found: dict[str, Any] = {}
        for which, name in enumerate(("ppv", "npv")):
            value = float(values[which])
            found[name] = None if math.isnan(value) else value
            found[f"{name}_ci"] = None
            if found[name] is None or of_sensitivity is None or of_specificity is None:
                continue
            if all(map(self._is_many, places)):
                found[f"{name}_ci"] = percentile_interval(drawn[which], self.level)
            else:
                corners = zip(np.array(of_sensitivity), np.array(of_specificity), strict=True)
                found[f"{name}_ci"] = [float(_bayes(*corner, prevalence)[which]) for corner in corners]
        return found

    def _is_many(self, place: int) -> bool:
        spread = variance(self._drawn[:, place])
        return spread is not None and is_many(float(self._observed[place]), spread, self._bearing[place], self.level)


def _bayes(sensitivity: _Values, specificity: _Values, prevalence: float) -> tuple[_Values, _Values]:
    """Positive and negative predictive value."""
    true_calls, false_calls = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    passed, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return _ratio(true_calls, true_calls + false_calls), _ratio(passed, passed + missed)


def _ratio(above: _Values, below: _Values) -> _Values:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0))
