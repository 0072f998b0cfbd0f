"""What a run's own validation images allow to say of new ones: sets that hold the class, and thresholds by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.described import number_groups
from cxrfeat.metric.conformal import Conformal, Sets, conformal, coverage_of
from cxrfeat.metric.operating import choose_thresholds, operating_points
from cxrfeat.run.folder import Run
from cxrfeat.run.table import Predictions
from cxrfeat.types import Probabilities

_NAME = re.compile(r"(sensitivity|specificity)[-=](0?\.\d+|1(?:\.0*)?)")
_AGAIN = re.compile(r"repeat [1-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """How a run calls classes at a threshold each, and how that went on its test."""

    name: str
    thresholds: Mapping[str, float]
    """By class, the probability from which on it is called."""
    chosen_on: str
    on_test: Mapping[str, Any]
    """By class, as `metric.operating.operating_points` tells them."""

    def of(self, probabilities: Mapping[str, float]) -> dict[str, bool]:
        """By class, whether its probability reaches the threshold."""
        return {name: probabilities[name] >= least for name, least in self.thresholds.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"name": self.name, "chosen_on": self.chosen_on, "classes": dict(self.on_test)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetsOfRun:
    """Sets of classes for new images, and how they did on the run's test."""

    conformal: Conformal
    calibrated_on: str
    on_test: Mapping[str, Any]
    """As `metric.conformal.coverage_of` tells it."""

    def of(self, probabilities: Probabilities, outside: NDArray[np.bool_]) -> Sets:
        """Which classes cannot be ruled out of images, `(n, classes)`: none of one that is unlike the training images.

        What is promised of sets stays true: a class more never makes a set miss the true one.

        Args:
            probabilities: `(n, classes)`.
            outside: `(n,)` whether an image is unlike those to train on (`head.novelty`).
        """
        return self.conformal.sets(probabilities) | outside[:, None]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "asked": self.conformal.coverage,
            "least_probability": dict(self.conformal.least),
            "groups": dict(self.conformal.groups),
            "calibrated_on": self.calibrated_on,
            "on_test": dict(self.on_test),
        }


def sets_of_run(run: Run, coverage: float, seed: int = 0) -> SetsOfRun:
    """Sets that hold the true class of new patients as often as asked.

    They are learned from the images that validated the run, and their coverage is told of those that tested it. Where
    images were tested in turn, the sets are learned from all of them, and each is judged by those learned from
    the other folds.

    Args:
        run: The run.
        coverage: How often, above 0 and below 1.
        seed: Of the intervals.

    Raises:
        UsageError: If the coverage is no such share.
        InputError: If the run was not validated.
        IntegrityError: If it is damaged.
    """
    if not 0 < coverage < 1:
        raise UsageError(f"`coverage` is a share above 0 and below 1, such as 0.9; got {coverage:g}.")
    told, classes = run.predictions(), run.document.classes
    groups = number_groups(told.groups, told.contents)

    def learned(rows: NDArray[np.intp]) -> Conformal:
        return conformal(told.labels[rows], told.probabilities[rows], groups[rows], classes, coverage)

    rows, tested = _rows(run, told)
    if run.document.itself_tested:
        found = learned(rows)
        sets = found.sets(told.probabilities[tested])
    else:
        found = learned(rows)
        sets = np.empty((len(tested), len(classes)), bool)
        fold = np.array([told.parts[row] for row in tested.tolist()])
        for name in np.unique(fold):
            # Groups stand in one fold, but where sources take turns they may stand in several.
            here = fold == name
            others = ~here & ~np.isin(groups[tested], groups[tested[here]])
            sets[here] = learned(tested[others]).sets(told.probabilities[tested[here]])
    return SetsOfRun(
        conformal=found,
        calibrated_on="validation" if run.document.itself_tested else "the folds",
        on_test=coverage_of(sets, told.labels[tested], groups[tested], classes, seed=seed),
    )


def calling_of_run(run: Run, name: str, seed: int = 0) -> Calling:
    """Thresholds by the name of what they keep to, chosen on the images that validated the run.

    Args:
        run: The run.
        name: `sensitivity-0.95` or `specificity-0.9`, or any other share.
        seed: Of the intervals.

    Raises:
        UsageError: If there is no such name.
        InputError: If the run was not validated.
        IntegrityError: If it is damaged.
    """
    asked = _NAME.fullmatch(name.strip())
    if asked is None or not float(asked[2]):
        raise UsageError(
            f"`threshold` is what to keep to, on validation images: sensitivity-0.9, specificity-0.95 or another share "
            f"above 0; got {name!r}."
        )
    told, classes = run.predictions(), run.document.classes
    groups = number_groups(told.groups, told.contents)
    rows, tested = _rows(run, told)
    target = float(asked[2])
    chosen = choose_thresholds(
        told.labels[rows],
        told.probabilities[rows],
        classes,
        sensitivity=target if asked[1] == "sensitivity" else None,
        specificity=target if asked[1] == "specificity" else None,
    )
    thresholds = {label: threshold for label, threshold in chosen.items() if threshold is not None}
    on_test = operating_points(
        told.labels[tested], told.probabilities[tested], groups[tested], classes, thresholds=thresholds, seed=seed
    )
    return Calling(
        name=f"{asked[1]}-{target:g}",
        thresholds=thresholds,
        chosen_on="validation" if run.document.itself_tested else "these images",
        on_test={label: on_test[label]["at_threshold"] for label in thresholds},
    )


def _rows(run: Run, told: Predictions) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to learn from, and rows that tested, each image once."""
    tested = np.array([row for row in told.tested.tolist() if not _AGAIN.match(told.parts[row])], dtype=np.intp)
    if not run.document.itself_tested:
        return tested, tested
    if not len(told.validated):
        raise InputError(
            f"{run.name} has no validation images, and neither sets of classes nor thresholds can be chosen on its "
            "test. Fit the head again on a split with a validation part."
        )
    return told.validated, tested
