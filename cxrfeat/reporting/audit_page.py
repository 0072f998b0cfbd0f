"""The page of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.audit import audit_table, control_table, mitigation_table, pairs_table, sources_table
from cxrfeat.reporting.template import fill
from cxrfeat.reporting.term import CHECKS

PAIRS, EXAMPLES = 48, 6
"""Pairs of copies, and images of each other check, that an audit's page shows."""


def pictured(audit: Mapping[str, Any]) -> list[str]:
    """Paths of the images that the page of an audit shows."""
    paths = [path for pair in audit["copies"][:PAIRS] for path in (pair["image"], pair["copy"])]
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
    return fill(
        "audit.html",
        words=[(one["check"], CHECKS[one["check"]]) for one in audit["checks"] if one["check"] in CHECKS],
        title=title,
        checks=audit_table(audit["checks"], everything=True),
        results=[table for table in tables if table is not None],
        pairs=audit["copies"],
        shown=min(PAIRS, len(audit["copies"])),
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
