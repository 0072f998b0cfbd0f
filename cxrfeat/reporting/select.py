"""Images to label next, as a table, and as a file for whoever labels them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number
from cxrfeat.run.table import to_csv

CSV = ("rank", "image", "image_id", "score", "label")
"""Columns of `select_csv`."""
_SHOWN = 20
_SCORES = {"margin": "margin", "typical": "typicality", "diverse": "distance"}


def select_table(document: Mapping[str, Any]) -> Table:
    """The first choices, one a line."""
    shown = document["images"][:_SHOWN]
    title = (
        f"To label next, {document['strategy']}: the first {len(shown)} of {len(document['images'])}, "
        f"out of {document['pool']} images"
    )
    if document["random_weights"]:
        title += f"\n{RANDOM_WEIGHTS}"
    return Table(
        title=title,
        columns=("", "image", _SCORES[document["strategy"]]),
        rows=tuple((str(rank), one["image"], number(one["score"])) for rank, one in enumerate(shown, start=1)),
        numeric=frozenset({0, 2}),
    )


def select_csv(document: Mapping[str, Any]) -> str:
    """All choices as CSV, with an empty column for the label."""
    told = [one | {"rank": rank, "label": ""} for rank, one in enumerate(document["images"], start=1)]
    return to_csv({name: [one[name] for one in told] for name in CSV})
