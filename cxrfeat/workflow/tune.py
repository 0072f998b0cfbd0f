"""The recipe of tuning: search on inner folds of the training part, then test what was chosen, once.

Nothing is chosen on images that test it. The search sees the training and validation images of a fold and parts them
anew in grouped inner folds; standardisation, temperature and weights are made inside each; strength, views and all else
are chosen by the held images of those folds. With `--folds` the whole search is repeated inside each outer fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from cxrfeat.auditing.short import ShortAudit
from cxrfeat.auditing.tested import examined, with_test
from cxrfeat.errors import InputError, IntegrityError, SplitError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold, Split, nested_folds
from cxrfeat.head.choose import head_kinds
from cxrfeat.head.data import Data, load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fit import CALIBRATED, Fit
from cxrfeat.head.fits import fit_folds
from cxrfeat.head.record import existing_run, identity_of, run_summary, write_fitted
from cxrfeat.head.regularization_path import STRENGTHS
from cxrfeat.reporting.summary import with_tested
from cxrfeat.run.folder import Run, all_runs, check_name, digest8, read_run, run_name
from cxrfeat.spec import By, HeadSpec, Sampler, SplitBy
from cxrfeat.system.files import check_writable, remove
from cxrfeat.system.given import PathLike, as_path, one_or_many
from cxrfeat.tuning.space import REVISION, TUNED, Space
from cxrfeat.types import Finding, Progress
from cxrfeat.workflow.fit_head import FitResult
from cxrfeat.workflow.search import Bench, Found, Notebook, Plan, Steps, find_head, load_optuna


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """The tuned run, and what the audit says of it."""

    run: Run
    reused: bool
    """Whether it stood already."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]
    """Of this call: what was continued, or could not be."""

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
        told = {key: self.run.info.get(key) for key in ("search", "test_openings")}
        return {
            "runs": [{**run_summary(self.run), **told, "reused": self.reused}],
            "audit": [asdict(finding) for finding in self.audit],
            "tuning": list(self.notes),
        }


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
    classes: str | Iterable[str] = (),
    progress: Progress | None = None,
) -> TuneResult:
    """Choose a head and its settings on the training part alone, and test the choice once.

    Args:
        features: A feature file, or one that is open.
        heads: Kinds to choose among, one or many, or `all`; `None` is the six and ridge.
        trials: Configurations drawn, beside the default of each kind and the paths.
        inner_folds: Grouped folds of the training part to choose by.
        sampler: `halving` drops two thirds after one fold, and again after a few; `optuna` lets a model of the scores
            so far propose the next configuration.
        by: What to choose by.
        split_by: As in `fit`.
        regroup_given: As in `fit`.
        fold_count: Repeat the search inside each of so many outer folds, and test each choice on its fold.
        tta: Judge and test by the mean probability over the views.
        seed: Of the splits, the draws, the heads and the intervals.
        runs: Folder for the run. An unfinished search keeps what it has fitted there, and the same call goes on.
        name: The run's name.
        jobs: Heads fitted at a time; `None` is as many as there are cores where it pays.
        classes: As in `fit`.
        progress: Told after every fit.

    Returns:
        A run like any other, whose `run.json` holds `search` and `test_openings` too.

    Raises:
        InputError: If the features cannot be used, no configuration can be fitted, or the name is another run's.
        MissingExtraError: If optuna is asked for and not installed.
        SplitError: If the images cannot be parted as asked.
        StorageError: If the disk refuses.
        UsageError: If something asked for does not exist.
    """
    runs = as_path(runs)
    kinds = tuple(head_kinds(one_or_many(heads))) if heads else TUNED
    _check(trials, inner_folds, sampler, by, jobs)
    if name is not None:
        check_name(name)
    with FeatureFile(features) as file:
        data = load(file, tta=tta, classes=classes)
        file = data.file
        split = part_images(file, by=split_by, regroup_given=regroup_given, fold_count=fold_count, seed=seed)
        space = Space(kinds=kinds, views=file.views, seed=seed)
        plan = Plan(space=space, trials=trials, sampler=sampler, by=by, jobs=jobs)
        searched = [*split.folds, *([Fold.everything(file.images)] if split.crossed else [])]
        inner = [inner_split(data, fold, inner_folds, seed) for fold in searched]
        audit = ShortAudit(file, split, seed)
        check_writable(runs)
        asked = {
            "space": REVISION, "strengths": digest8(list(STRENGTHS)), "heads": list(kinds), "trials": trials,
            "inner_folds": inner_folds, "sampler": sampler, "by": by, "seed": seed,
        }  # fmt: skip
        identity = identity_of(data, split, search=asked)
        short = digest8(identity)
        place = runs / (name or run_name(file.content.dataset, file.content.backbone, "tuned", short))
        standing = existing_run(place, identity)
        if standing is not None:
            return TuneResult(
                run=standing, reused=True, audit=with_tested(audit.findings, [standing]), notes=data.notes
            )
        notebook = Notebook(runs / f".tune-{short}.json", identity, len(file.classes))
        steps = Steps(progress, len(searched) * plan.fits(inner_folds) + len(searched))
        found = [
            find_head(Bench(data, plan, fold.name, parts, notebook, steps))
            for fold, parts in zip(searched, inner, strict=True)
        ]
        fits = []
        for one, fold in zip(found, split.folds, strict=False):  # the search on everything comes last and has none
            fits.append(_fit(data, one.spec, fold))
            steps.tell(one.spec.kind)
        last = found[-1].spec
        own = fits
        if split.crossed and last.kind in CALIBRATED:  # its temperature comes from its own decisions out of fold
            own = [_fit(data, last, fold) for fold in split.folds]
        tested = examined(evaluate(data, last, split, fits, seed, own), last.kind, data, audit)
        if split.crossed:
            steps.tell(last.kind)
            tested = replace(tested, notes=(*tested.notes, _who_was_tested(found[:-1])))
        extra = {
            "search": {**asked, **found[-1].to_dict(), "outer": _outer(found[:-1], split) if split.crossed else None},
            "test_openings": openings(runs, split.sha256) + 1,
        }
        # Another process may have made it meanwhile.
        run = existing_run(place, identity) or write_fitted(
            data, split, last, place, identity, with_test(audit.findings, tested), tested, extra
        )
        remove(notebook.path)
        notes = (*data.notes, *notebook.notes)
    return TuneResult(run=run, reused=False, audit=with_tested(audit.findings, [run]), notes=notes)


def inner_split(data: Data, fold: Fold, count: int, seed: int) -> list[Fold]:
    """`nested_folds`, or an error that says where there are none."""
    try:
        return nested_folds(data.file.table, fold, count, seed)
    except SplitError as error:
        where = f"the training part of {fold.name}" if fold.name.startswith("fold") else "the training part"
        raise SplitError(f"`inner_folds={count}` part {where}: {error}") from error


def openings(runs: Path, split_sha256: str) -> int:
    """How many runs in a folder were tested on this very split; damaged ones are not counted."""
    count = 0
    for path in all_runs(runs):
        try:
            split = read_run(path).info.get("split")
        except (InputError, IntegrityError):
            continue
        count += isinstance(split, dict) and split.get("sha256") == split_sha256
    return count


def sentences(search: Mapping[str, Any], test_openings: int) -> list[str]:
    """What a search says: which head, by how much, and what to make of it."""
    settings = settings_text(search["chosen"]["differs"])
    by, best = search["by"].replace("-", " "), search["best_default"]
    chosen = search["chosen"]["kind"] + (f" with {settings}" if settings else " as it is by default")
    if best is None:
        beat = ", and no default could be fitted"
    elif search["gain"] > 0:
        beat = f", {search['gain']:.3f} better than the best default ({best['kind']}, {best['score']:.3f})"
    elif settings:
        beat = f", no better than the best default ({best['kind']}), at a lower log loss"
    else:
        beat = ", and nothing did better"
    where = " on everything" if search["outer"] is not None else ""
    part = "These outer folds have" if search["outer"] is not None else "This test part has"
    opened = "once, by this run" if test_openings == 1 else f"by {test_openings} runs, this one included"
    said = [
        f"Chosen{where}: {chosen}; {by} {search['score']:.3f} on the inner folds{beat}.",
        "A search flatters what it chooses; the test scores above, of images it never saw, are the honest ones.",
        f"{part} been opened {opened}.",
    ]
    if test_openings > 1:
        said.append("Whoever picks the best of several by their test scores needs other images to test the pick.")
    return said


def settings_text(differs: Mapping[str, Any]) -> str:
    """Fields as one reads them.

    Example:
        >>> settings_text({"hidden": [256, 64], "learning_rate": 0.003, "standardize": False})
        'hidden 256,64, learning rate 0.003, no standardize'
    """
    parts = []
    for field, value in differs.items():
        words = field.replace("_", " ")
        if isinstance(value, list):
            parts.append(f"{words} {','.join(map(str, value))}")
        elif isinstance(value, bool):
            parts.append(words if value else f"no {words}")
        else:
            parts.append(f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}")
    return ", ".join(parts)


def _check(trials: int, inner_folds: int, sampler: str, by: str, jobs: int | None) -> None:
    for field, value, known in (("sampler", sampler, get_args(Sampler)), ("by", by, get_args(By))):
        if value not in known:
            raise UsageError(f"`{field}` is {', '.join(known[:-1])} or {known[-1]}; got {value!r}.")
    if trials < 1:
        raise UsageError(f"`trials` is how many configurations are drawn, at least 1; got {trials}.")
    if inner_folds < 2:
        raise UsageError(f"`inner_folds` is at least 2: one part to train on, one to judge by; got {inner_folds}.")
    if jobs is not None and jobs < 1:
        raise UsageError(f"`jobs` is how many heads are fitted at once, at least 1; got {jobs}.")
    if sampler == "optuna":
        load_optuna()


def _fit(data: Data, spec: HeadSpec, fold: Fold) -> Fit:
    return fit_folds(data, [spec], [fold])[0][0]


def _outer(found: Sequence[Found], split: Split) -> list[dict[str, Any]]:
    return [{"name": fold.name, **one.to_dict()} for one, fold in zip(found, split.folds, strict=True)]


def _who_was_tested(found: Sequence[Found]) -> str:
    kinds = [one.spec.kind for one in found]
    told = ", ".join(f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds))
    return f"Each fold was tested with the head that its own search chose: {told}."
