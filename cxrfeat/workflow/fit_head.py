"""The recipe of stage two: audit the features, train heads on them, test each once, and keep the runs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from cxrfeat.auditing.short import ShortAudit
from cxrfeat.auditing.tested import examined, with_test
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, SpecError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.target import LABEL, Uncertain
from cxrfeat.head.balance import check_weighable
from cxrfeat.head.best import Best, best_of
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.data import load
from cxrfeat.head.evaluation import evaluate
from cxrfeat.head.fits import fits_as_they_come
from cxrfeat.head.parallel import Fitters, check_fits
from cxrfeat.head.record import document_of, existing_run, identity_of, run_summary, write_fitted
from cxrfeat.image.row import Quarantined
from cxrfeat.notebook import brief
from cxrfeat.reporting.audit import audit_table
from cxrfeat.reporting.best import best_sentence
from cxrfeat.reporting.score import score_table
from cxrfeat.reporting.shortcut import source_table
from cxrfeat.reporting.summary import with_tested
from cxrfeat.reporting.table import tables_html
from cxrfeat.run.folder import Run, check_name, run_name
from cxrfeat.run.record import digest8
from cxrfeat.spec import HeadKind, SplitBy
from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Finding, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """Runs of one call, and what the audit says of all of them."""

    runs: tuple[Run, ...]
    reused: tuple[bool, ...]
    """For each run, whether it already existed."""
    audit: tuple[Finding, ...]
    quarantined: tuple[Quarantined, ...] = ()
    """Images that this call found it could not use; stage two, which sees none, finds none."""
    began_with: Run | None = None
    """Of a fine-tuning, the run whose head was warm."""
    unfitted: tuple[tuple[HeadKind, str], ...] = ()
    """Heads of several that could not be fitted, and why; the runs of the others are there all the same."""
    best: Best | None = None
    """The run whose validation images it did best on; `None` where no run was validated."""
    notes: tuple[str, ...] = ()
    """What the user should know of all runs, in sentences."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: the checks that did not pass, then the scores."""
        told = self.to_dict()
        return tables_html(audit_table(told["audit"]), score_table(told["runs"]), source_table(told["runs"]))

    @property
    def failed(self) -> list[Finding]:
        """The checks that failed; they belong above every score."""
        return [finding for finding in self.audit if finding.status == "fail"]

    @property
    def refused(self) -> list[Finding]:
        """What a `strict` caller refuses: the checks that failed, and warnings of what was left out."""
        return [finding for finding in self.audit if finding.refused]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head`."""
        runs = [{**run_summary(run), "reused": reused} for run, reused in zip(self.runs, self.reused, strict=True)]
        return {
            "runs": runs,
            "audit": [asdict(finding) for finding in self.audit],
            "best": None if self.best is None else {**self.best.to_dict(), "sentence": best_sentence(self.best)},
            "unfitted": [{"head": kind, "why": why} for kind, why in self.unfitted],
            "notes": list(self.notes),
        }


@with_bar("fits")
def fit(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike] = "all",
    *,
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    fold_count: int | None = None,
    repeats: int = 1,
    source_out: bool = False,
    tta: bool = False,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    jobs: int | None = None,
    cluster: ClusterSpec | None = None,
    classes: str | Iterable[str] = (),
    target: str = LABEL,
    uncertain: Uncertain = "ignore",
    exclude: PathLike | None = None,
    balance_by: str | Iterable[str] = (),
    progress: Progress | None = None,
) -> FitResult:
    """Train heads on cached features and test each on images it has not seen.

    Args:
        features: A feature file, or one that is open.
        heads: What to train, one or many: descriptions, or names such as `logreg` and `all`.
        split_by: `group`, `date`, `column` or `paper`; `None` keeps the split the features are bound to, else the
            data's own, of which images without a part are left out and counted, else splits by group.
        regroup_given: Move groups that the data's own split divides to one side.
        fold_count: Grouped cross-validation with this many folds instead of one test part.
        repeats: How many times to cross-validate, with new folds each time.
        source_out: Leave out one source at a time instead of one test part.
        tta: Validate and test with the mean probability over the views instead of the plain view.
        seed: Seed of the split, the intervals, and heads that are given only by name.
        runs: Folder for the runs.
        name: The run's name; only with one head.
        jobs: Fits at a time; `None` is as many as there are cores where it pays.
        cluster: Fit by workers of one core on this Ray cluster; `None` is this machine.
        classes: Take the images of these classes only; empty is all. Of another target than the label, its classes.
        target: What heads learn to predict: `label`, a finding, `sex`, `view_position`, `source` or another column of
            categories. Images for which it is unknown are left out and counted; the others stay in the parts that they
            are in whatever the target.
        uncertain: What an uncertain finding counts as: `present`, `absent`, or `ignore` (unknown).
        exclude: A table of images to leave out: the one that `labels` wrote, with `yes` under `leave_out`, or any list
            of ids or paths. The others stay in the parts that they are in with all images.
        balance_by: Weigh the training images so that the class is independent of these columns (`sex`, `age:40:65`,
            `view_position`, `source`, `date`) taken together. Validation and test are not weighed.
        progress: Called after every fit.

    Returns:
        One run per head, in order, the audit, and which run did best on its validation images. A run that exists
        already and was made the same way is not made again. A head of several that cannot be fitted is in `unfitted`.

    Raises:
        InputError: If the features cannot be used, the name is taken by another run, or no head can be fitted.
        SplitError: If the images cannot be split as asked, or the features are bound to another split.
        StorageError: If the run cannot be written.
        UsageError: If a column to balance by does not exist, or a head cannot be balanced.
    """
    runs, heads = as_path(runs), head_specs(heads, seed)
    if balance_by:
        check_weighable(heads)
    if cluster is not None:
        check_fits(cluster, jobs)
    if name is not None:
        check_name(name, len(heads))
    with FeatureFile(features) as file:
        data = load(
            file, tta=tta, classes=classes, exclude=exclude, balance_by=balance_by, target=target, uncertain=uncertain
        )
        file = data.file
        split = part_images(
            file,
            by=split_by,
            regroup_given=regroup_given,
            fold_count=fold_count,
            repeats=repeats,
            source_out=source_out,
            seed=seed,
        )
        # Done when asked, while the workers fit.
        audit = ShortAudit(file, split, seed, data.plain)
        check_writable(runs)
        content = file.content
        first = identity_of(data, split, head=heads[0])
        identities = [replace(first, head=spec) for spec in heads]
        places = [
            runs / (name or run_name(content.dataset, content.backbone, spec.kind, digest8(identity)))
            for spec, identity in zip(heads, identities, strict=True)
        ]
        found = [existing_run(place, identity) for place, identity in zip(places, identities, strict=True)]
        wanted = [index for index, run in enumerate(found) if run is None]
        made = list(found)
        specs = [heads[index] for index in wanted]
        unfitted: dict[int, InputError | SpecError] = {}
        with ExitStack() as stack:
            fitters = None if cluster is None or not specs else stack.enter_context(Fitters(cluster, data.X))
            coming = stack.enter_context(
                closing(fits_as_they_come(data, specs, split.folds, jobs=jobs, fitters=fitters, progress=progress))
            )
            for place, fitted in coming:
                index = wanted[place]
                try:
                    if not isinstance(fitted, list):
                        raise fitted
                    tested = evaluate(data, heads[index], split, fitted, seed)
                    test = examined(tested, heads[index].kind, data, audit)
                except (InputError, SpecError) as error:
                    if len(heads) == 1:
                        raise
                    unfitted[index] = error
                    continue
                # Another process, or a head named twice, may have made it meanwhile.
                checks = with_test(audit.findings, test)
                document = document_of(data, heads[index], identities[index], checks, tested, test, audit.encoded)
                made[index] = existing_run(places[index], identities[index]) or write_fitted(
                    places[index], document, data, split, tested
                )
        if len(unfitted) == len(heads):
            raise unfitted[0]
        findings = audit.findings
    fitted_runs = tuple(run for run in made if run is not None)
    return FitResult(
        runs=fitted_runs,
        reused=tuple(one is not None for run, one in zip(made, found, strict=True) if run is not None),
        audit=with_tested(findings, fitted_runs),
        unfitted=tuple((heads[index].kind, str(error)) for index, error in sorted(unfitted.items())),
        best=best_of(fitted_runs, seed),
        notes=data.notes,
    )
