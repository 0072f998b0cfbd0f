"""Results as one self-contained page: no script, nothing loaded from anywhere, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat import __version__
from cxrfeat.report.table import (
    RESEARCH_USE,
    Table,
    audit_table,
    class_table,
    difference_table,
    index_tables,
    score_table,
)


def render(title: str, comparison: Mapping[str, Any], *, index: Mapping[str, Any] | None = None) -> str:
    """A page of results.

    Args:
        title: Its heading.
        comparison: The document of `compare`: the runs, how they differ, and what the audit says of them.
        index: The document of `index`, for the data.

    Returns:
        HTML, complete in itself.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("cxrfeat.report"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    runs = comparison["runs"]
    results: list[Table] = [score_table(runs)]
    if comparison["comparisons"]:
        results.append(difference_table(comparison["comparisons"]))
    results += [class_table(run) for run in runs]
    return environment.get_template("report.html").render(
        title=title,
        audit=audit_table(comparison["audit"]),
        results=results,
        data=index_tables(index) if index else [],
        random=any(run["random_weights"] for run in runs),
        research_use=RESEARCH_USE,
        version=__version__,
        runs=[run["run"] for run in runs],
    )
