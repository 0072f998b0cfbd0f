"""Every finding that features state: a head of each, on one split, and one table of them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrfeat.auditing.short import plain_checks
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold
from cxrfeat.feature.target import FINDINGS, Target, Uncertain, find_target
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.evaluation import SPECIFICITY
from cxrfeat.head.findings_fit import FindingsFit, fit_to_findings
from cxrfeat.head.target_record import Targets, existing_target_run, mean_summary
from cxrfeat.metric.several import Told, score_several, threshold_at, too_few
from cxrfeat.notebook import brief
from cxrfeat.run.document import Identity
from cxrfeat.run.folder import check_name
from cxrfeat.run.record import from_json
from cxrfeat.run.table import History
from cxrfeat.run.target_document import FindingRates, FindingRecord, FindingScores, FindingsDocument, NotScored
from cxrfeat.spec import SplitBy
from cxrfeat.system.files import check_writable
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.types import Finding, Progress
from cxrfeat.workflow.regression import TargetResult

USUAL = "ridge"
"""The head that is fitted where none is named: one product of the features with themselves serves all findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsResult(TargetResult):
    """Runs of one call that predict all findings, one for each head."""

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head` for all findings."""
        told = [run.document for run in self.runs if isinstance(run.document, FindingsDocument)]
        not_scored = {one.target: one.why for document in told for one in document.not_scored}
        return TargetResult.to_dict(self) | {
            "macro": [mean_summary(document) for document in told],
            "not_scored": [{"target": target, "why": why} for target, why in not_scored.items()],
        }


@with_bar("fits")
def fit_findings(
    features: PathLike,
    heads: HeadLike | Iterable[HeadLike] = USUAL,
    *,
    uncertain: Uncertain = "ignore",
    split_by: SplitBy | None = None,
    regroup_given: bool = False,
    exclude: PathLike | None = None,
    seed: int = 0,
    runs: PathLike = "runs",
    name: str | None = None,
    progress: Progress | None = None,
) -> FindingsResult:
    """Fit a head for each finding, test them on images they have not seen, and keep them together in one run.

    Args:
        features: A feature file with findings, or one that is open.
        heads: What to train, one or many.
        uncertain: What an uncertain finding counts as: `present`, `absent`, or `ignore` (unknown).
        split_by: As in `fit`. One split serves all findings.
        regroup_given: As in `fit`.
        exclude: As in `fit`.
        seed: Seed of the split, the intervals, and heads that are given only by name.
        runs: Folder for the runs.
        name: The run's name; only with one kind of head.
        progress: Called after every fit.

    Returns:
        One run for each kind of head: of each finding prevalence, AUROC, AUPRC, and the sensitivity where the
        specificity is 0.9 on validation images, each with its interval over patients; the mean over findings; and the
        findings that cannot be judged, with the reason. A run that exists already is not made again.

    Raises:
        InputError: If the features state no finding, not one that can be judged, or the name is another run's.
        SplitError: If the images cannot be split as asked.
        StorageError: If a run cannot be written.
    """
    specs = head_specs(heads, seed)
    if name is not None:
        check_name(name, len(specs))
    with FeatureFile(features) as whole:
        if not whole.finding_names:
            raise InputError(
                f"{whole.path} states no findings. Extract the features again, and name the columns with `findings`."
            )
        rows = [] if exclude is None else excluded_rows(whole, exclude)
        file = whole.without(rows) if rows else whole
        split = part_images(file, by=split_by, regroup_given=regroup_given, seed=seed)
        (fold,) = split.folds
        judged, not_scored = _judged(file, fold, uncertain)
        if not judged:
            why = "; ".join(f"{one.target}: {one.why}" for one in not_scored[:6])
            raise InputError(f"No finding of {whole.path} can be judged. {why}.")
        excluded = tuple(sorted(whole.image_ids[row] for row in rows))
        notes = ((f"{len(rows)} images are left out, as `exclude` says.",) if rows else ()) + split.notes
        targets = Targets(
            file=file, X=file.read(), split=split, target=FINDINGS, names=tuple(one.name for one in judged),
            true=np.stack([np.where(one.known, one.labels, np.nan) for one in judged], axis=1),
            uncertain=uncertain, excluded=excluded,
        )  # fmt: skip
        audit = plain_checks(file, split)
        check_writable(as_path(runs))
        made, reused = [], []
        for spec in specs:
            identity = targets.identity(head=spec)
            place = targets.place(runs, name, spec.kind, identity)
            run = existing_target_run(place, identity)
            reused.append(run is not None)
            if run is None:
                fit = fit_to_findings(spec, targets.X, fold, judged, progress)
                document = _document(targets, identity, judged, not_scored, fit, audit, notes, seed)
                # Another process may have made it meanwhile.
                run = existing_target_run(place, identity) or targets.write(
                    place, document, fit.rows, fit.probabilities, History(), fit.arrays
                )
            made.append(run)
    return FindingsResult(runs=tuple(made), reused=tuple(reused), audit=audit, notes=notes)


def _document(
    targets: Targets,
    identity: Identity,
    judged: Sequence[Target],
    not_scored: Sequence[NotScored],
    fit: FindingsFit,
    audit: Sequence[Finding],
    notes: Sequence[str],
    seed: int,
) -> FindingsDocument:
    """What is said of a head of each finding, tested."""
    (fold,) = targets.split.folds
    held = len(fold.validation)
    told = []
    for target, probability in zip(judged, fit.probabilities.T, strict=True):
        known, present = target.known[fit.rows], target.labels[fit.rows] == 1
        threshold = threshold_at(present[:held][known[:held]], probability[:held][known[:held]], SPECIFICITY)
        test = slice(held, None)
        told.append(Told(name=target.name, present=present[test], known=known[test], score=probability[test],
                         threshold=threshold))  # fmt: skip
    scored, mean = score_several(told, targets.file.groups[fold.test], seed=seed)
    return FindingsDocument(
        **targets.about(identity, fit.kind, fit.seconds, audit, notes),
        findings=tuple(
            FindingRecord(
                name=target.name, unknown=int(np.count_nonzero(~target.known)), fitted=head.record(), file=file,
                test=from_json(FindingScores, test),
            )
            for target, head, file, test in zip(judged, fit.heads, fit.files, scored, strict=True)
        ),
        mean=from_json(FindingRates, mean),
        not_scored=tuple(not_scored),
    )  # fmt: skip


def _judged(file: FeatureFile, fold: Fold, uncertain: Uncertain) -> tuple[list[Target], list[NotScored]]:
    """The findings that can be fitted and tested, and the others with the reason."""
    found, others = [], []
    parts = (("training", fold.train, 2), ("validation", fold.validation, 1), ("test", fold.test, None))
    for name in file.finding_names:
        try:
            target = find_target(file, name, uncertain)
        except InputError:
            others.append(NotScored(target=name, why="it is not stated, or the same in all images that state it"))
            continue
        if target.name != name or target.numeric or target.classes[-1] != name:
            others.append(
                NotScored(target=name, why="another column has this name, and the name stands for that column")
            )
            continue
        why = ""
        for part, rows, least in parts:
            known = rows[target.known[rows]]
            limit = {} if least is None else {"least": least}
            short = too_few(target.labels[known] == 1, file.groups[known], **limit)
            why = why or (f"in the {part} part {short}" if short else "")
        if why:
            others.append(NotScored(target=name, why=why))
        else:
            found.append(target)
    return found, others
