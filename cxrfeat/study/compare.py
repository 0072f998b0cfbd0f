"""The recipe of comparison: are two runs really different, judged on the same test images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, UsageError
from cxrfeat.feature.store import number_groups
from cxrfeat.metric.compare import holm, paired_difference
from cxrfeat.run import Run
from cxrfeat.study.fit import run_summary
from cxrfeat.types import Probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs, best first, and how each differs from the first."""

    runs: tuple[Run, ...]
    differences: tuple[dict[str, Any], ...]
    """For every run but the first: `a` and `b` (names), `difference` in accuracy of a less b, `ci`, `p`, `p_holm`,
    `tied`; or `why` there can be none."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `compare`."""
        findings = {(one["check"], one["why"]): one for run in self.runs for one in run.info.get("audit", [])}
        return {
            "runs": [run_summary(run) for run in self.runs],
            "comparisons": list(self.differences),
            "audit": list(findings.values()),
        }


def compare(runs: Sequence[Run], seed: int = 0) -> Comparison:
    """Set runs side by side, in order of test accuracy.

    Args:
        runs: At least two.
        seed: Of the bootstrap.

    Raises:
        UsageError: If there are fewer than two different runs.
        InputError: If a run has no test.
        IntegrityError: If a run is damaged.
    """
    distinct = list({run.path.resolve(): run for run in runs}.values())
    if len(distinct) < 2:
        given = f"only {distinct[0].name} is" if distinct else "none is"
        raise UsageError(
            f"Comparing takes at least two different runs, and {given} here. Fit another head: "
            "`cxrfeat fit-head --head logreg`."
        )
    ordered = sorted(distinct, key=lambda run: (-_accuracy(run), run.name))
    tests = [_tested(run) for run in ordered]
    first = tests[0]
    found: list[dict[str, Any]] = []
    for run, other in zip(ordered[1:], tests[1:], strict=True):
        names = {"a": ordered[0].name, "b": run.name}
        if list(first.rows) != list(other.rows) or first.classes != other.classes:
            found.append({**names, "why": "not tested on the same images"})
            continue
        found.append(
            {**names, **paired_difference(first.y, first.probabilities, other.probabilities, first.groups, seed)}
        )
    told = [one for one in found if one.get("p") is not None]
    for one, p in zip(told, holm([one["p"] for one in told]), strict=True):
        one["p_holm"] = p
        one["tied"] = p > 0.05
    return Comparison(runs=tuple(ordered), differences=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Test:
    rows: tuple[tuple[str, str], ...]
    """Content and image of each test row, sorted."""
    classes: tuple[str, ...]
    y: NDArray[np.int64]
    groups: NDArray[np.int64]
    probabilities: Probabilities


def _accuracy(run: Run) -> float:
    try:
        return float(run.info["test"]["accuracy"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run.path} has no test score to compare.") from error


def _tested(run: Run) -> _Test:
    table = run.table("predictions.csv")
    try:
        classes = tuple(run.info["classes"])
        part = table["part"]
        keys = list(zip(table["content_sha256"], table["image_id"], strict=True))
        rows = sorted((key, index) for index, key in enumerate(keys) if part[index] != "validation")
        order = [index for _, index in rows]
        probabilities = np.array([[float(table[f"probability {name}"][i]) for name in classes] for i in order])
        groups = number_groups([table["group"][i] for i in order], [table["content_sha256"][i] for i in order])
        return _Test(
            rows=tuple(key for key, _ in rows),
            classes=classes,
            y=np.array([classes.index(table["label"][index]) for index in order], dtype=np.int64),
            groups=groups,
            probabilities=probabilities,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{run.path / 'predictions.csv'} is damaged ({error}). Fit the head again.") from error
