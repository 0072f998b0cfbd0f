"""What more views, or more images, are worth: one head fitted on less and less, tested on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, check_share
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.data import Data, load
from cxrfeat.head.fits import fit_folds
from cxrfeat.metric.compare import paired_difference
from cxrfeat.metric.interval import bootstrap
from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.metric.score import scores
from cxrfeat.spec import HeadSpec, SplitBy
from cxrfeat.system.given import PathLike, one_or_many
from cxrfeat.types import Probabilities, Progress

SIZES = (0.1, 0.2, 0.5, 1.0)
"""Shares of the training images, where the user does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
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


def view_counts(views: int) -> list[int]:
    """1, 2, 4, ... and all of them.

    Example:
        >>> view_counts(6)
        [1, 2, 4, 6]
    """
    return [*(1 << power for power in range(views.bit_length()) if 1 << power < views), views]


def check_curves(features: PathLike, *, over_views: bool, sizes: Sequence[float] = ()) -> None:
    """Refuse curves that cannot be drawn before anything is fitted.

    Args:
        features: A feature file.
        over_views: Whether `views_curve` is wanted.
        sizes: Those of `learning_curve`, if it is wanted.

    Raises:
        InputError: If there is only one view.
        SplitError: If a size is no share of the training images.
    """
    for size in sizes:
        check_share(size)
    if over_views:
        with FeatureFile(features) as file:
            _check_views(file)


def _check_views(file: FeatureFile) -> None:
    if file.views < 2:
        raise InputError(f"{file.path} holds one view of each image; extract with `views=8` to see what more give.")


def views_curve(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike],
    *,
    split_by: SplitBy | None = None,
    fold_count: int | None = None,
    seed: int = 0,
    classes: str | Iterable[str] = (),
    progress: Progress | None = None,
) -> list[Curve]:
    """Accuracy and cost against the number of cached views that a head is trained on.

    Args:
        features: A feature file with more than one view.
        heads: Heads without `views_per_epoch`.
        split_by: As in `fit`.
        fold_count: As in `fit`.
        seed: Of the split and the intervals.
        classes: As in `fit`.
        progress: Told after every fit.

    Raises:
        InputError: If there is only one view.
    """
    heads = head_specs(heads, seed)
    with FeatureFile(features) as file:
        _check_views(file)
        data = load(file, classes=classes)
        file = data.file
        folds = part_images(file, by=split_by, fold_count=fold_count, seed=seed).folds
        return [
            _curve(
                "views",
                data,
                [
                    (replace(spec, views=count), folds, {"views": count, "images": _trained(folds)})
                    for count in view_counts(file.views)
                ],
                seed,
                _part_of(progress, number, heads),
            )
            for number, spec in enumerate(heads)
        ]


def learning_curve(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike],
    *,
    sizes: float | Iterable[float] = SIZES,
    split_by: SplitBy | None = None,
    fold_count: int | None = None,
    seed: int = 0,
    classes: str | Iterable[str] = (),
    progress: Progress | None = None,
) -> list[Curve]:
    """Accuracy against the number of training images; test images stay the same.

    Args:
        features: A feature file.
        heads: What to train.
        sizes: Shares of the training groups, above 0 and at most 1; smaller ones are parts of larger ones.
        split_by: As in `fit`.
        fold_count: As in `fit`.
        seed: Of the split, the choice of images, and the intervals.
        classes: As in `fit`.
        progress: Told after every fit.

    Raises:
        SplitError: If a size is not such a share.
    """
    heads = head_specs(heads, seed)
    with FeatureFile(features) as file:
        data = load(file, classes=classes)
        file = data.file
        folds = part_images(file, by=split_by, fold_count=fold_count, seed=seed).folds
        thin = [
            [fold.thinned(file.labels, file.groups, size, seed) for fold in folds]
            for size in sorted(set(one_or_many(sizes)))
        ]
        return [
            _curve(
                "images",
                data,
                [(spec, some, {"views": file.views, "images": _trained(some)}) for some in thin],
                seed,
                _part_of(progress, number, heads),
            )
            for number, spec in enumerate(heads)
        ]


def _trained(folds: Sequence[Fold]) -> int:
    """Images trained on, in the mean over the folds."""
    return round(float(np.mean([len(fold.train) for fold in folds])))


def _part_of(progress: Progress | None, number: int, heads: Sequence[HeadSpec]) -> Progress | None:
    """Progress of one of several heads as part of all."""
    if progress is None:
        return None
    return lambda kind, done, total: progress(kind, number * total + done, len(heads) * total)


def _curve(
    over: str,
    data: Data,
    amounts: Sequence[tuple[HeadSpec, Sequence[Fold], dict[str, int]]],
    seed: int,
    progress: Progress | None,
) -> Curve:
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
        return Curve(head=amounts[0][0].kind, over=over, points=tuple(points), sentence=_unsaid(over))
    best = len(found) - 1
    for index in reversed(range(len(found) - 1)):  # down to the least amount that no larger one beats
        gains = [paired_difference(y, more, found[index], groups, seed)["ci"] for more in found[index + 1 :]]
        if any(gain is not None and gain[0] > 0 for gain in gains):
            break
        best = index
    return Curve(head=amounts[0][0].kind, over=over, points=tuple(points), sentence=_sentence(over, points, best))


def _unsaid(over: str) -> str:
    return f"Whether more {over} help cannot be said: {NO_INTERVAL} are tested."


def _sentence(over: str, points: Sequence[dict[str, Any]], best: int) -> str:
    enough, most = points[best][over], points[-1][over]
    if best == len(points) - 1:
        return f"More {over} helped up to all {most}; still more may help further."
    noun = over.removesuffix("s") if enough == 1 else over
    return f"More than {enough} {noun} did not help here (up to {most} were tried; 95 % intervals, paired)."
