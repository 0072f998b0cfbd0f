"""Which of several runs did best on validation images, and which did as well: never by what tests them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.metric.compare import paired_difference
from cxrfeat.run.document import FoldValidation
from cxrfeat.run.folder import Run
from cxrfeat.run.record import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The run that did best on images that neither trained nor tested it."""

    run: Run
    accuracy: float
    """On the validation images; of folds, on those of all folds together."""
    images: int
    """How many these are."""
    tied: tuple[Run, ...] | None
    """Runs that the validation images do not tell from it; `None` where nothing can be said of that."""
    among: int
    """How many runs were compared."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        document, tied = self.run.document, self.tied
        return {
            "run": self.run.name,
            "head": document.head,
            "by": "validation accuracy",
            "validation": {"accuracy": self.accuracy, "images": self.images},
            "test": {"accuracy": document.test.accuracy, "accuracy_ci": to_json(document.test.accuracy_ci)},
            "tied": None if tied is None else [{"run": one.name, "head": one.document.head} for one in tied],
        }


def best_of(runs: Sequence[Run], seed: int = 0) -> Best | None:
    """The run of highest accuracy on its validation images, of equal ones that of lower log loss.

    Of one split the validation images are those of the split, and a run is tied with the best where the 95 % interval
    of their paired difference there, over groups, holds zero. Of folds they are those that each fold kept from
    training; tied is then what a t-test over the folds does not tell apart at 0.05, with the variance corrected for
    folds that share most of their training images.

    Args:
        runs: Runs of one call of `fit`, so of the same images and the same split.
        seed: Seed of the interval.

    Returns:
        `None` where no run was validated.

    Source: Nadeau & Bengio 2003, section 3, for the corrected variance.
    """
    told = {index: one for index, run in enumerate(runs) if (one := _validated(run)) is not None}
    if not told:
        return None
    order = sorted(told, key=lambda index: (-told[index].accuracy, told[index].log_loss))
    first = order[0]
    ties = {index: _tied(runs[first], runs[index], seed) for index in order[1:]}
    return Best(
        run=runs[first],
        accuracy=told[first].accuracy,
        images=told[first].images,
        tied=None if any(tie is None for tie in ties.values()) else tuple(runs[i] for i, tie in ties.items() if tie),
        among=len(told),
    )


@dataclass(frozen=True, slots=True)
class _Validated:
    accuracy: float
    log_loss: float
    images: int


def _validated(run: Run) -> _Validated | None:
    """What the validation images say; of folds, those of all folds together."""
    validation = run.document.validation
    if validation is not None:
        return _Validated(validation.accuracy, validation.log_loss, validation.images)
    parts = _parts(run)
    if not parts:
        return None
    sizes = np.array([part.images for part in parts])
    accuracy, log_loss = (
        float(np.average(each, weights=sizes))
        for each in ([part.accuracy for part in parts], [part.log_loss for part in parts])
    )
    return _Validated(accuracy, log_loss, int(sizes.sum()))


def _parts(run: Run) -> list[FoldValidation]:
    return [fold.validation for fold in run.document.folds or () if fold.validation is not None]


def _tied(best: Run, other: Run, seed: int) -> bool | None:
    if best.document.validation is None:
        return _tied_over_folds(_parts(best), _parts(other))
    ours, theirs = best.predictions(), other.predictions()
    rows, same = ours.validated, theirs.validated
    if [ours.contents[row] for row in rows] != [theirs.contents[row] for row in same]:
        return None
    groups = np.unique([ours.groups[row] for row in rows], return_inverse=True)[1]
    # What was said, as certain probabilities.
    right, too = (np.eye(len(one.classes))[one.predicted[held]] for one, held in ((ours, rows), (theirs, same)))
    found = paired_difference(ours.labels[rows], right, too, groups, seed)
    return None if found["ci"] is None else bool(found["tied"])


def _tied_over_folds(ours: Sequence[FoldValidation], theirs: Sequence[FoldValidation]) -> bool | None:
    from scipy.stats import t

    if len(ours) != len(theirs) or len(ours) < 2:
        return None
    gains = np.array([one.accuracy - other.accuracy for one, other in zip(ours, theirs, strict=True)])
    share = np.mean([one.images / one.trained for one in ours])
    width = t.ppf(0.975, len(gains) - 1) * np.sqrt((1 / len(gains) + share) * gains.var(ddof=1))
    return bool(abs(gains.mean()) <= width)
