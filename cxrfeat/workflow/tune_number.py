"""The recipe of tuning a number: search on inner folds of the training part, then test what was chosen, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cxrfeat.auditing.short import plain_checks
from cxrfeat.bar import with_bar
from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.choose import HeadLike
from cxrfeat.head.number import NUMBER_KINDS
from cxrfeat.head.number_data import load_number
from cxrfeat.head.number_fit import fit_to_number, number_specs
from cxrfeat.head.target_record import existing_target_run, target_summaries
from cxrfeat.notebook import brief
from cxrfeat.run.document import Search
from cxrfeat.run.folder import TargetRun, check_name
from cxrfeat.run.record import digest8, to_json
from cxrfeat.run.target_document import NumberDocument
from cxrfeat.spec import Sampler, SplitBy
from cxrfeat.system.files import check_writable, remove
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.tuning.bench import Steps
from cxrfeat.tuning.notebook import Notebook
from cxrfeat.tuning.number_bench import NumberBench
from cxrfeat.tuning.openings import openings
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.search import find_head, inner_split, load_optuna
from cxrfeat.tuning.space import Space
from cxrfeat.types import Finding, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedNumber:
    """The tuned run, and what the audit says of it."""

    run: TargetRun
    reused: bool
    """Whether it already existed."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    """Of this call: what was left out, what was continued."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that the run failed, then its scores."""
        return self.run._repr_html_()

    @property
    def refused(self) -> list[Finding]:
        """As in `FitResult`."""
        return [finding for finding in self.audit if finding.refused]

    @property
    def document(self) -> NumberDocument:
        """Of the run."""
        assert isinstance(self.run.document, NumberDocument), "it was tuned to predict one"
        return self.run.document

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `tune`."""
        told = {"search": to_json(self.document.search), "test_openings": self.document.test_openings}
        return {
            "runs": [{**target_summaries(self.run)[0], **told, "reused": self.reused}],
            "audit": [asdict(finding) for finding in self.audit],
            "tuning": list(self.notes),
        }


@with_bar("fits")
def tune_number(
    features: PathLike,
    target: str,
    heads: str | Iterable[str] | None = None,
    *,
    trials: int = 32,
    inner_folds: int = 5,
    sampler: Sampler = "halving",
    by: Literal["mae", "rmse"] = "mae",
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> TunedNumber:
    """Choose a head that predicts a number, and its settings, on the training part alone, and test the choice once.

    Args:
        features: A feature file, or one that is open.
        target: As in `fit_number`.
        heads: Kinds to choose among, one or many; `None` is all that can predict a number.
        trials: Configurations drawn, in addition to the default of each kind and the strengths of the ridge.
        inner_folds: Grouped folds of the training part to choose by.
        sampler: As in `tune`.
        by: The error to make small on the held images of these folds, all together.
        split_by: As in `fit`.
        regroup_given: As in `fit`.
        seed: Seed of the splits, the draws, the heads and the intervals.
        runs: Folder for the run. An unfinished search keeps what it has fitted there, and the same call continues.
        name: The run's name.
        progress: Called after every fit.

    Returns:
        A run like those of `fit_number`, whose `run.json` holds `search` and `test_openings` too.

    Raises:
        InputError: If it is not a number, nothing can be fitted, or the name is another run's.
        MissingExtraError: If optuna is asked for and not installed.
        SplitError: If the images cannot be split as asked.
        StorageError: If the disk refuses.
        UsageError: If something asked for does not exist.
    """
    runs = as_path(runs)
    each: list[HeadLike] = one_or_many(heads) if heads else list(NUMBER_KINDS)
    kinds = tuple(spec.kind for spec in number_specs(target, each, seed))
    plan = Plan(trials=trials, inner_folds=inner_folds, sampler=sampler, by=by)
    if not plan.numeric:
        raise UsageError(f"`by={by}` is a score of classes; for {target!r}, a number, choose mae or rmse.")
    if sampler == "optuna":
        load_optuna()
    if name is not None:
        check_name(name)
    with FeatureFile(features) as file:
        data = load_number(file, target, split_by=split_by, regroup_given=regroup_given, seed=seed)
        audit = plain_checks(data.targets.file, data.targets.split)
    targets = data.targets
    space = Space(kinds=kinds, views=targets.X.shape[1], seed=seed, numeric=True)
    inner = inner_split(targets.file.table, data.fold, inner_folds, seed)
    check_writable(runs)
    asked = plan.record(space)
    identity = targets.identity(search=asked)
    place = targets.place(runs, name, "tuned", identity)
    run = existing_target_run(place, identity)
    if run is not None:
        return TunedNumber(run=run, reused=True, audit=audit, notes=data.notes)
    notebook = Notebook(runs / f".tune-{digest8(identity)}.json", to_json(identity), 0)
    steps = Steps(progress, plan.fits(space) + 1)
    found = find_head(NumberBench(data, plan, data.fold.name, inner, notebook, steps), space)
    chosen = found.chosen.spec
    fit = fit_to_number(chosen, *data.training(data.fold))
    steps.tell(chosen.kind)
    search = Search(settings=asked, found=found, outer=None)
    opened = openings(runs, targets.split.sha256) + 1
    # Another process may have made it meanwhile.
    run = existing_target_run(place, identity) or data.write(
        place, identity, chosen.kind, fit, audit, seed, search=search, openings=opened
    )
    remove(notebook.path)
    return TunedNumber(run=run, reused=False, audit=audit, notes=(*data.notes, *notebook.notes))
