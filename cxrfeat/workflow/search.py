"""The search for a head on the inner folds of one fold: each configuration fitted once per fold, ever.

What a fit showed is written down at once, so a search that was stopped goes on where it was. Nothing here sees an image
that tests the choice.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from cxrfeat.errors import InputError, MissingExtraError
from cxrfeat.feature.split import Fold
from cxrfeat.head.data import Data
from cxrfeat.head.fit import CALIBRATED, Fit
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.parallel import outcomes
from cxrfeat.head.regularization_path import STRENGTHS, logistic_path, ridge_path
from cxrfeat.metric import confusion
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.metric.score import log_loss_of_images, scores
from cxrfeat.spec import By, HeadKind, HeadSpec, Sampler, canonical_json, fingerprint, to_dict
from cxrfeat.system.files import write_atomic
from cxrfeat.tuning.space import Space, Sweep, differing
from cxrfeat.types import Progress
from cxrfeat.version import __version__

KEPT = 3
"""One in so many configurations goes on to the next rung."""


def rungs(count: int) -> list[int]:
    """Inner folds after which the worse configurations are dropped, and at last all of them.

    Example:
        >>> rungs(5), rungs(10), rungs(2)
        ([1, 2, 5], [1, 3, 10], [1, 2])
    """
    return sorted({1, round(count**0.5), count})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one head said of the held images of one inner fold, as sums that add up over folds."""

    counts: tuple[tuple[int, ...], ...] = ()
    """Confusion matrix, rows true."""
    log_loss: float = 0.0
    """Summed over images, in nats."""
    auroc: float | None = None
    """Mean over classes; only where the choice is by it."""
    seconds: float = 0.0
    failed: str | None = None
    """Why it could not be fitted."""

    @classmethod
    def read(cls, stored: Mapping[str, Any], classes: int) -> Tally:
        """From JSON.

        Raises:
            TypeError: If it is no tally.
            ValueError: If a number is none.
        """
        counts = tuple(tuple(int(count) for count in row) for row in stored["counts"])
        if stored["failed"] is not None:
            return cls(failed=str(stored["failed"]))
        auroc = None if stored["auroc"] is None else float(stored["auroc"])
        numbers = [float(stored["log_loss"]), float(stored["seconds"]), auroc or 0.0]
        if [len(row) for row in counts] != [classes] * classes or not all(map(math.isfinite, numbers)):
            raise ValueError("no tally")
        return cls(counts=counts, log_loss=numbers[0], auroc=auroc, seconds=numbers[1])


class Notebook:
    """Tallies of an unfinished search, on disk after each, so that the same command goes on where it was stopped."""

    def __init__(self, path: Path, identity: Mapping[str, Any], classes: int) -> None:
        """Read what is there, if it is of this search; whatever else is there is ignored with a note."""
        self.path = path
        self.notes: list[str] = []
        self._head = {
            "format": "cxrfeat-tune",
            "cxrfeat": __version__,
            "identity": json.loads(canonical_json(identity)),
        }
        self._pages: dict[str, list[Tally]] = {}
        self._texts: dict[str, str] = {}
        """Each page as JSON, made once."""
        if not path.exists():
            return
        try:
            stored = json.loads(path.read_bytes())
            if {key: stored[key] for key in self._head} != self._head:
                raise ValueError("of another search")
            pages = {key: [Tally.read(one, classes) for one in page] for key, page in dict(stored["tallies"]).items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.notes.append(f"{path} is damaged or of another version: the search began anew.")
            return
        self._add(pages)
        if pages:
            self.notes.append(f"The search went on after {len(pages)} fits that {path} kept.")

    def find(self, key: str, length: int) -> list[Tally] | None:
        """So many tallies under a key, if they are there."""
        page = self._pages.get(key)
        return page if page is not None and len(page) == length else None

    def keep(self, pages: Mapping[str, list[Tally]]) -> None:
        """Write more tallies down.

        Raises:
            StorageError: If the disk refuses.
        """
        self._add(pages)
        head = json.dumps(self._head, allow_nan=False)
        write_atomic(self.path, f'{head[:-1]}, "tallies": {{{", ".join(self._texts.values())}}}}}'.encode())

    def _add(self, pages: Mapping[str, list[Tally]]) -> None:
        self._pages |= pages
        for key, page in pages.items():
            self._texts[key] = f"{json.dumps(key)}: {json.dumps([asdict(one) for one in page], allow_nan=False)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to search."""

    space: Space
    trials: int
    sampler: Sampler
    by: By
    jobs: int | None

    def fits(self, count: int) -> int:
        """How many fits a search on so many inner folds takes, a path counting as one."""
        always = count * (len(self.space.defaults) + len(self.space.sweeps))
        if self.sampler == "optuna":
            return always + count * (self.trials if self.space.drawn else 0)
        alive, before = len(self.space.draws(self.trials)), 0
        for upto in rungs(count):
            always += alive * (upto - before)
            alive, before = math.ceil(alive / KEPT), upto
        return always


class Steps:
    """Progress over all searches of a call."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        """Begin at zero, for so many fits in all."""
        self._progress, self._done, self._total = progress, 0, total

    def tell(self, kind: str) -> None:
        """One more is done."""
        self._done += 1
        if self._progress:
            self._progress(kind, self._done, self._total)


class Bench:
    """Fits heads on the inner folds of one fold, never twice, and says which did best."""

    def __init__(
        self, data: Data, plan: Plan, name: str, folds: Sequence[Fold], notebook: Notebook, steps: Steps
    ) -> None:
        """Begin with nothing fitted but what the notebook knows.

        Args:
            data: The features.
            plan: How to search.
            name: Of the fold, which tells its fits from those of others in the notebook.
            folds: Its inner folds; their test images judge.
            notebook: What was fitted before.
            steps: Progress.
        """
        self.plan, self.folds, self.steps = plan, folds, steps
        self.shown: dict[HeadSpec, list[Tally]] = {}
        """For each head its tallies on the first folds."""
        self._data, self._name, self._notebook = data, name, notebook

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
        """Fit heads on the first so many folds, where they have not been."""
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
        """What to make small: the score, turned round where more is better; then, on ties, the log loss."""
        score, log_loss = self.score(spec)
        if score is None:
            return math.inf, math.inf
        return (score if self.plan.by == "log-loss" else -score), log_loss

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

    def best(self, specs: Sequence[HeadSpec]) -> list[HeadSpec]:
        """Best first; of equal ones, the first comes first."""
        return sorted(specs, key=self.cost)

    def _key(self, number: int, spec: HeadSpec) -> str:
        return f"{self._name}|{number}|{fingerprint(spec)[:16]}"

    def _fit_missing(self, specs: Sequence[HeadSpec], number: int, fold: Fold) -> None:
        file = self._data.file
        coming = outcomes(specs, self._data.X, file.labels, [fold], file.classes, self.plan.jobs, again=True)
        with contextlib.closing(coming):
            for (_, index), outcome in coming:
                if isinstance(outcome, Fit):
                    tally = self._tally(outcome.head, fold, outcome.seconds)
                else:
                    tally = Tally(failed=str(outcome))
                spec = specs[index]
                self._notebook.keep({self._key(number, spec): [tally]})
                self.shown[spec].append(tally)
                self.steps.tell(spec.kind)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search chose, and what it tried."""

    spec: HeadSpec
    score: float
    default: tuple[HeadSpec, float] | None
    """The best of the default configurations."""
    by: By
    tried: list[dict[str, Any]]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For `run.json`."""
        best, gain = None, None
        if self.default is not None:
            spec, score = self.default
            best = {"kind": spec.kind, "score": score}
            gain = (score - self.score if self.by == "log-loss" else self.score - score) + 0.0
        return {
            "seconds": round(self.seconds, 3),
            "chosen": {**to_dict(self.spec), "differs": differing(self.spec)},
            "score": self.score,
            "best_default": best,
            "gain": gain,
            "tried": self.tried,
        }


def find_head(bench: Bench) -> Found:
    """Choose on the inner folds.

    Raises:
        InputError: If nothing could be fitted.
    """
    plan, space, count = bench.plan, bench.plan.space, len(bench.folds)
    bench.sweep(space.sweeps)
    bench.fit(space.defaults, count)
    (_propose if plan.sampler == "optuna" else _halve)(bench)
    ends = [spec for spec, tallies in bench.shown.items() if len(tallies) == count]
    defaults = [space.default(kind) for kind in space.kinds]
    # Of full equals a default comes first: what is no better is no reason to depart from it.
    chosen = bench.best([*defaults, *ends])[0]
    score = bench.score(chosen)[0]
    if score is None:
        raise InputError(
            "No configuration could be fitted; the first said: "
            f"{next(one.failed for one in bench.shown[chosen] if one.failed)}"
        )
    default = bench.best(defaults)[0]
    default_score = bench.score(default)[0]
    swept = {spec for sweep in space.sweeps for spec in sweep.specs}
    tops = [bench.best(sweep.specs)[0] for sweep in space.sweeps]
    listed = dict.fromkeys([*defaults, *tops, *(spec for spec in bench.shown if spec not in swept)])
    ordered = sorted(listed, key=lambda spec: (-len(bench.shown[spec]), bench.cost(spec)))
    return Found(
        spec=chosen,
        score=score,
        default=None if default_score is None else (default, default_score),
        by=plan.by,
        tried=[_told(bench, spec) for spec in ordered],
        seconds=sum(tally.seconds for tallies in bench.shown.values() for tally in tallies),
    )


def _told(bench: Bench, spec: HeadSpec) -> dict[str, Any]:
    tallies = bench.shown[spec]
    failed = next((one.failed for one in tallies if one.failed is not None), None)
    return {
        "head": spec.kind,
        "differs": differing(spec),
        "score": bench.score(spec)[0],
        "folds": len(tallies),
        "seconds": round(sum(one.seconds for one in tallies), 3),
        **({"failed": failed} if failed else {}),
    }


def _halve(bench: Bench) -> None:
    """Draw once, and let the better third of what was drawn go on from rung to rung."""
    alive = bench.plan.space.draws(bench.plan.trials)
    for upto in rungs(len(bench.folds)):
        bench.fit(alive, upto)
        alive = bench.best(alive)[: math.ceil(len(alive) / KEPT)]


def _propose(bench: Bench) -> None:
    """Let Optuna's tree of Parzen estimators propose one configuration after another."""
    optuna = load_optuna()
    space = bench.plan.space
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
            "`sampler=optuna` needs the extra tune: pip install 'cxrfeat[tune]'. Or leave `sampler` out."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
