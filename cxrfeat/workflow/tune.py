"""The recipe of tuning: search on inner folds of the training part, then test what was chosen, once.

Nothing is chosen on images that test it. The search sees the training and validation images of a fold and parts them
anew in grouped inner folds; standardisation, temperature and weights are made inside each; strength, views and all else
are chosen by the held images of those folds. With `fold_count` the whole search is repeated inside each outer fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from cxrfeat.auditing.short import ShortAudit
from cxrfeat.auditing.tested import examined, with_test
from cxrfeat.bar import with_bar
from cxrfeat.errors import UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, Split
from cxrfeat.feature.target import LABEL, Uncertain
from cxrfeat.head.choose import head_kinds
from cxrfeat.head.data import Data, load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fit import CALIBRATED, Fit
from cxrfeat.head.fits import fit_folds
from cxrfeat.head.parallel import Fitters, check_fits
from cxrfeat.head.record import document_of, existing_run, identity_of, run_summary, write_fitted
from cxrfeat.notebook import brief
from cxrfeat.reporting.search import tried_table
from cxrfeat.reporting.summary import with_tested
from cxrfeat.reporting.table import tables_html
from cxrfeat.run.document import OuterSearch, Search, SearchFound
from cxrfeat.run.folder import Run, check_name, run_name
from cxrfeat.run.record import digest8, to_json
from cxrfeat.spec import By, HeadSpec, Sampler, SplitBy
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.files import check_writable, remove
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.tuning.bench import Bench, Steps
from cxrfeat.tuning.notebook import Notebook
from cxrfeat.tuning.openings import openings
from cxrfeat.tuning.plan import Plan
from cxrfeat.tuning.search import find_head, inner_split, load_optuna
from cxrfeat.tuning.space import TUNED, Space
from cxrfeat.types import Finding, Progress
from cxrfeat.workflow.fit_head import FitResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """The tuned run, and what the audit says of it."""

    run: Run
    reused: bool
    """Whether it already existed."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    """Of this call: what was continued, or could not be."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that did not pass, the scores, and what was tried."""
        (run,) = self.to_dict()["runs"]
        return self._fitted._repr_html_() + tables_html(tried_table(run["search"]))

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed; they belong above every score."""
        return self._fitted.failed

    @property
    def refused(self) -> list[Finding]:
        """As in `FitResult`."""
        return self._fitted.refused

    @property
    def _fitted(self) -> FitResult:
        return FitResult(runs=(self.run,), reused=(self.reused,), audit=self.audit)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `tune`: that of `fit-head`, with `search` and `test_openings` in the run."""
        document = self.run.document
        told = {"search": to_json(document.search), "test_openings": document.test_openings}
        return {
            "runs": [{**run_summary(self.run), **told, "reused": self.reused}],
            "audit": [asdict(finding) for finding in self.audit],
            "tuning": list(self.notes),
        }


@with_bar("fits")
def tune(
    features: PathLike,
    heads: str | Iterable[str] | None = None,
    *,
    trials: int = 32,
    inner_folds: int = 5,
    sampler: Sampler = "halving",
    by: By = "accuracy",
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    tta: bool = False,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    jobs: int | None = None,
    cluster: ClusterSpec | None = None,
    classes: str | Iterable[str] = (),
    target: str = LABEL,
    uncertain: Uncertain = "ignore",
    progress: Progress | None = None,
) -> TuneResult:
    """Choose a head and its settings on the training part alone, and test the choice once.

    Args:
        features: A feature file, or one that is open.
        heads: Kinds to choose among, one or many, or `all`; `None` is the six and ridge.
        trials: Configurations drawn, in addition to the default of each kind and the paths.
        inner_folds: Grouped folds of the training part to choose by.
        sampler: `halving` drops two thirds after one fold, and again after a few; `optuna` lets a model of the scores
            so far propose the next configuration.
        by: What to choose by; not `mae` or `rmse`, by which `tune_number` chooses.
        split_by: As in `fit`.
        regroup_given: As in `fit`.
        fold_count: Repeat the search inside each of this many outer folds, and test each choice on its fold.
        tta: Judge and test by the mean probability over the views.
        seed: Seed of the splits, the draws, the heads and the intervals.
        runs: Folder for the run. An unfinished search keeps what it has fitted there, and the same call continues.
        name: The run's name.
        jobs: Heads fitted at a time; `None` is as many as there are cores where it pays.
        cluster: Fit by workers of one core on this Ray cluster; paths and what is tested stay with this process.
        classes: As in `fit`.
        target: As in `fit`.
        uncertain: As in `fit`.
        progress: Called after every fit.

    Returns:
        A run like any other, whose `run.json` holds `search` and `test_openings` too.

    Raises:
        InputError: If the features cannot be used, no configuration can be fitted, or the name is another run's.
        MissingExtraError: If optuna is asked for and not installed.
        SplitError: If the images cannot be split as asked.
        StorageError: If the disk refuses.
        UsageError: If something asked for does not exist.
    """
    runs = as_path(runs)
    kinds = tuple(head_kinds(one_or_many(heads))) if heads else TUNED
    plan = Plan(trials=trials, inner_folds=inner_folds, sampler=sampler, by=by, jobs=jobs)
    if plan.numeric:
        raise UsageError(
            f"`by={by}` is a score of numbers; for classes choose accuracy, balanced-accuracy, auroc or log-loss."
        )
    if sampler == "optuna":
        load_optuna()
    if cluster is not None:
        check_fits(cluster, jobs)
    if name is not None:
        check_name(name)
    with FeatureFile(features) as file:
        data = load(file, tta=tta, classes=classes, target=target, uncertain=uncertain)
        file = data.file
        split = part_images(file, by=split_by, regroup_given=regroup_given, fold_count=fold_count, seed=seed)
        space = Space(kinds=kinds, views=file.views, seed=seed)
        searched = [*split.folds, *([Fold.everything(file.images)] if split.crossed else [])]
        inner = [inner_split(file.table, fold, inner_folds, seed) for fold in searched]
        audit = ShortAudit(file, split, seed, data.plain)
        check_writable(runs)
        asked = plan.record(space)
        identity = identity_of(data, split, search=asked)
        short = digest8(identity)
        place = runs / (name or run_name(file.content.dataset, file.content.backbone, "tuned", short))
        standing = existing_run(place, identity)
        if standing is not None:
            return TuneResult(
                run=standing, reused=True, audit=with_tested(audit.findings, [standing]), notes=data.notes
            )
        notebook = Notebook(runs / f".tune-{short}.json", to_json(identity), len(file.classes))
        steps = Steps(progress, len(searched) * plan.fits(space) + len(searched))
        with ExitStack() as stack:
            fitters = None if cluster is None else stack.enter_context(Fitters(cluster, data.X))
            found = [
                find_head(Bench(data, plan, fold.name, folds, notebook, steps, fitters), space)
                for fold, folds in zip(searched, inner, strict=True)
            ]
        fits = []
        for one, fold in zip(found, split.folds, strict=False):  # the search on everything comes last and has none
            fits.append(_fit(data, one.chosen.spec, fold))
            steps.tell(one.chosen.spec.kind)
        last = found[-1].chosen.spec
        own = fits
        if split.crossed and last.kind in CALIBRATED:  # its temperature comes from its own decisions out of fold
            own = [_fit(data, last, fold) for fold in split.folds]
        tested = evaluate(data, last, split, fits, seed, own)
        test = examined(tested, last.kind, data, audit)
        if split.crossed:
            steps.tell(last.kind)
            tested = replace(tested, notes=(*tested.notes, _who_was_tested(found[:-1])))
        document = replace(
            document_of(data, last, identity, with_test(audit.findings, test), tested, test, audit.encoded),
            search=Search(settings=asked, found=found[-1], outer=_outer(found[:-1], split) if split.crossed else None),
            test_openings=openings(runs, split.sha256) + 1,
        )
        # Another process may have made it meanwhile.
        run = existing_run(place, identity) or write_fitted(place, document, data, split, tested)
        remove(notebook.path)
        notes = (*data.notes, *notebook.notes)
    return TuneResult(run=run, reused=False, audit=with_tested(audit.findings, [run]), notes=notes)


def _fit(data: Data, spec: HeadSpec, fold: Fold) -> Fit:
    return fit_folds(data, [spec], [fold])[0][0]


def _outer(found: Sequence[SearchFound], split: Split) -> tuple[OuterSearch, ...]:
    return tuple(OuterSearch(name=fold.name, found=one) for one, fold in zip(found, split.folds, strict=True))


def _who_was_tested(found: Sequence[SearchFound]) -> str:
    kinds = [one.chosen.spec.kind for one in found]
    told = ", ".join(f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds))
    return f"Each fold was tested with the head that its own search chose: {told}."
