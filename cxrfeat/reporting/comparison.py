"""Runs side by side: whether two are really different, judged on the same test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.feature.described import number_groups
from cxrfeat.head.record import run_summary
from cxrfeat.metric.compare import holm, mcnemar, paired_auroc_difference, paired_difference
from cxrfeat.metric.delong import auroc_difference
from cxrfeat.metric.operating import check_prevalence, predictive_values
from cxrfeat.notebook import brief
from cxrfeat.run.folder import Run, TargetRun
from cxrfeat.run.record import to_json
from cxrfeat.types import Probabilities

if TYPE_CHECKING:
    from cxrfeat.reporting.subgroup import Subgroups  # which takes what is tested from here
    from cxrfeat.reporting.target_comparison import TargetComparison  # likewise

Kind = TypeVar("Kind", Run, TargetRun)

ALPHA = 0.05
"""Runs are tied unless the corrected p is at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs, best first, and how each differs from the first."""

    runs: tuple[Run, ...]
    """Of classes."""
    differences: tuple[dict[str, Any], ...]
    """For every run but the first: `a` and `b` (names), `difference` in accuracy of a less b, `ci`, `p`, `p_holm`,
    `tied`; or `why` there are none. The verdict is the accuracy's. Next to it are `mcnemar` (`only_a`, `only_b`, `p`,
    `p_holm`), which takes images as independent, and is `None` where images were tested repeatedly; `auroc`, the mean
    over classes by the same bootstrap over groups (`difference`, `ci`, `p`, `p_holm`, `tied`); and `auroc_per_class`,
    by DeLong's test over groups (`difference`, `variance`, `ci`, `p`, `p_holm`). Each kind of p is corrected for how
    many of its kind there are."""
    training: tuple[dict[str, float | None], ...]
    """For every run the paper's columns, `None` where there is no such number: `loss`, `accuracy`, `val_loss`,
    `val_accuracy` and `epochs`, of the kept epoch (the last, where none is marked)."""
    predictive: tuple[dict[str, Any], ...]
    """For every run the predictive values at the prevalences that were stated, class by class."""
    subgroups: Subgroups | None = None
    """Where it was asked for, how each run does in parts of its test images."""
    targets: tuple[TargetComparison, ...] = ()
    """Runs that predict a number, or all findings: for each target, those that predict it."""

    __repr__ = brief

    def _repr_html_(self) -> str:
        """What a notebook shows: failed checks, the scores of the runs, and how they differ."""
        from cxrfeat.reporting.audit import audit_table
        from cxrfeat.reporting.difference import difference_table
        from cxrfeat.reporting.score import score_table
        from cxrfeat.reporting.target_tables import target_tables

        told = self.to_dict()
        failed = audit_table([one for one in told["audit"] if one["status"] == "fail"])
        scores = score_table(told["runs"]) if told["runs"] else None
        differences = difference_table(told["comparisons"]) if told["comparisons"] else None
        others = [table for one in told.get("targets", []) for table in target_tables(one)]
        return "".join(one.to_html() for one in (failed, scores, differences, *others) if one is not None)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `compare`."""
        findings = {(one.check, one.why): one for run in self.runs for one in run.document.audit}
        runs = [
            {**run_summary(run), "training": training, "predictive_values": predictive}
            for run, training, predictive in zip(self.runs, self.training, self.predictive, strict=True)
        ]
        told = {"runs": runs, "comparisons": list(self.differences), "audit": to_json(list(findings.values()))}
        told |= {"targets": [one.to_dict() for one in self.targets]} if self.targets else {}
        return told if self.subgroups is None else told | self.subgroups.to_dict()


def different(runs: Sequence[Kind]) -> list[Kind]:
    """The runs, each once, whatever path named it."""
    return list({run.path.resolve(): run for run in runs}.values())


def side_by_side(runs: Sequence[Run], seed: int = 0, *, prevalence: Mapping[str, float] | None = None) -> Comparison:
    """Set different runs of classes side by side, in order of test accuracy; there may be one alone, or none.

    Args:
        runs: Each once.
        seed: Seed of the bootstrap.
        prevalence: As in `cxrfeat.compare`.

    Raises:
        UsageError: If a prevalence is of no class or not between 0 and 1.
        InputError: If a run has no test.
        IntegrityError: If a run is damaged.
    """
    ordered = sorted(runs, key=lambda run: (-run.document.test.accuracy, run.name))
    tests = [tested(run) for run in ordered]
    stated = dict(prevalence or {})
    try:
        check_prevalence(stated, list(dict.fromkeys(name for test in tests for name in test.classes)))
    except ValueError as error:
        raise UsageError(f"`prevalence`: {error}") from error
    found = []
    for run, test in zip(ordered[1:], tests[1:], strict=True):
        found.append({"a": ordered[0].name, "b": run.name, **_difference(tests[0], test, seed)})
    _correct(found)
    return Comparison(
        runs=tuple(ordered),
        differences=tuple(found),
        training=tuple(training_columns(run) for run in ordered),
        predictive=tuple(_predictive(test, stated, seed) for test in tests),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tested:
    """The test images of a run, and what it said of them."""

    rows: tuple[tuple[str, str], ...]
    """Content and image of each test row, sorted."""
    classes: tuple[str, ...]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]
    probabilities: Probabilities

    @property
    def contents(self) -> list[str]:
        """Of each test row its image's content, which is the image wherever it lies; sorted."""
        return [content for content, _ in self.rows]

    def ordered(self, classes: tuple[str, ...]) -> Tested:
        """The same with its classes in another order."""
        place = [self.classes.index(name) for name in classes]
        return replace(self, classes=classes, y=np.argsort(place)[self.y], probabilities=self.probabilities[:, place])


def unlike_images(a: Sequence[str], b: Sequence[str]) -> str:
    """Why two runs that were tested on these contents, sorted, cannot be compared; empty if they can.

    Example:
        >>> unlike_images(["a", "b"], ["b", "c"])
        'not tested on the same images: 1 of 3 are of both runs'
    """
    if a == b:
        return ""
    if set(a) == set(b):
        return f"not tested the same number of times: the same images, {len(a)} predictions against {len(b)}"
    return f"not tested on the same images: {len(set(a) & set(b))} of {len(set(a) | set(b))} are of both runs"


def _unlike(a: Tested, b: Tested) -> str:
    """Why two runs cannot be compared, the first reason of all; empty if they can."""
    if why := unlike_images(a.contents, b.contents):
        return why
    if set(a.classes) != set(b.classes):
        only = [
            [name for name in a.classes if name not in b.classes],
            [name for name in b.classes if name not in a.classes],
        ]
        return f"not with the same classes: {' against '.join(', '.join(names) or 'none' for names in only)}"
    differ = int(np.count_nonzero(a.y != b.ordered(a.classes).y))
    return f"not tested with the same labels: {differ} of {len(a.rows)} differ" if differ else ""


def _difference(a: Tested, b: Tested, seed: int) -> dict[str, Any]:
    if why := _unlike(a, b):
        return {"why": why}
    b = b.ordered(a.classes)
    arguments = (a.y, a.probabilities, b.probabilities)
    return {
        **paired_difference(*arguments, a.groups, seed),
        "mcnemar": mcnemar(*arguments) if len(set(a.rows)) == len(a.rows) else None,
        "auroc": paired_auroc_difference(*arguments, a.groups, seed),
        "auroc_per_class": {
            name: auroc_difference(a.y == index, a.probabilities[:, index], b.probabilities[:, index], a.groups)
            for index, name in enumerate(a.classes)
        },
    }


def _correct(differences: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` next to each `p`, kind by kind, and let it say what is tied."""
    told = [one for one in differences if "why" not in one]
    each = [found for one in told for found in one["auroc_per_class"].values()]
    for kind in (told, [one["mcnemar"] for one in told], [one["auroc"] for one in told], each):
        correct(kind)


def correct(differences: Sequence[dict[str, Any] | None]) -> None:
    """Add `p_holm` next to each `p` of differences that are looked at together, and let it say what is tied."""
    known = [found for found in differences if found is not None and found["p"] is not None]
    for found, p in zip(known, holm([found["p"] for found in known]), strict=True):
        found["p_holm"] = p
        if "tied" in found:
            low, high = found["ci"]
            found["tied"] = p > ALPHA or low <= 0 <= high


def _predictive(test: Tested, prevalence: Mapping[str, float], seed: int) -> dict[str, Any]:
    known = {name: share for name, share in prevalence.items() if name in test.classes}
    return predictive_values(test.y, test.probabilities, test.groups, test.classes, known, seed=seed)


def training_columns(run: Run) -> dict[str, float | None]:
    """The kept epoch; where a head has no epochs, what its validation images say."""
    kept, validation = run.history().kept, run.document.validation
    if kept is None:
        return {
            "epochs": None,
            "loss": None,
            "accuracy": None,
            "val_loss": None if validation is None else validation.log_loss,
            "val_accuracy": None if validation is None else validation.accuracy,
        }
    return {
        "epochs": kept.epoch,
        "loss": kept.loss,
        "accuracy": kept.accuracy,
        "val_loss": kept.val_loss,
        "val_accuracy": kept.val_accuracy,
    }


def tested(run: Run) -> Tested:
    """What a run says of the test images, in an order that is theirs.

    Raises:
        IntegrityError: If it is damaged.
    """
    told = run.predictions()
    order = sorted(told.tested.tolist(), key=lambda row: (told.contents[row], told.image_ids[row], row))
    return Tested(
        rows=tuple((told.contents[row], told.image_ids[row]) for row in order),
        classes=told.classes,
        y=told.labels[order],
        groups=number_groups([told.groups[row] for row in order], [told.contents[row] for row in order]),
        probabilities=told.probabilities[order],
    )
