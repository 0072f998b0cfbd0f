"""Fits of several heads on several folds, head by head as they come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import closing

from cxrfeat.errors import InputError, SpecError
from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data
from cxrfeat.head.fit import Fit
from cxrfeat.head.parallel import Fitters, outcomes
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Progress


def fit_folds(
    data: Data,
    heads: Sequence[HeadSpec],
    folds: Sequence[Fold],
    *,
    jobs: int | None = None,
    fitters: Fitters | None = None,
    progress: Progress | None = None,
) -> list[list[Fit]]:
    """Fit every head on every fold.

    Args:
        data: The features.
        heads: What to train.
        folds: On what.
        jobs: Fits at a time; `None` is as many as there are cores where it pays.
        fitters: Workers on a cluster that fit instead.
        progress: Called after every fit.

    Returns:
        For each head its fits, one for each fold.

    Raises:
        InputError: If a head diverges.
        SpecError: If it asks for more than there is.
    """
    found: dict[int, list[Fit]] = {}
    with closing(fits_as_they_come(data, heads, folds, jobs=jobs, fitters=fitters, progress=progress)) as coming:
        for place, fitted in coming:
            if not isinstance(fitted, list):
                raise fitted
            found[place] = fitted
    return [found[place] for place in range(len(heads))]


def fits_as_they_come(
    data: Data,
    heads: Sequence[HeadSpec],
    folds: Sequence[Fold],
    *,
    jobs: int | None = None,
    fitters: Fitters | None = None,
    progress: Progress | None = None,
) -> Generator[tuple[int, list[Fit] | InputError | SpecError]]:
    """`fit_folds`, each head with its place as soon as it is fitted on every fold: what follows need not wait.

    A head that cannot be fitted on some fold comes once, as the error of that fold, and the others continue.
    """
    fits: dict[int, dict[int, Fit]] = defaultdict(dict)
    lost: set[int] = set()
    name, done = heads[0].kind if len(heads) == 1 else "heads", 0
    with closing(
        outcomes(
            heads,
            data.X,
            data.file.labels,
            folds,
            data.file.classes,
            jobs=jobs,
            fitters=fitters,
            weights=[data.weights(fold) for fold in folds],
        )
    ) as coming:
        for (number, head), outcome in coming:
            done += 1
            if progress:
                progress(name, done, len(heads) * len(folds))
            if head in lost:
                continue
            if not isinstance(outcome, Fit):
                lost.add(head)
                yield head, outcome
                continue
            fits[head][number] = outcome
            if len(fits[head]) == len(folds):
                of_head = fits.pop(head)
                yield head, [of_head[number] for number in range(len(folds))]
