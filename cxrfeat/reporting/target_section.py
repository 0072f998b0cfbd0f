"""The sections of a report's page about runs of a number and of all findings: what they reach, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxrfeat.head.target_record import mean_summary, target_summaries
from cxrfeat.reporting.chart import whisker
from cxrfeat.reporting.content import TargetContent
from cxrfeat.reporting.difference import apart
from cxrfeat.reporting.findings import findings_tables, not_scored_table
from cxrfeat.reporting.regression import number_tables
from cxrfeat.reporting.summary import worst_findings
from cxrfeat.reporting.table import Table
from cxrfeat.reporting.target_comparison import targets_side_by_side
from cxrfeat.reporting.target_tables import target_tables
from cxrfeat.reporting.target_validation import target_details, target_forest_table
from cxrfeat.run.folder import TargetRun
from cxrfeat.run.record import to_json
from cxrfeat.run.target_document import NumberDocument
from cxrfeat.run.validation_file import any_validations_of


def target_sections(runs: Sequence[TargetRun], seed: int = 0) -> tuple[TargetContent, ...]:
    """A section for each number, and one for all findings.

    Args:
        runs: Each once.
        seed: Seed of the intervals of differences.

    Raises:
        IntegrityError: If a run, or a validation of it, is damaged.
    """
    found = []
    for compared in targets_side_by_side(runs, seed):
        document = compared.to_dict()
        tables: list[Table] = target_tables(document) if len(compared.runs) > 1 else []
        elsewhere = []
        for run in compared.runs:
            tables += _tables(run)
            validations = [to_json(one) for one in any_validations_of(run)]
            if validations:
                elsewhere.append(_elsewhere(run, validations))
        said = apart(document["comparisons"])
        found.append(
            TargetContent(
                target=compared.target,
                title="All findings" if compared.target == "findings" else f"A number: {compared.target}",
                datasets=tuple(dict.fromkeys(run.document.dataset for run in compared.runs)),
                runs=tuple(run.name for run in compared.runs),
                random=any(run.document.random_weights for run in compared.runs),
                findings=worst_findings([to_json(run.document.audit) for run in compared.runs]),
                tables=tuple(tables),
                elsewhere=tuple(elsewhere),
                notes=(said,) if said else (),
            )
        )
    return tuple(found)


def _tables(run: TargetRun) -> list[Table]:
    told = target_summaries(run)
    document = run.document
    if isinstance(document, NumberDocument):
        return number_tables(told[0])
    not_scored = [{"target": one.target, "why": one.why} for one in document.not_scored]
    more = not_scored_table({"not_scored": not_scored})
    return [*findings_tables({"macro": [mean_summary(document)], "runs": told}), *([more] if more else [])]


def _interval(value: float | None, ends: Sequence[float] | None, low: float) -> str:
    return whisker(value, ends, 0.5, low=low)


def _elsewhere(run: TargetRun, validations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "forest": target_forest_table(validations, run.name, _interval),
        "sets": [
            {
                "dataset": one["dataset"],
                "made": one["made"],
                "notes": one["notes"],
                "audit": [{"images": [], "of": "", **finding} for finding in one["audit"]],
                "tables": target_details(one),
            }
            for one in validations
        ],
    }
