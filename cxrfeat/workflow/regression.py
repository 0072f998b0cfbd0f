"""A number told of images: ridge regression on cached features, tested on images that it has not seen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.errors import InputError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.target import find_target
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.metric.regression import score_numbers
from cxrfeat.spec import SplitBy
from cxrfeat.system.given import PathLike


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberResult:
    """How near the predictions of a number are."""

    target: str
    head: str
    seconds: float
    unknown: int
    """Images of which it is not known, which were left out."""
    test: dict[str, Any]
    """As `score_numbers` gives it."""
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head` for a number."""
        names = ("target", "head", "seconds", "unknown", "test")
        run = {name: getattr(self, name) for name in names}
        return {
            "runs": [run], "audit": [], "best": None, "unfitted": [], "curves": [], "notes": list(self.notes),
        }  # fmt: skip


def fit_number(
    features: PathLike,
    target: str,
    *,
    strength: float | None = None,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    exclude: PathLike | None = None,
    seed: int = 0,
) -> NumberResult:
    """Fit a ridge regression of a number and test it; no run is kept.

    Args:
        features: A feature file, or one that is open.
        target: `age`, or a column of numbers that the file keeps. Images of which it is not known are left out.
        strength: Of which the penalty is the inverse; that of the `ridge` head unless given.
        split_by: As in `fit`. The split is that of all images.
        regroup_given: As in `fit`.
        exclude: As in `fit`.
        seed: Of the split and the draws of the intervals.

    Raises:
        UsageError: If there is no such target.
        InputError: If it is no number, or not known of enough images.
        SplitError: If the images cannot be split as asked.
    """
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
        train, test = (part[known[part]] for part in (fold.train, fold.test))
        if len(train) < 2 or len(test) < 2:
            raise InputError(f"{found.name!r} is known of {len(train)} training images and {len(test)} test images.")
        X = file.read()
        groups = file.groups
    start = time.perf_counter()
    fitted = fit_ridge_targets(X[train], [values[train]], strength or STRENGTH["ridge"])
    seconds = time.perf_counter() - start
    predicted = fitted.predict(X[test, 0])[:, 0]
    unknown = int(np.count_nonzero(~known))
    told = f"{unknown} of {len(known)} images, of which {found.name!r} is not known, are left out."
    return NumberResult(
        target=found.name,
        head="ridge",
        seconds=round(seconds, 3),
        unknown=unknown,
        test=score_numbers(values[test], predicted, groups[test], seed=seed),
        notes=(*((told,) if unknown else ()), *split.notes),
    )
