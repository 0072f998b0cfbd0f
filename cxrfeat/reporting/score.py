"""Tables of how runs score: over all images, by class, epoch by epoch, and at a stated prevalence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number, with_interval
from cxrfeat.run.table import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A column of test scores, as terminal and page show it."""

    title: str
    field: str
    """Of `test` in the document of a run."""
    part: str | None = None
    """The part of `test` that the field is of. The page shows the column where that of any run has images; the terminal
    has a table of its own for it."""
    interval: bool = True
    """Whether it is shown with that: the field whose name ends in `_ci`."""
    guessing: Callable[[Mapping[str, Any]], float | None] | None = None
    """What takes no network, read from where the field is; the page marks it."""

    def told(self, test: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where the field is; empty where a run has no such part."""
        return test if self.part is None else test.get(self.part) or {}

    def value(self, test: Mapping[str, Any]) -> float | None:
        """The score of a run."""
        told = self.told(test)
        return told[self.field] if told else None

    def ends(self, test: Mapping[str, Any]) -> Sequence[float] | None:
        """Its interval, where it has one and is shown with it."""
        told = self.told(test)
        return told[f"{self.field}_ci"] if told and self.interval else None

    def chance(self, test: Mapping[str, Any]) -> float | None:
        """What guessing would give, where that is marked."""
        told = self.told(test)
        return self.guessing(told) if told and self.guessing else None

    def text(self, test: Mapping[str, Any]) -> str:
        """What stands in the cell."""
        return with_interval(self.value(test), self.ends(test)) if self.interval else number(self.value(test))


SCORES = (
    Score(title="accuracy", field="accuracy"),
    Score(title="balanced accuracy", field="balanced_accuracy", guessing=lambda test: 1 / len(test["classes"])),
    Score(title="AUROC", field="auroc", guessing=lambda _: 0.5),
    Score(title="within sources", field="accuracy", part="within_source", guessing=lambda within: within["chance"]),
    Score(title="F1", field="macro_f1", interval=False),
)
"""The columns between run and seconds, wherever runs stand side by side."""


def score_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """One line per run: the test scores with their intervals."""
    scores = [score for score in SCORES if score.part is None]
    columns = ("head", "backbone", *(score.title for score in scores), "seconds")
    rows = tuple(
        (run["head"], run["backbone"], *(score.text(run["test"]) for score in scores), f"{run['seconds']:.1f}")
        for run in runs
    )
    first = runs[0]["test"]
    how = "out-of-fold" if runs[0].get("folds") else "test part"
    title = f"Test scores, 95 % intervals ({how}: {first['images']} images, {first['groups']} patients or groups)"
    if any(run.get("random_weights") for run in runs):
        title += f"\n{RANDOM_WEIGHTS}"
    alone = {columns.index(score.title) for score in scores if not score.interval}
    return Table(title=title, columns=columns, rows=rows, numeric=frozenset({*alone, len(columns) - 1}))


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
