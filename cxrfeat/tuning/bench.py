"""Where heads are tried on the inner folds of one fold: each fitted once per fold, ever, and judged by the held images.

Nothing here sees an image that tests the choice.
"""

from __future__ import annotations

import contextlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data
from cxrfeat.head.fit import CALIBRATED, Fit
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.parallel import Fitters, outcomes
from cxrfeat.head.regularization_path import STRENGTHS, logistic_path, ridge_path
from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.score import log_loss_of_images, scores
from cxrfeat.spec import HeadSpec, fingerprint
from cxrfeat.tuning.notebook import Notebook, Tally
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.space import Sweep
from cxrfeat.types import Progress


class Steps:
    """Progress over all searches of a call."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        """Begin at zero, for this many fits in all."""
        self._progress, self._done, self._total = progress, 0, total

    def tell(self, kind: str) -> None:
        """One more is done."""
        self._done += 1
        if self._progress:
            self._progress(kind, self._done, self._total)


class AnyBench(ABC):
    """Fits heads on the inner folds of one fold, never twice, and says which did best; subclasses say how."""

    def __init__(self, plan: Plan, name: str, folds: Sequence[Fold], notebook: Notebook, steps: Steps) -> None:
        """Begin with nothing fitted but what the notebook knows.

        Args:
            plan: How to search.
            name: Name of the fold, which tells its fits from those of others in the notebook.
            folds: Its inner folds; their test images judge.
            notebook: What was fitted before.
            steps: Progress.
        """
        self.plan, self.folds, self.steps = plan, folds, steps
        self.shown: dict[HeadSpec, list[Tally]] = {}
        """For each head its tallies on the first folds."""
        self._name, self._notebook = name, notebook

    def sweep(self, sweeps: Sequence[Sweep]) -> None:
        """Fit paths on all folds."""
        for sweep in sweeps:
            for number, fold in enumerate(self.folds):
                key = f"{self._name}|{number}|{sweep.kind} path, views {sweep.views}"
                page = self._notebook.find(key, len(STRENGTHS))
                if page is None:
                    page = self._swept(sweep, fold)
                    self._notebook.keep({key: page})
                for spec, tally in zip(sweep.specs, page, strict=True):
                    self.shown.setdefault(spec, []).append(tally)
                self.steps.tell(sweep.kind)

    def fit(self, specs: Sequence[HeadSpec], upto: int) -> None:
        """Fit heads on the first this many folds, where they have not been."""
        for number, fold in enumerate(self.folds[:upto]):
            missing = []
            for spec in specs:
                if len(self.shown.setdefault(spec, [])) > number:
                    continue
                page = self._notebook.find(self._key(number, spec), 1)
                if page is None:
                    missing.append(spec)
                else:
                    self.shown[spec] += page
                    self.steps.tell(spec.kind)
            self._fit_missing(missing, number, fold)

    def cost(self, spec: HeadSpec) -> tuple[float, float]:
        """What to make small: the score, turned round where more is better; then, on ties, the loss."""
        score, loss = self.score(spec)
        if score is None:
            return math.inf, math.inf
        return (score if self.plan.less_is_better else -score), loss

    @abstractmethod
    def score(self, spec: HeadSpec) -> tuple[float | None, float]:
        """The score over the held images of the folds so far, and the mean loss; `None` where a fit failed."""

    def best(self, specs: Sequence[HeadSpec]) -> list[HeadSpec]:
        """Best first; of equal ones, the first comes first."""
        return sorted(specs, key=self.cost)

    def _key(self, number: int, spec: HeadSpec) -> str:
        return f"{self._name}|{number}|{fingerprint(spec)[:16]}"

    def _keep(self, number: int, spec: HeadSpec, tally: Tally) -> None:
        """Write down what a head showed on a fold."""
        self._notebook.keep({self._key(number, spec): [tally]})
        self.shown[spec].append(tally)
        self.steps.tell(spec.kind)

    @abstractmethod
    def _fit_missing(self, specs: Sequence[HeadSpec], number: int, fold: Fold) -> None:
        """Fit heads on a fold."""

    @abstractmethod
    def _swept(self, sweep: Sweep, fold: Fold) -> list[Tally]:
        """Fit a path on a fold."""


class Bench(AnyBench):
    """Of heads that predict classes."""

    def __init__(
        self,
        data: Data,
        plan: Plan,
        name: str,
        folds: Sequence[Fold],
        notebook: Notebook,
        steps: Steps,
        fitters: Fitters | None = None,
    ) -> None:
        """Begin with these features; all else as in `AnyBench`.

        Args:
            data: The features.
            plan: As in `AnyBench`.
            name: Likewise.
            folds: Likewise.
            notebook: Likewise.
            steps: Likewise.
            fitters: Workers on a cluster that fit what is no path; `None` is this machine.
        """
        super().__init__(plan, name, folds, notebook, steps)
        self._data, self._fitters = data, fitters

    def score(self, spec: HeadSpec) -> tuple[float | None, float]:
        """The score over the held images of the folds so far, and the mean log loss.

        All are of the pooled images but the AUROC, which is a mean over folds: the heads of two folds need not mean the
        same by a probability, so images of one are not ranked against those of another.
        """
        tallies = self.shown[spec]
        if any(one.failed is not None for one in tallies):
            return None, math.inf
        matrix = np.sum([one.counts for one in tallies], axis=0).astype(float)
        log_loss = sum(one.log_loss for one in tallies) / float(matrix.sum())
        if self.plan.by == "accuracy":
            return float(confusion.accuracy(matrix)), log_loss
        if self.plan.by == "balanced-accuracy":
            return float(confusion.balanced_accuracy(matrix)), log_loss
        if self.plan.by == "log-loss":
            return log_loss, log_loss
        told = [(one.auroc, np.sum(one.counts)) for one in tallies if one.auroc is not None]
        if not told:
            return None, log_loss
        return float(np.average([auroc for auroc, _ in told], weights=[images for _, images in told])), log_loss

    def _fit_missing(self, specs: Sequence[HeadSpec], number: int, fold: Fold) -> None:
        file = self._data.file
        coming = outcomes(
            specs,
            self._data.X,
            file.labels,
            [fold],
            file.classes,
            self.plan.jobs,
            again=True,
            fitters=self._fitters,
        )
        with contextlib.closing(coming):
            for (_, index), outcome in coming:
                if isinstance(outcome, Fit):
                    tally = self._tally(outcome.head, fold, outcome.seconds)
                else:
                    tally = Tally(failed=str(outcome))
                self._keep(number, specs[index], tally)

    def _swept(self, sweep: Sweep, fold: Fold) -> list[Tally]:
        training = self._data.training(fold).first_views(sweep.views)
        path = logistic_path if sweep.kind == "logreg" else ridge_path
        began = time.perf_counter()
        heads = path(training, STRENGTHS)
        if sweep.kind in CALIBRATED:
            heads = [
                replace(head, temperature=fit_temperature(head.decision(training.X_val), training.y_val))
                for head in heads
            ]
        seconds = (time.perf_counter() - began) / len(heads)
        return [self._tally(head, fold, seconds) for head in heads]

    def _tally(self, head: FittedHead, fold: Fold, seconds: float) -> Tally:
        y = self._data.file.labels[fold.test]
        probabilities = self._data.probabilities(head, fold.test)
        classes = self._data.file.classes
        matrix = confusion.counts(y, probabilities.argmax(1), len(classes))
        return Tally(
            counts=tuple(tuple(int(count) for count in row) for row in matrix),
            log_loss=float(log_loss_of_images(y, probabilities).sum()),
            auroc=scores(y, probabilities, classes)["auroc"] if self.plan.by == "auroc" else None,
            seconds=round(seconds, 4),
        )
