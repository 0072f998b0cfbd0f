"""What more views, or more images, are worth: one head fitted on less and less, tested on the same images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, check_share
from cxrfeat.feature.target import LABEL, Uncertain
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.data import load
from cxrfeat.head.learning_curve import LearningCurve, curve_of
from cxrfeat.spec import HeadSpec, SplitBy
from cxrfeat.system.given import PathLike, one_or_many
from cxrfeat.types import Progress

WIDTH = 0.1
"""Width of an interval that is wanted, where the user does not say: a twentieth to each side."""

SIZES = (0.1, 0.2, 0.5, 1.0)
"""Shares of the training images, where the user does not say."""


def view_counts(views: int) -> list[int]:
    """1, 2, 4, ... and all of them.

    Example:
        >>> view_counts(6)
        [1, 2, 4, 6]
    """
    return [*(1 << power for power in range(views.bit_length()) if 1 << power < views), views]


def check_curves(
    features: PathLike, *, over_views: bool, sizes: Sequence[float] = (), wanted_width: float = WIDTH
) -> None:
    """Refuse curves that cannot be drawn before anything is fitted.

    Args:
        features: A feature file.
        over_views: Whether `views_curve` is wanted.
        sizes: Those of `learning_curve`, if it is wanted.
        wanted_width: Its.

    Raises:
        InputError: If there is only one view.
        SplitError: If a size is no share of the training images.
        UsageError: If the width is not a valid one.
    """
    for size in sizes:
        check_share(size)
    _check_width(wanted_width)
    if over_views:
        with FeatureFile(features) as file:
            _check_views(file)


def _check_width(width: float) -> None:
    if not 0.001 <= width < 1:
        raise UsageError(f"`wanted_width` is the width of an interval, from 0.001 to below 1; got {width:g}.")


def _check_views(file: FeatureFile) -> None:
    if file.views < 2:
        raise InputError(
            f"{file.path} holds one view of each image; extract with `views=8` to see what more of them bring."
        )


@with_bar("fits")
def views_curve(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike],
    *,
    split_by: SplitBy | None = None,
    fold_count: int | None = None,
    seed: int = 0,
    classes: str | Iterable[str] = (),
    exclude: PathLike | None = None,
    balance_by: str | Iterable[str] = (),
    target: str = LABEL,
    uncertain: Uncertain = "ignore",
    progress: Progress | None = None,
) -> list[LearningCurve]:
    """Accuracy and cost against the number of cached views that a head is trained on.

    Args:
        features: A feature file with more than one view.
        heads: Heads without `views_per_epoch`.
        split_by: As in `fit`.
        fold_count: As in `fit`.
        seed: Seed of the split and the intervals.
        classes: As in `fit`.
        exclude: As in `fit`.
        balance_by: As in `fit`.
        target: As in `fit`.
        uncertain: As in `fit`.
        progress: Called after every fit.

    Raises:
        InputError: If there is only one view.
    """
    heads = head_specs(heads, seed)
    with FeatureFile(features) as file:
        _check_views(file)
        data = load(file, classes=classes, exclude=exclude, balance_by=balance_by, target=target, uncertain=uncertain)
        file = data.file
        folds = part_images(file, by=split_by, fold_count=fold_count, seed=seed).folds
        return [
            curve_of(
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


@with_bar("fits")
def learning_curve(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike],
    *,
    sizes: float | Iterable[float] = SIZES,
    wanted_width: float = WIDTH,
    split_by: SplitBy | None = None,
    fold_count: int | None = None,
    seed: int = 0,
    classes: str | Iterable[str] = (),
    exclude: PathLike | None = None,
    balance_by: str | Iterable[str] = (),
    target: str = LABEL,
    uncertain: Uncertain = "ignore",
    progress: Progress | None = None,
) -> list[LearningCurve]:
    """Accuracy against the number of training images; test images stay the same.

    Args:
        features: A feature file.
        heads: What to train.
        sizes: Shares of the training groups, above 0 and at most 1; smaller ones are parts of larger ones. Four or more
            bear a fitted curve.
        wanted_width: Width of an interval, from end to end; how many patients that would take is reported.
        split_by: As in `fit`.
        fold_count: As in `fit`.
        seed: Seed of the split, the choice of images, and the intervals.
        classes: As in `fit`.
        exclude: As in `fit`.
        balance_by: As in `fit`.
        target: As in `fit`.
        uncertain: As in `fit`.
        progress: Called after every fit.

    Raises:
        SplitError: If a size is not such a share.
        UsageError: If the width is not a valid one.
    """
    _check_width(wanted_width)
    heads = head_specs(heads, seed)
    with FeatureFile(features) as file:
        data = load(file, classes=classes, exclude=exclude, balance_by=balance_by, target=target, uncertain=uncertain)
        file = data.file
        folds = part_images(file, by=split_by, fold_count=fold_count, seed=seed).folds
        thin = [
            [fold.thinned(file.labels, file.groups, size, seed) for fold in folds]
            for size in sorted(set(one_or_many(sizes)))
        ]
        return [
            curve_of(
                "images",
                data,
                [(spec, some, {"views": file.views, "images": _trained(some)}) for some in thin],
                seed,
                _part_of(progress, number, heads),
                wanted_width,
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
