"""A comparison as a file for spreadsheets, whose cells none takes for a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.difference import standing_of
from cxrfeat.run.table import to_csv

_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "log_loss", "brier", "ece")
_CLASS_SCORES = {
    "sensitivity": "sensitivity", "specificity": "specificity", "precision": "precision",
    "auroc": "auroc_per_class", "auprc": "auprc_per_class",
}  # fmt: skip


def comparison_csv(comparison: Mapping[str, Any]) -> str:
    """The document of `compare` as CSV: one row per run, numbers in full precision, ends of intervals in own columns.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, and a control character is shown as
    its code; what does not exist is an empty cell.
    """
    runs = comparison["runs"]
    differences = {one["b"]: one for one in comparison["comparisons"]}
    classes = list(dict.fromkeys(name for run in runs for name in run["test"]["classes"]))
    rows = [_csv_row(run, differences.get(run["run"]), classes) for run in runs]
    return to_csv({_safe_text(name): [_safe(row[name]) for row in rows] for name in rows[0]})


def _csv_row(run: Mapping[str, Any], difference: Mapping[str, Any] | None, classes: Sequence[str]) -> dict[str, Any]:
    test, training = run["test"], run["training"]
    row: dict[str, Any] = {name: run[name] for name in ("run", "head", "backbone", "dataset", "random_weights")}
    row |= {"tested": "out-of-fold" if run.get("folds") else "test part"}
    row |= {"images": test["images"], "groups": test["groups"]}
    for name in _SCORES:
        row |= _with_ends(name, test.get(name), test.get(f"{name}_ci"))
    for name, key in _CLASS_SCORES.items():
        values, intervals = test.get(key) or {}, test.get(f"{key}_ci") or {}
        for label in classes:
            row |= _with_ends(f"{name} {label}", values.get(label), intervals.get(label))
    row |= {"training_loss": training["loss"], "training_accuracy": training["accuracy"]}
    row |= {"validation_loss": training["val_loss"], "validation_accuracy": training["val_accuracy"]}
    row |= {"epochs": training["epochs"], "seconds": run["seconds"]}
    for label in classes:
        told = run["predictive_values"].get(label, {})
        row |= {f"prevalence {label}": told.get("prevalence")}
        for name in ("ppv", "npv"):
            row |= _with_ends(f"{name} {label}", told.get(name), told.get(f"{name}_ci"))
    told = difference or {}
    row |= _with_ends("difference", told.get("difference"), told.get("ci"))
    row |= {"p_holm": told.get("p_holm")}
    row |= {"verdict": standing_of(difference)}
    return row


def _with_ends(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name} low": low, f"{name} high": high}


def _safe(cell: object) -> object:
    return _safe_text(cell) if isinstance(cell, str) else cell


def _safe_text(text: str) -> str:
    # A bare carriage return ends a row for some readers, so what follows it could begin a cell: show its code instead.
    shown = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) else shown
