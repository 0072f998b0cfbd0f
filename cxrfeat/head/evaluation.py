"""The test of a fitted head: scores with intervals, operating points, and the head to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.split import Fold, Rows, Split
from cxrfeat.head.data import Data
from cxrfeat.head.fit import CALIBRATED, UNCALIBRATED, Fit, fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.novelty import Novelty, unlike_record
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.operating import choose_thresholds, operating_points
from cxrfeat.metric.score import scores
from cxrfeat.metric.source import within_source
from cxrfeat.run.document import Evaluation, UnlikeRecord
from cxrfeat.run.document import Fold as FoldScores
from cxrfeat.run.record import from_json
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Groups, Labels, Probabilities

SPECIFICITY = 0.9
"""At which the operating points' thresholds are chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTest:
    """What the test of a head, or of its likes on folds, came to, and the head to keep."""

    fit: Fit
    """Of the head to keep."""
    heads: tuple[FittedHead, ...]
    """Those that were tested, one for each fold; of one fold it is the one to keep."""
    seconds: float
    """Of all fits; loading the libraries apart."""
    novelty: Novelty
    validation: Evaluation | None
    """Of the validation images; of folds there are none of all together."""
    test: Evaluation
    """Of the test images."""
    folds: tuple[FoldScores, ...] | None
    """Scores of each fold."""
    rows: Rows
    """Of each prediction its image: those that validate, if there is one fold, then those that test, fold by fold."""
    probabilities: Probabilities
    """`(len(rows), classes)`."""
    parts: tuple[str, ...]
    """Of each prediction `validation` or `test`, or the name of the fold that tests."""
    notes: tuple[str, ...]
    unlike: UnlikeRecord
    """How many of the images that test are said to be unlike those that are trained on."""


def evaluate(
    data: Data,
    spec: HeadSpec,
    split: Split,
    fits: Sequence[Fit],
    seed: int,
    own: Sequence[Fit] | None = None,
) -> HeadTest:
    """Test what was fitted, and make the head to keep.

    Args:
        data: The features.
        spec: The head to keep.
        split: What was trained and is tested on.
        fits: What is tested, one for each fold.
        seed: Of the intervals.
        own: Fits of `spec` itself on the folds, where `fits` are of other heads.
    """
    if split.crossed:
        return _crossed(data, spec, split, fits, seed, own or fits)
    (fold,), (fitted,) = split.folds, fits
    told = np.concatenate([fold.validation, fold.test])
    probabilities = data.probabilities(fitted.head, told)
    held = len(fold.validation)
    chosen = choose_thresholds(
        data.file.labels[fold.validation], probabilities[:held], data.file.classes, specificity=SPECIFICITY
    )
    thresholds = {name: threshold for name, threshold in chosen.items() if threshold is not None}
    return HeadTest(
        fit=fitted,
        heads=(fitted.head,),
        seconds=fitted.seconds,
        novelty=data.novelty(fold),
        validation=scored(data, fold.validation, probabilities[:held], seed),
        test=scored(data, fold.test, probabilities[held:], seed, thresholds),
        folds=None,
        rows=told,
        probabilities=probabilities,
        parts=("validation",) * held + ("test",) * len(fold.test),
        notes=(*split.notes, *fitted.notes),
        unlike=_unlike(data, split, seed),
    )


def _unlike(data: Data, split: Split, seed: int) -> UnlikeRecord:
    flagged = [data.novelty(fold).outside(data.plain[fold.test]) for fold in split.folds]
    return unlike_record(np.concatenate(flagged), data.file.groups[split.tested], seed)


def _crossed(
    data: Data,
    spec: HeadSpec,
    split: Split,
    fits: Sequence[Fit],
    seed: int,
    own: Sequence[Fit],
) -> HeadTest:
    """Each image was tested by a head that has not seen its group; the head to keep is fitted on all of them."""
    file = data.file
    each, told = [], []
    for number, (fold, fitted) in enumerate(zip(split.folds, fits, strict=True)):
        probabilities = data.probabilities(fitted.head, fold.test)
        told.append(probabilities)
        held = (
            scores(file.labels[fold.validation], data.probabilities(fitted.head, fold.validation), file.classes)
            if len(fold.validation)
            else None
        )
        of_fold = {
            **scores(file.labels[fold.test], probabilities, file.classes),
            "fold": number,
            "name": fold.name,
            "images": len(fold.test),
            "validation": held and {**held, "images": len(fold.validation), "trained": len(fold.train)},
        }
        each.append(from_json(FoldScores, of_fold))
    rows, probabilities = split.tested, np.concatenate(told)
    decisions = np.concatenate(
        [data.mean_over_views(fitted.head.decision, fold.test) for fold, fitted in zip(split.folds, own, strict=True)]
    )
    kept = [one.epoch for fitted in own for one in fitted.history.epochs if one.kept]
    # No image is left to stop training early: it takes as many epochs as the heads that were tested.
    last = replace(spec, patience=None, epochs=int(np.median(kept))) if spec.patience is not None else spec
    whole = Fold.everything(file.images)
    final = fit_head(last, data.training(whole))
    if spec.calibrate or spec.kind in CALIBRATED:  # nor to fit a temperature on, but each has been tested
        head = replace(final.head, temperature=fit_temperature(decisions, file.labels[rows]))
        final = replace(final, head=head, notes=[note for note in final.notes if note != UNCALIBRATED])
    notes = {note for fitted in fits for note in fitted.notes}
    return HeadTest(
        fit=final,
        heads=tuple(fitted.head for fitted in fits),
        seconds=sum(fitted.seconds for fitted in fits) + final.seconds,
        novelty=data.novelty(whole),
        validation=None,
        test=scored(data, rows, probabilities, seed),
        folds=tuple(each),
        rows=rows,
        probabilities=probabilities,
        parts=tuple(fold.name for fold in split.folds for _ in range(len(fold.test))),
        notes=(
            *split.notes,
            *sorted(notes | set(final.notes)),
            "The kept head was fitted on all images and is not itself tested.",
        ),
        unlike=_unlike(data, split, seed),
    )


def scored(
    data: Data, rows: Rows, probabilities: Probabilities, seed: int, thresholds: Mapping[str, float] | None = None
) -> Evaluation:
    """Scores of so many predictions with their intervals; an image may come more than once.

    Operating points use thresholds of other images where there are any; else they are chosen on these, which is said.
    """
    file = data.file
    return evaluation_of(
        file.labels[rows],
        probabilities,
        file.groups[rows],
        data.source_codes[rows],
        file.classes,
        seed,
        thresholds=thresholds,
        images=len(np.unique(rows)),
    )


def evaluation_of(
    y: Labels,
    probabilities: Probabilities,
    groups: Groups,
    sources: NDArray[np.int64],
    classes: Sequence[str],
    seed: int,
    *,
    thresholds: Mapping[str, float] | None = None,
    images: int | None = None,
) -> Evaluation:
    """Scores of predictions with their intervals.

    Args:
        y: `(n,)` true class indices.
        probabilities: `(n, classes)`, rows summing to 1.
        groups: `(n,)` group indices.
        sources: `(n,)` a number for each source, -1 where it is unknown.
        classes: Class names, in the order of the columns.
        seed: Of the draws.
        thresholds: Of the operating points, chosen on other images; else they are chosen on these, which is said.
        images: How many images these are, where one may come more than once.
    """
    points = operating_points(y, probabilities, groups, classes, thresholds=thresholds, seed=seed)
    told = {
        **scores(y, probabilities, classes),
        **bootstrap(y, probabilities, groups, classes, seed=seed),
        "within_source": within_source(y, probabilities, groups, sources, classes, seed=seed),
        "operating_points": {"chosen_on": "these images" if thresholds is None else "validation", "classes": points},
        "classes": list(classes),
        "images": len(y) if images is None else images,
        "groups": len(np.unique(groups)),
    }
    return from_json(Evaluation, told)
