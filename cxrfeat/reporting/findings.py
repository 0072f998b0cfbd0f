"""How well each finding is predicted, as one table for each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.metric.several import RATES
from cxrfeat.reporting.table import Table, with_interval

_SHOWN = RATES[:-1]
_TITLES = ("prevalence", "AUROC", "AUPRC", "sensitivity at 0.9 specificity")


def findings_tables(document: Mapping[str, Any]) -> list[Table]:
    """A table for each head: a finding a line, and their mean in the last."""
    return [
        _table(mean, [one for one in document["runs"] if one["head"] == mean["head"]]) for mean in document["macro"]
    ]


def _table(mean: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> Table:
    def cells(of: Mapping[str, Any]) -> list[str]:
        return [with_interval(of[rate], of[f"{rate}_ci"]) for rate in _SHOWN]

    rows = [(one["target"], str(one["test"]["images"]), *cells(one["test"])) for one in scored]
    rows.append((f"mean of {len(scored)}", "", *cells(mean)))
    return Table(
        title=f"Findings, by {mean['head']}: test images that state them, thresholds chosen on validation images",
        columns=("finding", "images", *_TITLES),
        rows=tuple(rows),
        numeric=frozenset({1}),
    )


def not_scored_table(document: Mapping[str, Any]) -> Table | None:
    """Findings that were not judged, and why; `None` where all were."""
    rows = tuple((one["target"], one["why"]) for one in document["not_scored"])
    return Table(title="Findings that cannot be judged", columns=("finding", "why"), rows=rows) if rows else None
