"""The page of an audit, with small pictures of the images it is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxrfeat.call import PYTHON, Words
from cxrfeat.errors import BadImageError
from cxrfeat.image.content import read_file
from cxrfeat.image.decode import decode
from cxrfeat.reporting.audit import audit_table, control_table, mitigation_table, pairs_table, sources_table
from cxrfeat.reporting.picture import data_address
from cxrfeat.reporting.shortcut import encoded_table
from cxrfeat.reporting.template import fill
from cxrfeat.reporting.term import CHECKS
from cxrfeat.system.files import write_atomic

PAIRS, EXAMPLES = 48, 6
"""Pairs of copies, and images of each other check, that an audit's page shows."""


def pictured(audit: Mapping[str, Any]) -> list[str]:
    """Paths of the images that the page of an audit shows."""
    paths = [path for pair in audit["copies"][:PAIRS] for path in (pair["image"], pair["copy"])]
    return list(dict.fromkeys(paths + [path for _, images in _examples(audit) for path in images]))


def render_audit(title: str, audit: Mapping[str, Any], pictures: Mapping[str, str], words: Words = PYTHON) -> str:
    """A page of what the audit found, with the images it is about.

    Args:
        title: Its heading.
        audit: The document of `audit`.
        pictures: For the paths of `pictured`, as far as they are to be seen, `data:` addresses of images.
        words: How it says what to do.

    Returns:
        HTML, complete in itself.
    """
    tables = (
        sources_table(audit["sources"]),
        control_table(audit["controls"]),
        encoded_table(audit["encoded"]),
        pairs_table(audit["within_source"]),
        mitigation_table(audit["mitigations"]),
    )
    return fill(
        "audit.html",
        words=words,
        meanings=[(one["check"], CHECKS[one["check"]]) for one in audit["checks"] if one["check"] in CHECKS],
        title=title,
        checks=audit_table(
            [{**one, **{name: words.message(one[name]) for name in ("why", "do")}} for one in audit["checks"]],
            everything=True,
        ),
        results=[table for table in tables if table is not None],
        pairs=audit["copies"],
        shown=min(PAIRS, len(audit["copies"])),
        examples=_examples(audit),
        pictures=pictures,
        images=audit["images"],
        classes=audit["classes"],
    )


def write_page(place: Path, document: Mapping[str, Any], root: Path | None, words: Words = PYTHON) -> None:
    """Write what the audit found as one self-contained page.

    Args:
        place: The page.
        document: As `AuditResult.to_dict` gives it.
        root: The data folder, from which the page takes small pictures; `None` shows none.
        words: How it says what to do.

    Raises:
        StorageError: If it cannot be written.
    """
    pictures = {} if root is None else {path: _picture(root / path) for path in pictured(document)}
    title = f"cxrfeat audit of {document['images']} images"
    shown = {path: one for path, one in pictures.items() if one}
    write_atomic(place, render_audit(title, document, shown, words).encode())


def _examples(audit: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Checks that name images, copies apart, each with some of them."""
    return [
        (one["check"], list(one["images"][:EXAMPLES]))
        for one in audit["checks"]
        if one["images"] and one["status"] != "pass" and not one["check"].startswith("copies")
    ]


def _picture(path: Path) -> str | None:
    """A small picture as a `data:` address; `None` where the file can no longer be read."""
    try:
        return data_address(decode(read_file(path)))
    except BadImageError:
        return None
