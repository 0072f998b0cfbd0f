"""Scores of patients drawn again, kept draw by draw: what says how they would vary, and go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.metric.ranking import Ranked
from cxrfeat.metric.resample import numbered, weight_blocks
from cxrfeat.metric.score import checked
from cxrfeat.metric.small import Bearing
from cxrfeat.types import Groups, Labels, Probabilities


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnScore:
    """A score between 0 and 1."""

    name: str
    label: str | None
    """The class that it is of; `None` of all."""
    observed: float
    drawn: NDArray[np.float64]
    """`(resamples,)`, NaN where it does not exist."""
    bearing: Bearing


def drawn_scores(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    classes: Sequence[str],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[DrawnScore]:
    """Accuracy, the mean AUROC, and the sensitivity of each class, with their draws.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices, any integers; images of one group are drawn together.
        classes: Class names, in the order of the columns.
        resamples: How often to draw.
        seed: Decides the draws; the same seed draws the same groups again for other probabilities.

    Returns:
        Those that exist.

    Raises:
        ValueError: If there is no image, or the arguments do not fit together.

    Source: Field & Welsh 2007 for drawing whole groups.

    Example:
        >>> y = np.arange(40) % 2
        >>> [(one.name, one.label, one.observed) for one in drawn_scores(y, np.eye(2)[y], np.arange(40), ["A", "B"])]
        [('accuracy', None, 1.0), ('auroc', None, 1.0), ('sensitivity', 'A', 1.0), ('sensitivity', 'B', 1.0)]
    """
    y, probabilities = checked(y, probabilities, len(classes))
    group, count = numbered(groups)
    hit = probabilities.argmax(1) == y
    there = [index for index in range(len(classes)) if 0 < np.count_nonzero(y == index) < len(y)]
    sizes = [np.bincount(group[y == index], minlength=count).astype(np.float64) for index in range(len(classes))]
    hits = [np.bincount(group[hit & (y == index)], minlength=count) for index in range(len(classes))]
    every = np.bincount(group, minlength=count).astype(np.float64)
    ranked = [Ranked(y == index, probabilities[:, index], group) for index in there]

    def told(weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        found = [(weights @ np.sum(hits, axis=0)) / (weights @ every)]
        if there:
            found.append(np.asarray(np.mean([one.auroc(weights) for one in ranked], axis=0)))
        for index in there:
            below = weights @ sizes[index]
            found.append(np.divide(weights @ hits[index], below, out=np.full(len(weights), np.nan), where=below > 0))
        return found

    observed = [float(value[0]) for value in told(np.ones((1, count)))]
    blocks = [told(weights) for weights in weight_blocks(count, len(y), resamples, seed)]
    drawn = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    bearings = [Bearing.of(every)]
    if there:
        pairs = [Bearing.against(Bearing.of(sizes[index]), Bearing.of(every - sizes[index])) for index in there]
        bearings += [Bearing.weakest(pairs), *(Bearing.of(sizes[index]) for index in there)]
    names = [("accuracy", None), *([("auroc", None)] if there else [])]
    named: list[tuple[str, str | None]] = [*names, *(("sensitivity", classes[index]) for index in there)]
    return [
        DrawnScore(name=name, label=label, observed=value, drawn=draws, bearing=bearing)
        for (name, label), value, draws, bearing in zip(named, observed, drawn, bearings, strict=True)
    ]
