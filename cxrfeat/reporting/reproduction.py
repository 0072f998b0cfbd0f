"""Tables of the reproduction: the paper's figures next to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.pace import duration
from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number, with_interval

VERDICTS = {True: "inside", False: "outside", None: "not comparable"}


def reproduction_table(document: Mapping[str, Any]) -> Table:
    """One line per row: the paper's test accuracy, ours, and that of the same row as it should have been done.

    Args:
        document: Of `reproduce`.
    """
    rows = []
    for run in document["runs"]:
        if run["protocol"] != "paper":
            continue
        proper = [one for one in document["runs"] if one["row"] == run["row"] and one["protocol"] == "proper"]
        rows.append(
            (
                run["row"],
                run["backbone"],
                run["paper"]["trained"],
                number(run["paper"]["test_accuracy"], 4),
                _accuracy(run) + (" diverged" if run["diverged"] else ""),
                "-" if run["test"]["accuracy_ci"] is None else VERDICTS[run["paper_inside"]],
                _accuracy(proper[0]) if proper else "",
            )
        )
    first = document["runs"][0]["test"]
    tested = f"{first['images']} images, {first['groups']} groups"
    title = f"The paper's rows done again: test accuracy, 95 % intervals ({tested})"
    if any(run["random_weights"] for run in document["runs"]):
        title += f"\n{RANDOM_WEIGHTS}"
    columns = ("row", "backbone", "trained", "paper", "ours", "the paper's lies", "as it should have been done")
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset({3}))


def _accuracy(run: Mapping[str, Any]) -> str:
    return with_interval(run["test"]["accuracy"], run["test"]["accuracy_ci"])


def columns_table(document: Mapping[str, Any]) -> Table:
    """The paper's own columns, its figures over ours."""
    rows: list[tuple[str, ...]] = []
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    for run in document["runs"]:
        paper, told = run["paper"], run["training"]
        if run["protocol"] == "paper":
            cells = (*(paper[name] for name in names), paper["test_accuracy"])
            rows.append((run["row"], "paper", *(number(cell, 4) for cell in cells), ""))
        cells = (*(told[name] for name in names), run["test"]["accuracy"])
        who = "ours" if run["protocol"] == "paper" else "proper"
        rows.append((run["row"], who, *(number(cell, 4) for cell in cells), number(told["epochs"], 0)))
    columns = ("row", "", "loss", "acc", "val loss", "val acc", "test acc", "epochs")
    return Table(title="The paper's columns", columns=columns, rows=tuple(rows), numeric=frozenset(range(2, 8)))


def confusion_table(document: Mapping[str, Any]) -> Table:
    """Confusion matrices in one line each: rows are true classes, columns what was predicted."""
    classes = document["runs"][0]["test"]["classes"]
    rows = []
    for run in document["runs"]:
        paper = run["paper"]["confusion"]
        theirs = _matrix(paper) if paper and run["protocol"] == "paper" else ""
        who = "" if run["protocol"] == "paper" else " (proper)"
        rows.append((run["row"] + who, theirs, _matrix(run["test"]["confusion"])))
    title = f"Confusion matrices (true classes {', '.join(classes)}; the paper's are COVID, NORMAL, VIRAL)"
    return Table(title=title, columns=("row", "paper", "ours"), rows=tuple(rows), numeric=frozenset())


def _matrix(confusion: Sequence[Sequence[int]]) -> str:
    return " / ".join(" ".join(str(cell) for cell in row) for row in confusion)


def plan_table(document: Mapping[str, Any]) -> Table:
    """What a reproduction would do, with what each part takes on this machine.

    Args:
        document: Document of a rehearsed `reproduce`.
    """
    rows = [
        (one["what"], one["backbone"], str(one["size"]), str(one["images"]), duration(one["seconds"]))
        for one in document["parts"]
    ]
    rows.append(("in all, without the heads", "", "", "", duration(document["seconds"])))
    images = ", ".join(f"{count} {name}" for name, count in document["images"].items())
    return Table(
        title=f"Plan ({images}; by a measured second of each network here)",
        columns=("what", "backbone", "px", "passes", "time"),
        rows=tuple(rows),
        numeric=frozenset({2, 3, 4}),
    )
