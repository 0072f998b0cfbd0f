"""Where heads that predict a number are tried on inner folds, each judged by the errors on the held images."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from cxrfeat.errors import DivergedError, SpecError
from cxrfeat.feature.split import Fold
from cxrfeat.head.number import FittedNumber
from cxrfeat.head.number_data import NumberData
from cxrfeat.head.number_fit import fit_to_number
from cxrfeat.head.regularization_path import STRENGTHS, ridge_number_path
from cxrfeat.spec import HeadSpec
from cxrfeat.tuning.bench import AnyBench, Steps
from cxrfeat.tuning.notebook import Notebook, Tally
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.space import Sweep


class NumberBench(AnyBench):
    """Of heads that predict a number."""

    def __init__(
        self, data: NumberData, plan: Plan, name: str, folds: Sequence[Fold], notebook: Notebook, steps: Steps
    ) -> None:
        """Begin with these features; all else as in `AnyBench`."""
        super().__init__(plan, name, folds, notebook, steps)
        self._data = data

    def score(self, spec: HeadSpec) -> tuple[float | None, float]:
        """The error over the held images of the folds so far, all of them together, and the mean squared error."""
        tallies = self.shown[spec]
        if any(one.failed is not None for one in tallies):
            return None, math.inf
        images = sum(one.images for one in tallies)
        absolute, squared = (
            sum(of) / images for of in ([one.absolute for one in tallies], [one.squared for one in tallies])
        )
        return (absolute if self.plan.by == "mae" else math.sqrt(squared)), squared

    def _fit_missing(self, specs: Sequence[HeadSpec], number: int, fold: Fold) -> None:
        for spec in specs:
            try:
                fit = fit_to_number(spec, *self._data.training(fold))
                tally = self._tally(fit.head, fold, fit.seconds)
            except (DivergedError, SpecError) as error:
                tally = Tally(failed=str(error))
            self._keep(number, spec, tally)

    def _swept(self, sweep: Sweep, fold: Fold) -> list[Tally]:
        X, y, _, _ = self._data.training(fold)
        began = time.perf_counter()
        heads = ridge_number_path(X if sweep.views is None else X[:, : sweep.views], y, STRENGTHS)
        seconds = (time.perf_counter() - began) / len(heads)
        return [self._tally(head, fold, seconds) for head in heads]

    def _tally(self, head: FittedNumber, fold: Fold, seconds: float) -> Tally:
        error = self._data.predicted(head, fold.test) - self._data.values[fold.test]
        return Tally(
            images=len(error),
            absolute=float(np.abs(error).sum()),
            squared=float(np.square(error).sum()),
            seconds=round(seconds, 4),
        )
