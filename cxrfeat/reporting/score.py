"""Tables of how runs score: over all images, by class, epoch by epoch, and at a stated prevalence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number, with_interval
from cxrfeat.run.table import History


def score_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """One line per run: the test scores with their intervals."""
    rows = []
    for run in runs:
        test = run["test"]
        rows.append(
            (
                run["head"],
                run["backbone"],
                with_interval(test["accuracy"], test["accuracy_ci"]),
                with_interval(test["balanced_accuracy"], test["balanced_accuracy_ci"]),
                with_interval(test["auroc"], test["auroc_ci"]),
                number(test["macro_f1"]),
                f"{run['seconds']:.1f}",
            )
        )
    first = runs[0]["test"]
    how = "out-of-fold" if runs[0].get("folds") else "test part"
    title = f"Test scores, 95 % intervals ({how}: {first['images']} images, {first['groups']} patients or groups)"
    if any(run.get("random_weights") for run in runs):
        title += f"\n{RANDOM_WEIGHTS}"
    return Table(
        title=title,
        columns=("head", "backbone", "accuracy", "balanced accuracy", "AUROC", "F1", "seconds"),
        rows=tuple(rows),
        numeric=frozenset({5, 6}),
    )


def class_table(run: Mapping[str, Any]) -> Table:
    """Sensitivity and specificity of one run per class, at an operating point too."""
    test = run["test"]
    rows = []
    for name in test["classes"]:
        point = operating_point(test["operating_points"], name)
        rows.append(
            (
                name,
                with_interval(test["sensitivity"][name], test["sensitivity_ci"][name]),
                with_interval(test["specificity"][name], test["specificity_ci"][name]),
                f"{number(point['sensitivity'])} at {number(point['specificity'])}" if point else "-",
                number(test["auroc_per_class"][name]),
            )
        )
    chosen = test["operating_points"]["chosen_on"]
    return Table(
        title=f"{run['head']} on {run['backbone']}, by class (threshold for a specificity of 0.9 chosen on {chosen})",
        columns=("class", "sensitivity", "specificity", "at a threshold", "AUROC"),
        rows=tuple(rows),
        numeric=frozenset({4}),
    )


def operating_point(points: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The point of a class that a threshold of other images gives, or else one chosen on the test images."""
    of_class = points["classes"][name]
    point: Mapping[str, Any] | None = of_class.get("at_threshold") or of_class.get("at_specificity")
    return point


def paper_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """One line per run: the columns of the paper's table."""
    rows = []
    for run in runs:
        told = run["training"]
        rows.append(
            (
                run["head"],
                run["backbone"],
                *(number(told[name], 4) for name in ("loss", "accuracy", "val_loss", "val_accuracy")),
                number(run["test"]["accuracy"], 4),
                number(told["epochs"], 0),
            )
        )
    title = "The paper's columns (training and validation at the kept epoch)"
    if any(run.get("random_weights") for run in runs):
        title += f"\n{RANDOM_WEIGHTS}"
    columns = (
        "head",
        "backbone",
        "loss",
        "accuracy",
        "validation loss",
        "validation accuracy",
        "test accuracy",
        "epochs",
    )
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset(range(2, len(columns))))


def history_table(history: History) -> Table | None:
    """One line per epoch of a network's training; `None` if it had none."""
    rows = tuple(
        (
            f"{one.epoch}{' (kept)' if one.kept else ''}",
            *(number(value, 4) for value in (one.loss, one.accuracy, one.val_loss, one.val_accuracy)),
        )
        for one in history.epochs
    )
    if not rows:
        return None
    columns = ("epoch", "loss", "accuracy", "validation loss", "validation accuracy")
    return Table(
        title="Training (0 is the start; losses and accuracies of training with dropout and drawn views)",
        columns=columns,
        rows=rows,
        numeric=frozenset(range(1, len(columns))),
    )


def predictive_table(runs: Sequence[Mapping[str, Any]]) -> Table | None:
    """What a call of a class is worth at the prevalences that were stated; `None` if none was."""
    rows = tuple(
        (
            run["head"],
            run["backbone"],
            name,
            f"{told['prevalence']:g}",
            *(
                with_interval(told[value], told[f"{value}_ci"])
                for value in ("sensitivity", "specificity", "ppv", "npv")
            ),
        )
        for run in runs
        for name, told in run["predictive_values"].items()
    )
    if not rows:
        return None
    columns = ("head", "backbone", "class", "prevalence", "sensitivity", "specificity", "PPV", "NPV")
    title = "At the stated prevalence, if sensitivity and specificity carry over, 95 % intervals"
    return Table(title=title, columns=columns, rows=rows, numeric=frozenset({3}))
