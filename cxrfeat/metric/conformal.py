"""The only place that makes sets of classes which hold the true one as often as is asked for: conformal prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.resample import numbered
from cxrfeat.metric.score import checked
from cxrfeat.metric.share import share_over_groups
from cxrfeat.types import Groups, Labels, Probabilities

Sets = NDArray[np.bool_]
"""`(n, classes)`: whether a class is in the set of an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformal:
    """From which probability on each class is in the set of an image."""

    classes: tuple[str, ...]
    coverage: float
    """How often sets shall hold the true class, of new patients of each class."""
    least: Mapping[str, float]
    """By class, the least probability at which it is in the set; 0 where the patients are too few to leave it out."""
    groups: Mapping[str, int]
    """By class, the patients or groups that decided."""

    def sets(self, probabilities: Probabilities) -> Sets:
        """Which classes are in the set of each image."""
        return np.asarray(probabilities >= np.array([self.least[name] for name in self.classes]))


def conformal(
    y: Labels, probabilities: Probabilities, groups: Groups, classes: Sequence[str], coverage: float = 0.9
) -> Conformal:
    """Learn from patients whom a head was not trained on which classes cannot be ruled out.

    A class is in the set of an image unless its probability is smaller than is usual among images of the class. Of new
    patients like these, the set of an image holds its class at least as often as asked, for each class by itself,
    whatever the head and however its probabilities are off.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`.
        groups: `(n,)` group indices. Patients are what is alike, not images: each counts once, its images in equal
            parts.
        classes: Class names, in the order of the columns.
        coverage: How often, above 0 and below 1.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a random world", section 4.5, for conformal
    predictors that hold for each class (Mondrian), split as Papadopoulos et al. 2002; Dunn, Wasserman & Ramdas 2023,
    "Distribution-free prediction sets for two-layer hierarchical models", section 3.1, for patients with several images
    (pooled distribution functions).

    Example:
        >>> y = np.repeat([0, 1], 19)
        >>> p = np.r_[np.linspace(0.1, 1, 19), np.linspace(0.9, 0, 19)]  # of class 0
        >>> found = conformal(y, np.column_stack([p, 1 - p]), np.arange(38), ["COVID", "NORMAL"])
        >>> {name: round(least, 2) for name, least in found.least.items()}  # the 18th of 19 patients, from above
        {'COVID': 0.15, 'NORMAL': 0.15}
    """
    y, probabilities = checked(y, probabilities, len(classes))
    if not 0 < coverage < 1:
        raise ValueError(f"Sets hold the true class in a share of cases between 0 and 1; got {coverage}.")
    least, counts = {}, {}
    for index, name in enumerate(classes):
        ours = np.flatnonzero(y == index)
        group, count = numbered(np.asarray(groups)[ours])
        weights = 1 / np.bincount(group)[group] if count else np.empty(0)
        order = np.argsort(-probabilities[ours, index], kind="stable")
        held = np.cumsum(weights[order])
        # The new patient counts as one more, of whom nothing is known: hence the + 1.
        enough = np.flatnonzero(held >= coverage * (count + 1) - 1e-9)
        least[name] = float(probabilities[ours[order[enough[0]]], index]) if len(enough) else 0.0
        counts[name] = count
    return Conformal(classes=tuple(classes), coverage=coverage, least=least, groups=counts)


def coverage_of(sets: Sets, y: Labels, groups: Groups, classes: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """How often sets hold the true class, and how much they say.

    Args:
        sets: Of each image.
        y: `(n,)` true class indices.
        groups: `(n,)` group indices.
        classes: Class names, in the order of the columns.
        seed: Of the intervals.

    Returns:
        `coverage` and `coverage_ci` over all images; `coverage_per_class` and its `_ci`; `size`, the mean number of
        classes in a set; `single`, `several`, `all` and `none`, shares of sets with one class, with several but not
        all, with all and with none; `images` and `groups`.

    Example:
        >>> sets = np.eye(2, dtype=bool)[[0, 1, 1]]
        >>> found = coverage_of(sets, np.array([0, 1, 0]), np.arange(3), ["COVID", "NORMAL"])
        >>> round(found["coverage"], 3), found["single"], found["coverage_ci"]
        (0.667, 1.0, None)
    """
    held = sets[np.arange(len(y)), y]
    size = sets.sum(axis=1)
    share, ends = share_over_groups(held, groups, seed=seed)
    of_class = {
        name: share_over_groups(held[y == index], groups[y == index], seed=seed) for index, name in enumerate(classes)
    }
    several = (size > 1) & (size < len(classes))
    return {
        "coverage": share,
        "coverage_ci": ends,
        "coverage_per_class": {name: one for name, (one, _) in of_class.items()},
        "coverage_per_class_ci": {name: one for name, (_, one) in of_class.items()},
        "size": float(size.mean()),
        "single": float((size == 1).mean()),
        "several": float(several.mean()),
        "all": float((size == len(classes)).mean()),
        "none": float((size == 0).mean()),
        "images": len(y),
        "groups": len(np.unique(groups)),
    }
