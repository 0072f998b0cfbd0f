"""What more views, or more images, do for a head: a point for each amount, and from where on more is no help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data
from cxrfeat.head.fits import fit_folds
from cxrfeat.metric.compare import paired_difference
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.metric.score import scores
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Probabilities, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Scores of one head against the amount of what it was trained on."""

    head: str
    over: str
    """`views` or `images`."""
    points: tuple[dict[str, Any], ...]
    """For each amount: `views`, `images` (trained on), `accuracy`, `accuracy_ci`, `auroc`, `auroc_ci`, `seconds`, and,
    but for the first, `gain` in accuracy over the amount before it with `gain_ci` and `tied`."""
    sentence: str
    """What it says."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"head": self.head, "over": self.over, "points": list(self.points), "sentence": self.sentence}


def curve_of(
    over: str,
    data: Data,
    amounts: Sequence[tuple[HeadSpec, Sequence[Fold], dict[str, int]]],
    seed: int,
    progress: Progress | None = None,
) -> LearningCurve:
    """Fit and test one head for each amount of what it is trained on.

    Args:
        over: `views` or `images`.
        data: The features.
        amounts: From the least to the most: the head, its folds, which all test the same images, and what there is of
            views and of images to train on.
        seed: Of the intervals.
        progress: Told after every fit.
    """
    points: list[dict[str, Any]] = []
    found: list[Probabilities] = []
    rows = np.concatenate([fold.test for fold in amounts[0][1]])  # the same for all amounts
    y, groups, classes = data.file.labels[rows], data.file.groups[rows], data.file.classes
    for number, (spec, folds, amount) in enumerate(amounts):

        def tell(kind: str, done: int, total: int, number: int = number) -> None:
            if progress:
                progress(kind, number * total + done, len(amounts) * total)

        (fits,) = fit_folds(data, [spec], folds, progress=tell)
        probabilities = np.concatenate(
            [data.probabilities(one.head, fold.test) for one, fold in zip(fits, folds, strict=True)]
        )
        told = scores(y, probabilities, classes) | bootstrap(y, probabilities, groups, classes, seed=seed)
        point = {
            **amount,
            **{key: told[key] for key in ("accuracy", "accuracy_ci", "auroc", "auroc_ci")},
            "seconds": round(sum(one.seconds for one in fits), 3),
        }
        if found:
            gain = paired_difference(y, probabilities, found[-1], groups, seed)
            point |= {"gain": gain["difference"], "gain_ci": gain["ci"], "tied": gain["tied"]}
        points.append(point)
        found.append(probabilities)
    if len(found) > 1 and points[-1]["gain_ci"] is None:
        return LearningCurve(head=amounts[0][0].kind, over=over, points=tuple(points), sentence=_unsaid(over))
    best = len(found) - 1
    for index in reversed(range(len(found) - 1)):  # down to the least amount that no larger one beats
        gains = [paired_difference(y, more, found[index], groups, seed)["ci"] for more in found[index + 1 :]]
        if any(gain is not None and gain[0] > 0 for gain in gains):
            break
        best = index
    return LearningCurve(
        head=amounts[0][0].kind, over=over, points=tuple(points), sentence=_sentence(over, points, best)
    )


def _unsaid(over: str) -> str:
    return f"Whether more {over} help cannot be said: {NO_INTERVAL} are tested."


def _sentence(over: str, points: Sequence[dict[str, Any]], best: int) -> str:
    enough, most = points[best][over], points[-1][over]
    if best == len(points) - 1:
        return f"More {over} helped up to all {most}; still more may help further."
    noun = over.removesuffix("s") if enough == 1 else over
    return f"More than {enough} {noun} did not help here (up to {most} were tried; 95 % intervals, paired)."
