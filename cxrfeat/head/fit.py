"""The only place that fits a head: lets the right library train, then calibrates."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from cxrfeat.errors import SpecError
from cxrfeat.head import network_head, sklearn_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.run.table import History
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Counted

CALIBRATED = ("svm-linear", "svm-rbf", "ridge")
"""Kinds without probabilities of their own: they get a temperature always."""

UNCALIBRATED = "There are no validation images: the head's probabilities are not calibrated."
"""The note of a head that was to get a temperature and got none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted head, and how it came to be."""

    head: FittedHead
    history: History
    """The epochs of a network."""
    seconds: float
    """Training and calibration; loading the libraries apart."""
    notes: list[str]
    """What the user should know, in sentences."""


def fit_head(spec: HeadSpec, training: TrainingSet, progress: Counted | None = None) -> Fit:
    """Train one head on cached features.

    Args:
        spec: Which head, and how to train it.
        training: The rows.
        progress: Called by networks after each epoch with epochs done and epochs in all.

    Returns:
        The head and its history.

    Raises:
        InputError: If training diverges.
        SpecError: If more views per epoch are asked for than there are.

    Example:
        >>> import numpy as np
        >>> y = np.arange(40) % 2
        >>> X = np.random.default_rng(0).normal(y[:, None], 0.1, (40, 3)).astype(np.float32)
        >>> training = TrainingSet(X[:30, None], y[:30], X[30:], y[30:], ["COVID", "NORMAL"])
        >>> fit = fit_head(HeadSpec(kind="logreg"), training)
        >>> bool((fit.head.predict(X[30:]) == y[30:]).all())
        True
    """
    training = training.first_views(spec.views)
    views = training.X.shape[1]
    if spec.views_per_epoch is not None and spec.views_per_epoch > views:
        raise SpecError(
            f"{spec.views_per_epoch} views per image and epoch were asked for; there are {views}. "
            f"Pass `views_per_epoch={views}`, or extract with `views={spec.views_per_epoch}`."
        )
    history = History()
    if spec.kind in network_head.KINDS:
        start = time.perf_counter()
        head, history, notes = network_head.train(spec, training, progress)
    else:
        sklearn_head.load(spec.kind)
        start = time.perf_counter()
        head, notes = sklearn_head.train(spec, training)
    if spec.calibrate or spec.kind in CALIBRATED:
        if len(training.y_val):
            temperature = fit_temperature(head.decision(training.X_val), training.y_val)
            head = replace(head, temperature=temperature)
        else:
            notes = [*notes, UNCALIBRATED]
    return Fit(head=head, history=history, seconds=time.perf_counter() - start, notes=notes)
