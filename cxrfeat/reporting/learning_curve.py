"""Scores and cost against how much was trained on, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import Table, with_interval


def curve_table(curve: Mapping[str, Any]) -> Table:
    """Scores and cost against views or images."""
    rows = tuple(
        (
            str(point["views"]),
            str(point["images"]),
            with_interval(point["accuracy"], point["accuracy_ci"]),
            with_interval(point["auroc"], point["auroc_ci"]),
            "" if "gain" not in point else with_interval(point["gain"], point["gain_ci"]),
            f"{point['seconds']:.1f}",
        )
        for point in curve["points"]
    )
    return Table(
        title=f"{curve['head']}: what more {curve['over']} are worth",
        columns=("views", "images trained on", "accuracy", "AUROC", "gain in accuracy", "seconds"),
        rows=rows,
        numeric=frozenset({0, 1, 5}),
    )
