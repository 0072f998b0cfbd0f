"""The only place that fits controls: classifiers that are given no disease to see, judged as the model is.

What a control reaches on the images that test the model, the model may owe to the same shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.people import Column
from cxrfeat.feature.split import Fold
from cxrfeat.head.balance import Balance
from cxrfeat.head.regularization_path import logistic_path
from cxrfeat.head.sklearn_head import STRENGTH, load
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.metric.shortcut import control_scores
from cxrfeat.system.process import small_products
from cxrfeat.types import Finding, Groups, Labels, Probabilities, Status

MOST_TRAINED = 2**16
"""Images that a control is trained on, at most."""

WARN_AUROC, FAIL_AUROC = 0.6, 0.8
"""Lower end of a control's AUROC from which it is worth a word, and from which it fails, where what it sees is no part
of the picture. Sources: 0.6 and 0.8 are called poor and good discrimination (Hosmer & Lemeshow 2000, section 5.2.4)."""

MORE = "Add images of the small classes, or test on all there are: cxrfeat fit-head `fold_count=5`."
"""What to do where too few images test."""

WARN_RATIO, FAIL_RATIO = 0.5, 0.8
"""Lower end of a shortcut ratio from which half of a score, and all but a fifth of it, is open to doubt."""


def control_probabilities(
    seen: NDArray[Any], labels: Labels, folds: Sequence[Fold], classes: Sequence[str], balance: Balance | None = None
) -> Probabilities:
    """What a logistic regression on what the control sees says of the images that test the model.

    Args:
        seen: `(images, k)` numbers, of which float32 is made.
        labels: `(images,)` class indices.
        folds: The model's own: each trains on its training images alone, standardisation included.
        classes: Class names.
        balance: What the class shall be independent of in training.

    Returns:
        `(tested, classes)`, the test images of the folds one after the other; 0 for a class that a fold has nothing
        of to learn, and all alike where it has no two.
    """
    load("logreg")  # with its own BLAS, which must be there to be told

    with small_products():
        told = [_told(seen, labels, fold, classes, balance) for fold in folds]
    return np.concatenate(told)


def _told(
    seen: NDArray[Any], labels: Labels, fold: Fold, classes: Sequence[str], balance: Balance | None
) -> Probabilities:
    """`(tested, classes)`, of one fold."""
    there = np.unique(labels[fold.train])
    if len(there) < 2:
        return np.full((len(fold.test), len(classes)), 1 / len(classes))
    nothing = np.arange(0)
    rows, weights = _enough(fold.train, labels)
    if balance is not None:
        of_balance = balance.weights(fold.train, labels)[np.searchsorted(fold.train, rows)]
        weights = of_balance if weights is None else weights * of_balance
    names, known = [classes[index] for index in there], np.searchsorted(there, labels[rows])
    X = seen[rows].astype(np.float32)
    training = TrainingSet(X[:, None], known, X[nothing], labels[nothing], names, weights)
    (head,) = logistic_path(training, [STRENGTH["logreg"]])
    found = np.zeros((len(fold.test), len(classes)))
    if len(fold.test):
        found[:, there] = head.predict_proba(seen[fold.test].astype(np.float32))
    return found


def _enough(train: NDArray[np.intp], labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """Training rows, ascending, with weights: all of them, or of very many a draw from each class that stands for it.

    A regression on some dozens of columns learns from a million rows what it learns from this many, and would take
    gigabytes.
    """
    if len(train) <= MOST_TRAINED:
        return train, None
    rng, drawn = np.random.default_rng(0), []
    there, counts = np.unique(labels[train], return_counts=True)
    for label in there.tolist():
        rows = train[labels[train] == label]
        most = max(MOST_TRAINED // len(there), 1)
        drawn.append(rng.choice(rows, most, replace=False) if len(rows) > most else rows)
    rows = np.sort(np.concatenate(drawn))
    share = counts / [len(some) for some in drawn]
    return rows, share[np.searchsorted(there, labels[rows])]


def column_scores(
    column: Column,
    labels: Labels,
    groups: Groups,
    folds: Sequence[Fold],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """What a column of the metadata alone says of the class, among the images of which it says anything.

    That it says nothing of an image is no value: which images were described tells how a set was put together, and one
    empty cell must not decide what the others say.

    Args:
        column: Indicators, and of which images they hold.
        labels: `(images,)` class indices.
        groups: `(images,)` group indices.
        folds: The model's own.
        classes: Class names.
        seed: Seed of the intervals.

    Returns:
        As `metric.shortcut.control_scores`; `None` where no image that tests is known.
    """
    known = [fold.only(column.known) for fold in folds]
    rows = np.concatenate([fold.test for fold in known])
    if not len(rows):
        return None
    told = control_probabilities(column.seen, labels, known, classes)
    return control_scores(labels[rows], told, groups[rows], classes, seed=seed)


def check_outside(
    check: str, sees: str, remedy: str, scores: Mapping[str, Any], images: Sequence[str] = (), besides: str = ""
) -> Finding:
    """Whether something that is no part of the picture tells the class.

    Args:
        check: Its name.
        sees: What the control is given, as the beginning of a sentence.
        remedy: What to do.
        scores: Of `metric.shortcut.control_scores`.
        images: Paths it concerns.
        besides: What else there is to say, as a sentence with a space before it.
    """
    if not tested(scores):
        return Finding(
            check=check,
            status=Status.WARN,
            why=f"{sees} could not be tested: {too_few(scores['too_few'])}.{besides}",
            do=MORE,
        )
    low = scores["auroc_ci"][0]
    status = Status.FAIL if low >= FAIL_AUROC else Status.WARN if low >= WARN_AUROC else Status.PASS
    return Finding(
        check=check,
        status=status,
        value=scores["auroc"],
        why=f"{sees} alone predict the class with {said(scores)}.{besides}",
        do="" if status is Status.PASS else remedy,
        images=tuple(images),
    )


def check_control(check: str, sees: str, remedy: str, scores: Mapping[str, Any]) -> Finding:
    """Whether a control that sees something of the picture, but not the lungs as they are, does nearly as well.

    Args:
        check: Its name.
        sees: What the control is given, as the beginning of a sentence.
        remedy: What to do.
        scores: Of `metric.shortcut.control_scores`, with the ratio where there is a model.
    """
    ratio, interval = scores.get("ratio"), scores.get("ratio_ci")
    if ratio is None or interval is None or not tested(scores):
        return check_outside(check, sees, remedy, scores)
    status = Status.FAIL if interval[0] >= FAIL_RATIO else Status.WARN if interval[0] >= WARN_RATIO else Status.PASS
    return Finding(
        check=check,
        status=status,
        value=ratio,
        why=f"{sees} alone predict the class with {said(scores)}: {ratio:.2f} [{interval[0]:.2f}, {interval[1]:.2f}] "
        "of the model's score above chance can be had without the lungs.",
        do="" if status is Status.PASS else remedy,
    )


def check_controls(groups: Mapping[str, int], *, least: int = LEAST_GROUPS, do: str = MORE) -> Finding | None:
    """Whether what sees no lungs can be tested, for all controls at once; `None` where all classes can be.

    Args:
        groups: Groups of each class among the images that test, as `metric.shortcut.tested_groups` counts them.
        least: How many it takes.
        do: What to do if a class has fewer.
    """
    small = {name: number for name, number in groups.items() if number < least}
    if not small:
        return None
    enough = [name for name in groups if name not in small]
    how = f"was tested among {_listed(enough)} alone" if len(enough) > 1 else "could not be tested"
    return Finding(
        check="controls",
        status=Status.WARN,
        value=len(small),
        why=f"{_ALL} {how}: {too_few(small, least)}.",
        do=do,
    )


def untested(why: str) -> Finding:
    """That no control could be tested, for a reason given in sentences."""
    return Finding(
        check="controls",
        status=Status.WARN,
        why=f"{_ALL} could not be tested. {why}",
        do="See how many patients each class has with cxrfeat index, and name them in the column patient_id.",
    )


_ALL = "Controls that see no lungs (files, thumbnails, ages and the like)"


def tested(scores: Mapping[str, Any]) -> bool:
    """Whether there are enough images for a control's scores to mean anything."""
    return scores["auroc_ci"] is not None and len(scores["judged"]) > 1


def too_few(small: Mapping[str, int], least: int = LEAST_GROUPS) -> str:
    """Which classes are too small among the images that test, in words.

    Example:
        >>> too_few({"COVID": 3, "NORMAL": 0})
        'it takes 8 patients of a class among the tested images, and there are 3 of COVID and 0 of NORMAL'
    """
    there = _listed([f"{number} of {name}" for name, number in small.items()])
    return f"it takes {least} patients of a class among the tested images, and there are {there or 'too few'}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def said(scores: Mapping[str, Any]) -> str:
    """The control's own scores, in words.

    Example:
        >>> said({"auroc": 0.912, "auroc_ci": [0.9, 0.92], "accuracy": 0.75, "accuracy_ci": [0.7, 0.8]})
        'AUROC 0.912 [0.900, 0.920] and accuracy 0.750 [0.700, 0.800]'
    """
    auroc, accuracy = scores["auroc_ci"], scores["accuracy_ci"]
    return (
        f"AUROC {scores['auroc']:.3f} [{auroc[0]:.3f}, {auroc[1]:.3f}] and accuracy {scores['accuracy']:.3f} "
        f"[{accuracy[0]:.3f}, {accuracy[1]:.3f}]"
    )
