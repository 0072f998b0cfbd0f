"""The search for a head: which configurations are tried on the inner folds of a fold, and which of them is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from cxrfeat.errors import InputError, MissingExtraError, SplitError
from cxrfeat.feature.crossing import nested_folds
from cxrfeat.feature.split import Fold, ImageTable
from cxrfeat.run.document import BestDefault, Chosen, SearchFound, Tried
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.tuning.bench import AnyBench
from cxrfeat.tuning.plan import KEPT, rungs
from cxrfeat.tuning.space import Space, differing


def find_head(bench: AnyBench, space: Space) -> SearchFound:
    """Choose on the inner folds of a bench among the heads of a space.

    Raises:
        InputError: If nothing could be fitted.
    """
    plan, count = bench.plan, len(bench.folds)
    bench.sweep(space.sweeps)
    bench.fit(space.defaults, count)
    (_propose if plan.sampler == "optuna" else _halve)(bench, space)
    ends = [spec for spec, tallies in bench.shown.items() if len(tallies) == count]
    defaults = [space.default(kind) for kind in space.kinds]
    # Of full equals a default comes first: what is no better is no reason to depart from it.
    chosen = bench.best([*defaults, *ends])[0]
    score = bench.score(chosen)[0]
    if score is None:
        raise InputError(
            "No configuration could be fitted; the first failed with: "
            f"{next(one.failed for one in bench.shown[chosen] if one.failed)}"
        )
    default = bench.best(defaults)[0]
    default_score = bench.score(default)[0]
    swept = {spec for sweep in space.sweeps for spec in sweep.specs}
    tops = [bench.best(sweep.specs)[0] for sweep in space.sweeps]
    listed = dict.fromkeys([*defaults, *tops, *(spec for spec in bench.shown if spec not in swept)])
    ordered = sorted(listed, key=lambda spec: (-len(bench.shown[spec]), bench.cost(spec)))
    seconds = sum(tally.seconds for tallies in bench.shown.values() for tally in tallies)
    best_default, gain = None, None
    if default_score is not None:
        best_default = BestDefault(kind=default.kind, score=default_score)
        gain = (default_score - score if plan.less_is_better else score - default_score) + 0.0
    return SearchFound(
        seconds=round(seconds, 3),
        chosen=Chosen(spec=chosen, differs=differing(chosen)),
        score=score,
        best_default=best_default,
        gain=gain,
        tried=tuple(_tried(bench, spec) for spec in ordered),
    )


def _tried(bench: AnyBench, spec: HeadSpec) -> Tried:
    tallies = bench.shown[spec]
    return Tried(
        head=spec.kind,
        differs=differing(spec),
        score=bench.score(spec)[0],
        folds=len(tallies),
        seconds=round(sum(one.seconds for one in tallies), 3),
        failed=next((one.failed for one in tallies if one.failed), None),
    )


def _halve(bench: AnyBench, space: Space) -> None:
    """Draw once, and let the better third of what was drawn continue from rung to rung."""
    alive = space.draws(bench.plan.trials)
    for upto in rungs(len(bench.folds)):
        bench.fit(alive, upto)
        alive = bench.best(alive)[: math.ceil(len(alive) / KEPT)]


def _propose(bench: AnyBench, space: Space) -> None:
    """Let Optuna's tree of Parzen estimators propose one configuration after another."""
    optuna = load_optuna()
    if not space.drawn:
        return
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=space.seed))
    for _ in range(bench.plan.trials):
        trial = search.ask()
        kind = cast(HeadKind, trial.suggest_categorical("head", list(space.drawn)))
        spec = space.configuration(kind, _Suggested(trial))
        known = len(bench.shown.get(spec, []))
        bench.fit([spec], len(bench.folds))
        for _ in range(known):  # it was proposed before, and counts all the same
            bench.steps.tell(kind)
        cost = bench.cost(spec)[0]
        if math.isfinite(cost):
            search.tell(trial, cost)
        else:
            search.tell(trial, state=optuna.trial.TrialState.FAIL)


@dataclass(frozen=True, slots=True)
class _Suggested:
    """Optuna picks."""

    trial: Any

    def one_of(self, name: str, options: Sequence[Any]) -> Any:  # noqa: ANN401  # one of the options
        return self.trial.suggest_categorical(name, list(options))

    def between(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self.trial.suggest_float(name, low, high, log=log))


def load_optuna() -> Any:  # noqa: ANN401  # a module, which may not be there
    """Optuna, silent.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(
            "`sampler=optuna` needs the extra tune: pip install 'cxrfeat[tune]'. Or omit `sampler`."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def inner_split(table: ImageTable, fold: Fold, count: int, seed: int) -> list[Fold]:
    """`nested_folds`, or an error that says where there are none."""
    try:
        return nested_folds(table, fold, count, seed)
    except SplitError as error:
        where = f"the training part of {fold.name}" if fold.name.startswith("fold") else "the training part"
        raise SplitError(f"`inner_folds={count}` part {where}: {error}") from error
