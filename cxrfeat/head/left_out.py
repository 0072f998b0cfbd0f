"""What heads say of every image of a file that never saw its group: the ground on which labels can be doubted."""

from __future__ import annotations

import numpy as np

from cxrfeat.errors import InputError
from cxrfeat.feature.crossing import cross_validate
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.data import Data
from cxrfeat.head.fits import fit_folds
from cxrfeat.head.regularization_path import ridge_leave_group_out
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import fit_temperature, softmax
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Probabilities, Progress


def left_out_by_ridge(file: FeatureFile) -> Probabilities:
    """Probabilities by ridge heads, each group left out once, exact and for the price of one fit.

    Decision values become probabilities by the one temperature at which all of them have the least log loss.

    Args:
        file: Whose plain views are used.

    Returns:
        `(images, classes)`.

    Raises:
        InputError: If all images are of one group, or a feature is not finite.
        IntegrityError: If a row is not what was written.
        SplitError: If a class has no image.
    """
    X, y, groups = file.arrays(0)
    if len(np.unique(groups)) < 2:
        raise InputError(f"All images of {file.path.name} are of one patient or copies, so none can be left out.")
    training = TrainingSet(X[:, None], y, X[:0], y[:0], file.classes)
    (decision,) = ridge_leave_group_out(training.rows, y, groups, len(file.classes), [STRENGTH["ridge"]])
    return softmax(decision / fit_temperature(decision, y))


def left_out_by_folds(
    data: Data,
    spec: HeadSpec,
    count: int,
    *,
    seed: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Probabilities:
    """Probabilities by heads of one kind, each fitted on all grouped folds but the one of the image.

    Args:
        data: The features.
        spec: What to fit.
        count: How many folds.
        seed: Seed of the folds.
        jobs: Fits at a time.
        progress: Called after every fit.

    Returns:
        `(images, classes)`.

    Raises:
        InputError: If a head diverges.
        SpecError: If it asks for more than there is.
        SplitError: If a class has fewer groups than there are folds.
    """
    folds = cross_validate(data.file.table, count, seed=seed).folds
    (fits,) = fit_folds(data, [spec], folds, jobs=jobs, progress=progress)
    found = np.empty((data.file.images, len(data.file.classes)))
    for fold, fitted in zip(folds, fits, strict=True):
        found[fold.test] = data.probabilities(fitted.head, fold.test)
    return found
