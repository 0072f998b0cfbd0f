"""Runs of a number, and runs of all findings, side by side, judged on the same test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.described import number_groups
from cxrfeat.head.target_record import mean_summary, target_summaries
from cxrfeat.metric.regression import paired_number_differences
from cxrfeat.metric.several import Told, several_differences
from cxrfeat.reporting.comparison import correct, unlike_images
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.record import to_json
from cxrfeat.run.target_document import NumberDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetComparison:
    """Runs that predict one number, or all findings, best first, and how each differs from the first."""

    target: str
    """The number, or `findings`."""
    runs: tuple[TargetRun, ...]
    differences: tuple[dict[str, Any], ...]
    """For every run but the first `a` and `b` (names), and `why` they cannot be compared; or of a number `mae`, `rmse`
    and `r2`, of findings `mean` and `findings` (by name): each an object of `difference`, of a less b, `ci`, `p`,
    `p_holm` and `tied`. The verdict is that of the mean absolute error, or of the mean AUROC."""

    @property
    def numeric(self) -> bool:
        """Whether it is of a number."""
        return isinstance(self.runs[0].document, NumberDocument)

    def to_dict(self) -> dict[str, Any]:
        """As the JSON document of `compare` has it."""
        audit = {(one.check, one.why): one for run in self.runs for one in run.document.audit}
        told: dict[str, Any] = {
            "target": self.target,
            "kind": self.runs[0].document.kind,
            "runs": [one for run in self.runs for one in target_summaries(run)],
            "comparisons": list(self.differences),
            "audit": to_json(list(audit.values())),
        }
        if not self.numeric:
            told["macro"] = [
                {"run": run.name, **mean_summary(run.document)}
                for run in self.runs
                if not isinstance(run.document, NumberDocument)
            ]
        return told


def targets_side_by_side(runs: Sequence[TargetRun], seed: int = 0) -> tuple[TargetComparison, ...]:
    """Set the runs of each number side by side, by mean absolute error, and those of all findings by their mean AUROC.

    Args:
        runs: Each once; there may be one alone of a target.
        seed: Seed of the bootstrap.

    Raises:
        IntegrityError: If a run is damaged.
    """
    of_target: dict[tuple[str, str], list[TargetRun]] = {}
    for run in runs:
        of_target.setdefault((run.document.kind, run.document.target), []).append(run)
    return tuple(_side_by_side(target, some, seed) for (_, target), some in of_target.items())


def _side_by_side(target: str, runs: Sequence[TargetRun], seed: int) -> TargetComparison:
    ordered = sorted(runs, key=lambda run: (_rank(run), run.name))
    first, *others = [_tested(run) for run in ordered]
    found: list[dict[str, Any]] = []
    for run, test in zip(ordered[1:], others, strict=True):
        found.append({"a": ordered[0].name, "b": run.name, **_difference(first, test, seed)})
    told = [one for one in found if "why" not in one]
    kinds = [[one[name] for one in told if name in one] for name in ("mae", "rmse", "r2", "mean")]
    for kind in (*kinds, [of for one in told for of in one.get("findings", {}).values()]):
        correct(kind)
    return TargetComparison(target=target, runs=tuple(ordered), differences=tuple(found))


def _rank(run: TargetRun) -> float:
    document = run.document
    return document.test.mae if isinstance(document, NumberDocument) else -document.mean.auroc


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TargetTest:
    """The test images of a run, and what it said of them, in an order that is theirs."""

    numeric: bool
    contents: list[str]
    names: tuple[str, ...]
    groups: NDArray[np.int64]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]


def _tested(run: TargetRun) -> _TargetTest:
    told = run.predictions()
    order = sorted(told.tested.tolist(), key=lambda row: (told.contents[row], told.image_ids[row], row))
    contents = [told.contents[row] for row in order]
    return _TargetTest(
        numeric=isinstance(run.document, NumberDocument),
        contents=contents,
        names=told.names,
        groups=number_groups([told.groups[row] for row in order], contents),
        true=told.true[order],
        predicted=told.predicted[order],
    )


def _difference(a: _TargetTest, b: _TargetTest, seed: int) -> dict[str, Any]:
    if why := unlike_images(a.contents, b.contents):
        return {"why": why}
    names = [name for name in a.names if name in b.names]
    if not names:
        return {"why": "of no finding that is the same"}
    (true_a, said_a), (true_b, said_b) = (
        (test.true[:, at], test.predicted[:, at])
        for test in (a, b)
        for at in [[test.names.index(name) for name in names]]
    )
    same = (true_a == true_b) | (np.isnan(true_a) & np.isnan(true_b))
    if not same.all():
        differ = int(np.count_nonzero(~same.all(axis=1)))
        return {"why": f"not tested with the same values: those of {differ} of {len(same)} images differ"}
    if a.numeric:
        return paired_number_differences(true_a[:, 0], said_a[:, 0], said_b[:, 0], a.groups, seed=seed)
    told = [
        [
            Told(
                name=name, present=true_a[:, at] == 1, known=~np.isnan(true_a[:, at]), score=said[:, at], threshold=0.5
            )
            for at, name in enumerate(names)
        ]
        for said in (said_a, said_b)
    ]
    each, mean = several_differences(told[0], told[1], a.groups, seed=seed)
    return {"mean": mean, "findings": dict(zip(names, each, strict=True))}
