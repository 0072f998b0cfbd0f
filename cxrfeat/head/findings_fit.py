"""The only place that fits a head to each of several findings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.feature.split import Fold, Rows
from cxrfeat.feature.target import Target
from cxrfeat.head.fit import fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import fit_temperature, softmax
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.types import Progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FindingsFit:
    """A head for each finding, and what they say of the images that do not train."""

    kind: HeadKind
    heads: tuple[FittedHead, ...]
    rows: Rows
    """Of the images that validate, and then of those that test."""
    probabilities: NDArray[np.float64]
    """`(rows, findings)`."""
    seconds: float

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files of their arrays."""
        return tuple(f"head-{number}.npz" for number in range(1, len(self.heads) + 1))

    @property
    def arrays(self) -> dict[str, bytes]:
        """What is in them."""
        return {file: head.to_npz() for file, head in zip(self.files, self.heads, strict=True)}


def fit_to_findings(
    spec: HeadSpec, X: NDArray[np.float32], fold: Fold, targets: Sequence[Target], progress: Progress | None = None
) -> FindingsFit:
    """Fit a head to each finding.

    Args:
        spec: Which. `ridge` heads of one penalty share the product of the features with themselves, which costs most.
        X: `(images, views, dim)`.
        fold: On which images.
        targets: The findings, of the same images, each known of some in every part.
        progress: Called after every fit.

    Raises:
        DivergedError: If a training does.
        UsageError: If more views are asked for than there are.
    """
    start = time.perf_counter()
    rows = np.concatenate([fold.validation, fold.test])
    found = np.empty((len(rows), len(targets)))
    heads = []
    if spec.kind == "ridge" and spec.class_weights == "none":
        values = [np.where(one.known, 2.0 * one.labels - 1.0, np.nan)[fold.train] for one in targets]
        views = X.shape[1] if spec.views is None else spec.views
        if views > X.shape[1]:
            raise UsageError(f"`views={views}` of each image were asked for; the features hold {X.shape[1]}.")
        fitted = fit_ridge_targets(X[fold.train][:, :views], values, spec.strength or STRENGTH["ridge"])
        for place, (target, said) in enumerate(zip(targets, fitted.predict(X[rows, 0]).T, strict=True)):
            decision = np.column_stack([-said, said])
            held = np.flatnonzero(target.known[fold.validation])  # validation rows come first
            temperature = fit_temperature(decision[held], target.labels[fold.validation[held]])
            heads.append(fitted.classifier(place, target.classes, temperature))
            found[:, place] = softmax(decision / temperature)[:, 1]
        if progress:
            progress(spec.kind, len(targets), len(targets))
    else:
        for place, target in enumerate(targets):
            train, held = (part[target.known[part]] for part in (fold.train, fold.validation))
            labels = target.labels
            training = TrainingSet(X[train], labels[train], X[held, 0], labels[held], target.classes)
            heads.append(fit_head(spec, training).head)
            found[:, place] = heads[-1].predict_proba(X[rows, 0])[:, 1]
            if progress:
                progress(spec.kind, place + 1, len(targets))
    seconds = time.perf_counter() - start
    return FindingsFit(kind=spec.kind, heads=tuple(heads), rows=rows, probabilities=found, seconds=seconds)
