"""The nearest images of a set, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number


def similar_table(document: Mapping[str, Any]) -> Table:
    """One line per neighbour: how similar, its class and source, and whether it is a copy or of the same patient."""
    label = "" if document["label"] is None else f", {document['label']}"
    title = f"Nearest to {document['image']}{label}"
    if document["random_weights"]:
        title += f"\n{RANDOM_WEIGHTS}"
    rows = tuple(
        (number(one["similarity"]), one["image"], one["label"], one["source"] or "-", _kin(one))
        for one in document["neighbours"]
    )
    return Table(title=title, columns=("similarity", "image", "class", "source", ""), rows=rows, numeric=frozenset({0}))


def _kin(one: Mapping[str, Any]) -> str:
    if one["copy"]:
        return f"copy ({one['copy']})"
    return "same patient" if one["same_group"] else ""
