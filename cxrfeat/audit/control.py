"""The only place that fits controls: classifiers that are given no disease to see, judged as the model is.

What a control reaches on the images that test the model, the model may owe to the same shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.fit import fit_head
from cxrfeat.head.path import logistic_path
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training import Training
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Features, Finding, Labels, Probabilities, Status

WARN_AUROC, FAIL_AUROC = 0.6, 0.8
"""Lower end of a control's AUROC from which it is worth a word, and from which it fails, where what it sees is no part
of the picture. Sources: 0.6 and 0.8 are called poor and good discrimination (Hosmer & Lemeshow 2000, section 5.2.4)."""

WARN_RATIO, FAIL_RATIO = 0.5, 0.8
"""Lower end of a shortcut ratio from which half of a score, and all but a fifth of it, is open to doubt."""


_HEAD, _WIDE = HeadSpec(kind="logreg"), 256


LEAST_GROUPS = 8
"""Patients of each class among the tested images: with fewer, chance alone tells classes apart without a doubt."""


class Piece(Protocol):
    """Images to train on and to test on."""

    @property
    def train(self) -> NDArray[np.intp]:
        """Indices."""
        ...

    @property
    def test(self) -> NDArray[np.intp]:
        """Indices."""
        ...


def control_probabilities(
    seen: Features, labels: Labels, pieces: Sequence[Piece], classes: Sequence[str]
) -> Probabilities:
    """What a logistic regression on what the control sees says of the images that test the model.

    Args:
        seen: `(images, k)` float32.
        labels: `(images,)` class indices.
        pieces: The model's own: each trains on its training images alone, standardisation included.
        classes: Class names.

    Returns:
        `(tested, classes)`, the test images of the pieces one after the other.
    """
    nothing = np.arange(0)
    told = []
    for piece in pieces:
        training = Training(seen[piece.train][:, None], labels[piece.train], seen[nothing], labels[nothing], classes)
        # Where little is seen the path is quick, and needs no scikit-learn, which takes a second to load.
        wide = seen.shape[1] > _WIDE
        head = fit_head(_HEAD, training).head if wide else logistic_path(training, [STRENGTH["logreg"]])[0]
        told.append(head.predict_proba(seen[piece.test]))
    return np.concatenate(told)


def check_outside(check: str, sees: str, remedy: str, scores: Mapping[str, Any], images: Sequence[str] = ()) -> Finding:
    """Whether something that is no part of the picture tells the class.

    Args:
        check: Its name.
        sees: What the control is given, as the beginning of a sentence.
        remedy: What to do.
        scores: Of `metric.shortcut.control_scores`.
        images: Paths it concerns.
    """
    if not tested(scores):
        return Finding(
            check=check,
            status=Status.WARN,
            why=f"{sees} could not be tested: {scores['groups']} patients of a class are among the tested images, "
            f"and it takes {LEAST_GROUPS}.",
            do="Add images, or test on all of them with --folds 5.",
        )
    low = scores["auroc_ci"][0]
    status = Status.FAIL if low >= FAIL_AUROC else Status.WARN if low >= WARN_AUROC else Status.PASS
    return Finding(
        check=check,
        status=status,
        value=scores["auroc"],
        why=f"{sees} alone predict the class with {said(scores)}.",
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
    if ratio is None or interval is None:
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


def tested(scores: Mapping[str, Any]) -> bool:
    """Whether there are enough images for a control's scores to mean anything."""
    return scores["auroc_ci"] is not None and scores["groups"] >= LEAST_GROUPS


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
