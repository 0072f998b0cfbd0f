"""Runs of a number, and of all findings, as tables: what they reach, and how far they lie from the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.difference import standing_of
from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number, with_interval

_ERRORS = {"mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R2"}
_RATES = {
    "prevalence": "prevalence",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "sensitivity": "sensitivity at 0.9 specificity",
}


def target_tables(compared: Mapping[str, Any]) -> list[Table]:
    """The runs of one target, and their differences, where there are several.

    Args:
        compared: One of the `targets` of the document of `compare`.
    """
    numeric = compared["kind"] == "number"
    told = [_numbers(compared) if numeric else _means(compared)]
    if compared["comparisons"]:
        told.append(_number_differences(compared) if numeric else _finding_differences(compared))
    return told


def _titled(compared: Mapping[str, Any], title: str) -> str:
    random = any(run["random_weights"] for run in compared["runs"])
    return f"{title}\n{RANDOM_WEIGHTS}" if random else title


def _numbers(compared: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            run["run"],
            str(run["test"]["images"]),
            str(run["test"]["groups"]),
            *(with_interval(run["test"][name], run["test"][f"{name}_ci"]) for name in _ERRORS),
        )
        for run in compared["runs"]
    )
    return Table(
        title=_titled(compared, f"{compared['target']}, of test images, the least mean absolute error first"),
        columns=("run", "images", "groups", *_ERRORS.values()),
        rows=rows,
        numeric=frozenset({1, 2}),
    )


def _means(compared: Mapping[str, Any]) -> Table:
    rows = tuple(
        (one["run"], str(one["findings"]), *(with_interval(one[rate], one[f"{rate}_ci"]) for rate in _RATES))
        for one in compared["macro"]
    )
    return Table(
        title=_titled(compared, "Mean over findings, of test images, the best AUROC first"),
        columns=("run", "findings", *_RATES.values()),
        rows=rows,
        numeric=frozenset({1}),
    )


def _number_differences(compared: Mapping[str, Any]) -> Table:
    rows = []
    for one in compared["comparisons"]:
        if "why" in one:
            rows.append((one["b"], *["-"] * len(_ERRORS), "-", one["why"]))
            continue
        each = (with_interval(one[name]["difference"], one[name]["ci"]) for name in _ERRORS)
        rows.append((one["b"], *each, number(one["mae"].get("p_holm"), 4), standing_of(one["mae"])))
    return Table(
        title=f"{compared['target']}: errors of {compared['comparisons'][0]['a']}, less those of (the verdict is that "
        "of the mean absolute error)",
        columns=("run", *_ERRORS.values(), "p (Holm)", "verdict"),
        rows=tuple(rows),
        numeric=frozenset({4}),
    )


def _finding_differences(compared: Mapping[str, Any]) -> Table:
    rows = []
    for one in compared["comparisons"]:
        if "why" in one:
            rows.append((one["b"], "-", "-", "-", one["why"]))
            continue
        for name, found in (("mean", one["mean"]), *one["findings"].items()):
            told = with_interval(found["difference"], found["ci"]), number(found.get("p_holm"), 4)
            rows.append((one["b"], name, *told, standing_of(found)))
    return Table(
        title=f"AUROC of {compared['comparisons'][0]['a']}, less that of; p corrected for all findings and runs",
        columns=("run", "finding", "difference [95 % interval]", "p (Holm)", "verdict"),
        rows=tuple(rows),
        numeric=frozenset({3}),
    )
