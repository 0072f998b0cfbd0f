"""Every finding that features state: a head of each, on one split, and one table of them all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.auditing.people import check_patients
from cxrfeat.auditing.short import check_quarantine, check_split, check_weights
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.excluded import excluded_rows
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.parting import part_images
from cxrfeat.feature.split import Fold
from cxrfeat.feature.target import Target, Uncertain, find_target
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.evaluation import SPECIFICITY
from cxrfeat.head.fit import fit_head
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.several import Told, score_several, threshold_at, too_few
from cxrfeat.spec import HeadSpec, SplitBy
from cxrfeat.system.given import PathLike
from cxrfeat.types import Finding, Progress, failed_first

USUAL = "ridge"
"""The head that is fitted where none is named: one product of the features with themselves serves all findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsResult:
    """How well each finding is told, head by head."""

    scored: tuple[dict[str, Any], ...]
    """Of each head and finding `target`, `head`, `seconds`, `unknown` (images left out) and `test`."""
    macro: tuple[dict[str, Any], ...]
    """Of each head the mean over its findings."""
    not_scored: tuple[tuple[str, str], ...]
    """Findings that cannot be judged, and why."""
    audit: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def refused(self) -> list[Finding]:
        """As in `FitResult`."""
        return [finding for finding in self.audit if finding.refused]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `fit-head` for all findings."""
        return {
            "runs": list(self.scored),
            "macro": list(self.macro),
            "not_scored": [{"target": name, "why": why} for name, why in self.not_scored],
            "audit": [asdict(finding) for finding in self.audit],
            "best": None,
            "unfitted": [],
            "curves": [],
            "notes": list(self.notes),
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
    progress: Progress | None = None,
) -> FindingsResult:
    """Fit a head for each finding and test it on images it has not seen; no run is kept.

    Args:
        features: A feature file with findings, or one that is open.
        heads: What to train, one or many.
        uncertain: What an uncertain finding is taken for: `present`, `absent`, or `ignore`, not known.
        split_by: As in `fit`. One split serves all findings.
        regroup_given: As in `fit`.
        exclude: As in `fit`.
        seed: Of the split, the draws of the intervals, and heads that are only named.
        progress: Told after every fit.

    Returns:
        Prevalence, AUROC, AUPRC, and the sensitivity where the specificity is 0.9 on validation images, each with its
        interval over patients; the mean over findings; and the findings that cannot be judged, with the reason.

    Raises:
        InputError: If the features state no finding, or not one that can be judged.
        SplitError: If the images cannot be split as asked.
    """
    specs = head_specs(heads, seed)
    with FeatureFile(features) as whole:
        if not whole.finding_names:
            raise InputError(f"{whole.path} states no findings. Extract the features again, with `findings` named.")
        rows = [] if exclude is None else excluded_rows(whole, exclude)
        file = whole.without(rows) if rows else whole
        split = part_images(file, by=split_by, regroup_given=regroup_given, seed=seed)
        (fold,) = split.folds
        targets, not_scored = _judged(file, fold, uncertain)
        if not targets:
            why = "; ".join(f"{name}: {reason}" for name, reason in not_scored[:6])
            raise InputError(f"Not one finding of {whole.path} can be judged. {why}.")
        X = file.read()
        groups = file.groups
        audit = failed_first(
            one
            for one in (
                check_weights(file.spec.weights),
                check_patients(file.known_patients),
                check_split(split, groups, bound=file.spec.split is not None),
                check_quarantine(len(file.content.quarantine), file.images),
            )
            if one is not None
        )
    scored, macro = [], []
    for spec in specs:
        start = time.perf_counter()
        score = _scores(X, fold, targets, spec, progress)
        seconds = (time.perf_counter() - start) / len(targets)
        told = []
        for target, of_target in zip(targets, score, strict=True):
            held = fold.validation[target.known[fold.validation]]
            threshold = threshold_at(target.labels[held] == 1, of_target[held], SPECIFICITY)
            told.append(Told(name=target.name, present=target.labels[fold.test] == 1, known=target.known[fold.test],
                             score=of_target[fold.test], threshold=threshold))  # fmt: skip
        tests, mean = score_several(told, groups[fold.test], seed=seed)
        for target, test in zip(targets, tests, strict=True):
            scored.append(
                {
                    "target": target.name,
                    "head": spec.kind,
                    "seconds": round(seconds, 3),
                    "unknown": int(np.count_nonzero(~target.known)),
                    "test": test,
                }
            )
        macro.append({"head": spec.kind, "findings": len(targets), **mean})
    excluded = (f"{len(rows)} images are left out as `exclude` says.",) if rows else ()
    return FindingsResult(
        scored=tuple(scored),
        macro=tuple(macro),
        not_scored=tuple(not_scored),
        audit=tuple(audit),
        notes=(*excluded, *split.notes),
    )


def _judged(file: FeatureFile, fold: Fold, uncertain: Uncertain) -> tuple[list[Target], list[tuple[str, str]]]:
    """The findings that can be fitted and tested, and the others with the reason."""
    found, others = [], []
    parts = (("training", fold.train, 2), ("validation", fold.validation, 1), ("test", fold.test, None))
    for name in file.finding_names:
        try:
            target = find_target(file, name, uncertain)
        except InputError:
            others.append((name, "it is not stated, or the same in all images that state it"))
            continue
        if target.name != name or target.numeric or target.classes[-1] != name:
            others.append((name, "another column has its name, and is the target of that name"))
            continue
        why = ""
        for part, rows, least in parts:
            known = rows[target.known[rows]]
            limit = {} if least is None else {"least": least}
            short = too_few(target.labels[known] == 1, file.groups[known], **limit)
            why = why or (f"in the {part} part {short}" if short else "")
        if why:
            others.append((name, why))
        else:
            found.append(target)
    return found, others


def _scores(
    X: NDArray[np.float32], fold: Fold, targets: list[Target], spec: HeadSpec, progress: Progress | None
) -> list[NDArray[np.float64]]:
    """`(images,)` for each target: what its head says of the plain views; images that train are of no matter."""
    told = np.concatenate([fold.validation, fold.test])
    found = [np.full(len(X), np.nan) for _ in targets]
    if spec.kind == "ridge" and spec.class_weights == "none":
        values = [np.where(one.known, 2.0 * one.labels - 1.0, np.nan)[fold.train] for one in targets]
        views = X.shape[1] if spec.views is None else spec.views
        if views > X.shape[1]:
            raise UsageError(f"`views={views}` of each image were asked for; the features hold {X.shape[1]}.")
        fitted = fit_ridge_targets(X[fold.train][:, :views], values, spec.strength or STRENGTH["ridge"])
        for one, decided in zip(found, fitted.predict(X[told, 0]).T, strict=True):
            one[told] = decided
        if progress:
            progress(spec.kind, len(targets), len(targets))
        return found
    for done, (one, target) in enumerate(zip(found, targets, strict=True), start=1):
        train, held = (rows[target.known[rows]] for rows in (fold.train, fold.validation))
        labels = target.labels
        training = TrainingSet(X[train], labels[train], X[held, 0], labels[held], target.classes)
        one[told] = fit_head(spec, training).head.predict_proba(X[told, 0])[:, 1]
        if progress:
            progress(spec.kind, done, len(targets))
    return found
