"""What more views, or more images, do for a head: a point for each amount, and from where on more is no help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data
from cxrfeat.head.fits import fit_folds
from cxrfeat.metric.compare import paired_difference
from cxrfeat.metric.drawn import DrawnScore, drawn_scores
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.least import LEAST_GROUPS, NO_INTERVAL
from cxrfeat.metric.patients import Wanted, patients_for
from cxrfeat.metric.power_law import LEAST_POINTS, fit_power_law
from cxrfeat.metric.resample import percentile_interval
from cxrfeat.metric.score import scores
from cxrfeat.notebook import brief, html_table, with_interval
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Probabilities, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Scores of one head against the amount of training data."""

    head: str
    over: str
    """`views` or `images`."""
    points: tuple[dict[str, Any], ...]
    """For each amount: `views`, `images` (trained on), `accuracy`, `accuracy_ci`, `auroc`, `auroc_ci`, `seconds`, and,
    except for the first, `gain` in accuracy over the amount before it with `gain_ci` and `tied`."""
    sentence: str
    """What it says."""
    fitted: tuple[dict[str, Any], ...] = ()
    """Over images, the power law through the points: for each of them, and for twice and four times as many images as
    there are, `images`, `accuracy` and `auroc`, each with its `_ci` over the patients that test; none of too few."""
    unfitted: str | None = None
    """Why there is none."""
    wanted_width: float | None = None
    """The width of interval that was asked for."""
    wanted: tuple[Wanted, ...] = ()
    """How many patients that would take, for each score of the last point that has an interval."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: each amount with its scores, and what they say."""
        rows = [
            (str(one[self.over]), *(with_interval(one[name], one[f"{name}_ci"]) for name in ("accuracy", "auroc")))
            for one in self.points
        ]
        return html_table(f"{self.head}\n{self.sentence}", (self.over, "accuracy", "AUROC"), rows, {0, 1, 2})

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "head": self.head,
            "over": self.over,
            "points": list(self.points),
            "sentence": self.sentence,
            "fitted": list(self.fitted),
            "unfitted": self.unfitted,
            "wanted_width": self.wanted_width,
            "wanted": [{**asdict(one), "ci": list(one.ci)} for one in self.wanted],
        }


def curve_of(
    over: str,
    data: Data,
    amounts: Sequence[tuple[HeadSpec, Sequence[Fold], dict[str, int]]],
    seed: int,
    progress: Progress | None = None,
    width: float | None = None,
) -> LearningCurve:
    """Fit and test one head for each amount of what it is trained on.

    Args:
        over: `views` or `images`.
        data: The features.
        amounts: From the least to the most: the head, its folds, which all test the same images, and what there is of
            views and of images to train on.
        seed: Of the intervals.
        progress: Called after every fit.
        width: Of the interval that is wanted.
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
    curve = LearningCurve(head=amounts[0][0].kind, over=over, points=tuple(points), sentence=_unsaid(over))
    if over == "images":
        drawn = [drawn_scores(y, one, groups, classes, seed=seed) for one in found]
        fitted, why = _fitted([point["images"] for point in points], drawn)
        wanted = () if width is None else tuple(patients_for(drawn[-1], len(np.unique(groups)), width))
        curve = replace(curve, fitted=fitted, unfitted=why, wanted_width=width, wanted=wanted)
    if len(found) > 1 and points[-1]["gain_ci"] is None:
        return curve
    best = len(found) - 1
    for index in reversed(range(len(found) - 1)):  # down to the least amount that no larger one beats
        gains = [paired_difference(y, more, found[index], groups, seed)["ci"] for more in found[index + 1 :]]
        if any(gain is not None and gain[0] > 0 for gain in gains):
            break
        best = index
    return replace(curve, sentence=" ".join(filter(None, (_sentence(over, points, best), _further(curve.fitted)))))


def _fitted(
    images: Sequence[int], drawn: Sequence[Sequence[DrawnScore]]
) -> tuple[tuple[dict[str, Any], ...], str | None]:
    """The power law at each amount and beyond, or why there is none; drawn as the points are, all at once."""
    if len(set(images)) < LEAST_POINTS:
        return (), f"A curve takes {LEAST_POINTS} amounts of images; there are {len(set(images))}."
    at = [*images, 2 * images[-1], 4 * images[-1]]
    told: list[dict[str, Any]] = [{"images": amount} for amount in at]
    for name in ("accuracy", "auroc"):
        of_name = [one for scores in drawn for one in scores if one.name == name]
        if len(of_name) < len(drawn) or min(one.bearing.groups for one in of_name) < LEAST_GROUPS:
            return (), f"No curve: {NO_INTERVAL} are tested."
        best = fit_power_law(images, np.array([[one.observed for one in of_name]]))
        draws = np.stack([one.drawn for one in of_name], axis=1)
        again = fit_power_law(images, draws[~np.isnan(draws).any(1)])
        for point, amount in zip(told, at, strict=True):
            value = float(best.at(amount)[0])
            ends = percentile_interval(again.at(amount), 0.95)
            assert ends is not None, "draws of eight patients hold both classes somewhere"
            point |= {name: value, f"{name}_ci": [min(ends[0], value), max(ends[1], value)]}
    return tuple(told), None


def _further(fitted: Sequence[dict[str, Any]]) -> str:
    if not fitted:
        return ""
    twice = fitted[-2]
    low, high = twice["accuracy_ci"]
    return (
        f"By the fitted curve accuracy would be {twice['accuracy']:.3f} [{low:.3f}, {high:.3f}] with twice the images "
        f"({twice['images']}), if they are like these."
    )


def _unsaid(over: str) -> str:
    return f"Whether more {over} help cannot be said: {NO_INTERVAL} are tested."


def _sentence(over: str, points: Sequence[dict[str, Any]], best: int) -> str:
    enough, most = points[best][over], points[-1][over]
    if best == len(points) - 1:
        return f"More {over} helped up to all {most}; still more may help further."
    noun = over.removesuffix("s") if enough == 1 else over
    return f"More than {enough} {noun} did not help here (up to {most} were tried; 95 % intervals, paired)."
