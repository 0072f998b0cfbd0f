"""A number told of images: regressions on cached features, tested on images that they have not seen."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.target import find_target
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.network_head import train_number
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.metric.regression import score_numbers
from cxrfeat.spec import HeadKind, SplitBy
from cxrfeat.system.given import PathLike
from cxrfeat.types import Progress, named

NUMBER_KINDS: tuple[HeadKind, ...] = ("ridge", "dense", "dropout")
"""Heads that can tell a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberResult:
    """How near the predictions of a number are."""

    runs: tuple[dict[str, Any], ...]
    """Of each head `target`, `head`, `seconds`, `unknown` (images left out, of which it is not known) and `test`, as
    `score_numbers` gives it."""
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head` of a number."""
        return {
            "runs": list(self.runs), "audit": [], "best": None, "unfitted": [], "curves": [], "notes": list(self.notes),
        }  # fmt: skip


@with_bar("epochs")
def fit_number(
    features: PathLike,
    target: str,
    heads: HeadLike | Iterable[HeadLike] = "ridge",
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    exclude: PathLike | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> NumberResult:
    """Fit regressions of a number and test them; no run is kept.

    Args:
        features: A feature file, or one that is open.
        target: `age`, or a column of numbers that the file keeps. Images of which it is not known are left out.
        heads: What to train, one or many: `ridge`, or a network, `dense` or `dropout`, by the squared error. What their
            descriptions say of classes is of no matter.
        split_by: As in `fit`. The split is that of all images.
        regroup_given: As in `fit`.
        exclude: As in `fit`.
        seed: Of the split, the draws of the intervals, and heads that are only named.
        progress: Told after every epoch of a network.

    Raises:
        UsageError: If there is no such target, or a head cannot tell a number.
        InputError: If it is no number, or not known of enough images.
        SplitError: If the images cannot be split as asked.
    """
    specs = head_specs(heads, seed)
    if others := [spec.kind for spec in specs if spec.kind not in NUMBER_KINDS]:
        raise UsageError(
            f"{target!r} is a number, which {', '.join(NUMBER_KINDS)} can tell, and {others[0]} cannot: name one of "
            "these with `kind`."
        )
    with FeatureFile(features) as whole:
        rows = [] if exclude is None else excluded_rows(whole, exclude)
        file = whole.without(rows) if rows else whole
        found = find_target(file, target)
        if not found.numeric:
            raise InputError(
                f"{found.name!r} is no number but one of {', '.join(found.classes)}: fit a head of classes."
            )
        split = part_images(file, by=split_by, regroup_given=regroup_given, seed=seed)
        (fold,) = split.folds
        known = found.known
        values = np.asarray(found.values, np.float64)
        train, held, test = (part[known[part]] for part in (fold.train, fold.validation, fold.test))
        if len(train) < 2 or len(test) < 2:
            raise InputError(f"{found.name!r} is known of {len(train)} training images and {len(test)} test images.")
        X = file.read()
        groups = file.groups
    unknown = int(np.count_nonzero(~known))
    runs = []
    for spec in specs:
        start = time.perf_counter()
        views = X.shape[1] if spec.views is None else spec.views
        if views > X.shape[1]:
            raise UsageError(f"`views={views}` of each image were asked for; the features hold {X.shape[1]}.")
        rows_of = X[train][:, :views]
        if spec.kind == "ridge":
            fitted = fit_ridge_targets(rows_of, [values[train]], spec.strength or STRENGTH["ridge"])
            predicted = fitted.predict(X[test, 0])[:, 0]
        else:
            told = named(progress, spec.kind)
            predicted = train_number(spec, rows_of, values[train], X[held, 0], values[held], told)(X[test, 0])
        runs.append(
            {
                "target": found.name,
                "head": spec.kind,
                "seconds": round(time.perf_counter() - start, 3),
                "unknown": unknown,
                "test": score_numbers(values[test], predicted, groups[test], seed=seed),
            }
        )
    left = f"{unknown} of {len(known)} images, of which {found.name!r} is not known, are left out."
    return NumberResult(runs=tuple(runs), notes=(*((left,) if unknown else ()), *split.notes))
