"""Results as one self-contained page: no script, nothing loaded from anywhere, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat import __version__
from cxrfeat.report.audit import control_table, mitigation_table, pairs_table, sources_table
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
    runs = comparison["runs"]
    results: list[Table] = [score_table(runs)]
    if comparison["comparisons"]:
        results.append(difference_table(comparison["comparisons"]))
    results += [class_table(run) for run in runs]
    return _fill(
        "report.html",
        title=title,
        audit=audit_table(comparison["audit"]),
        results=results,
        data=index_tables(index) if index else [],
        random=any(run["random_weights"] for run in runs),
        runs=[run["run"] for run in runs],
    )


PAIRS, EXAMPLES = 48, 6
"""Pairs of copies, and images of each other check, that an audit's page shows."""


def pictured(audit: Mapping[str, Any]) -> list[str]:
    """Paths of the images that the page of an audit shows."""
    paths = [path for pair in audit["duplicates"][:PAIRS] for path in pair]
    return list(dict.fromkeys(paths + [path for _, images in _examples(audit) for path in images]))


def render_audit(title: str, audit: Mapping[str, Any], pictures: Mapping[str, str]) -> str:
    """A page of what the audit found, with the images it is about.

    Args:
        title: Its heading.
        audit: The document of `audit`.
        pictures: For the paths of `pictured`, as far as they are to be seen, `data:` addresses of images.

    Returns:
        HTML, complete in itself.
    """
    tables = (
        sources_table(audit["sources"]),
        control_table(audit["controls"]),
        pairs_table(audit["within_source"]),
        mitigation_table(audit["mitigations"]),
    )
    return _fill(
        "audit.html",
        title=title,
        checks=audit_table(audit["checks"], everything=True),
        results=[table for table in tables if table is not None],
        pairs=audit["duplicates"],
        shown=min(PAIRS, len(audit["duplicates"])),
        examples=_examples(audit),
        pictures=pictures,
        images=audit["images"],
        classes=audit["classes"],
    )


def _examples(audit: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Checks that name images, copies apart, each with some of them."""
    return [
        (one["check"], list(one["images"][:EXAMPLES]))
        for one in audit["checks"]
        if one["images"] and one["status"] != "pass" and not one["check"].startswith("copies")
    ]


def _fill(template: str, **values: Any) -> str:  # noqa: ANN401  # whatever the template names
    from jinja2 import Environment, PackageLoader, select_autoescape

    environment = Environment(
        loader=PackageLoader("cxrfeat.report"), autoescape=select_autoescape(default=True), trim_blocks=True
    )
    return environment.get_template(template).render(**values, research_use=RESEARCH_USE, version=__version__)
