"""How near predicted numbers are, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import Table, number, with_interval


def number_tables(run: Mapping[str, Any]) -> list[Table]:
    """The errors, and how the predictions are calibrated by tenths."""
    test, target = run["test"], run["target"]
    errors = tuple(
        (title, with_interval(test[name], test[f"{name}_ci"]))
        for title, name in (("mean absolute error", "mae"), ("root mean squared error", "rmse"), ("R2", "r2"))
    )
    tenths = tuple(
        (str(one["images"]), number(one["predicted"]), with_interval(one["true"], one["true_ci"]))
        for one in test["tenths"]
    )
    title = f"{target}, by {run['head']}: {test['images']} test images of {test['groups']} patients or groups"
    return [
        Table(title=title, columns=("", "test"), rows=errors),
        Table(
            title="From the least predicted tenth to the largest",
            columns=("images", "predicted, mean", "true, mean"),
            rows=tenths,
            numeric=frozenset({0, 1}),
        ),
    ]
