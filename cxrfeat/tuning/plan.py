"""How to search for a head, and how much work that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from cxrfeat.errors import UsageError
from cxrfeat.head.regularization_path import STRENGTHS
from cxrfeat.run.document import SearchSettings
from cxrfeat.run.record import digest8
from cxrfeat.spec import By, Sampler
from cxrfeat.tuning.space import REVISION, Space

ERRORS = ("mae", "rmse")
"""What heads of a number are chosen by."""

KEPT = 3
"""One in this many configurations goes on to the next rung."""


def rungs(count: int) -> list[int]:
    """Inner folds after which the worse configurations are dropped, and at last all of them.

    Example:
        >>> rungs(5), rungs(10), rungs(2)
        ([1, 2, 5], [1, 3, 10], [1, 2])
    """
    return sorted({1, round(count**0.5), count})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to search: how much, by what, and judged on how many inner folds."""

    trials: int = 32
    """Configurations drawn, besides the default of each kind and the paths."""
    inner_folds: int = 5
    """Grouped folds of the training part to choose by."""
    sampler: Sampler = "halving"
    """`halving` drops two thirds after one fold, and again after a few; `optuna` lets a model of the scores so far
    propose the next configuration."""
    by: By = "accuracy"
    """What to choose by."""
    jobs: int | None = None
    """Heads fitted at a time; `None` is as many as there are cores where it pays."""

    def __post_init__(self) -> None:
        """Refuse a search that cannot be made.

        Raises:
            UsageError: If there is no such sampler or score, or a number is too small.
        """
        for field, value, known in (("sampler", self.sampler, get_args(Sampler)), ("by", self.by, get_args(By))):
            if value not in known:
                raise UsageError(f"`{field}` is {', '.join(known[:-1])} or {known[-1]}; got {value!r}.")
        if self.trials < 1:
            raise UsageError(f"`trials` is how many configurations are drawn, at least 1; got {self.trials}.")
        if self.inner_folds < 2:
            raise UsageError(
                f"`inner_folds` is at least 2: one part to train on, one to judge by; got {self.inner_folds}."
            )
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"`jobs` is how many heads are fitted at once, at least 1; got {self.jobs}.")

    @property
    def numeric(self) -> bool:
        """Whether heads of a number are chosen."""
        return self.by in ERRORS

    @property
    def less_is_better(self) -> bool:
        """Whether what is chosen by is to be small."""
        return self.by in ("log-loss", *ERRORS)

    def fits(self, space: Space) -> int:
        """How many fits a search of a space takes, a path counting as one."""
        count = self.inner_folds
        always = count * (len(space.defaults) + len(space.sweeps))
        if self.sampler == "optuna":
            return always + count * (self.trials if space.drawn else 0)
        alive, before = len(space.draws(self.trials)), 0
        for upto in rungs(count):
            always += alive * (upto - before)
            alive, before = math.ceil(alive / KEPT), upto
        return always

    def record(self, space: Space) -> SearchSettings:
        """What a run says of it, on which what is found depends; how many are fitted at a time changes nothing."""
        return SearchSettings(
            space=REVISION, strengths=digest8(list(STRENGTHS)), heads=tuple(space.kinds), trials=self.trials,
            inner_folds=self.inner_folds, sampler=self.sampler, by=self.by, seed=space.seed,
        )  # fmt: skip
