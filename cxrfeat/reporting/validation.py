"""How runs do on other data sets, as tables: all sets under one another, the gap of every score, and why it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cxrfeat.image.note import number as counted
from cxrfeat.reporting.subgroup_table import gap_table as subgroup_gap_table
from cxrfeat.reporting.subgroup_table import subgroup_table
from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number, with_interval

_FIGURES = (
    ("accuracy", "accuracy"),
    ("balanced accuracy", "balanced_accuracy"),
    ("macro F1", "macro_f1"),
    ("AUROC", "auroc"),
    ("AUPRC", "auprc"),
    ("Brier score", "brier"),
    ("log loss", "log_loss"),
    ("calibration error", "ece"),
)
_BY_CLASS = (("AUROC", "auroc_per_class"), ("sensitivity", "sensitivity"), ("specificity", "specificity"))
_WIDTH = 31


Drawing = Callable[[float | None, Sequence[float] | None, float], str]
"""What draws a score with its interval, on a scale from the last to 1, in a cell."""


def forest_table(validations: Sequence[Mapping[str, Any]], run: str, drawing: Drawing | None = None) -> Table:
    """The run's own test, and below it one line for each data set, their AUROCs drawn on one scale.

    Args:
        validations: Documents of `validate`, as of one data set, with the name of the set under `dataset`.
        run: Its name.
        drawing: What draws; a line of characters unless given.
    """
    drawing = drawing or drawn_interval
    lines: list[tuple[str, Mapping[str, Any]]] = []
    for one in validations:
        own = f"own test ({', '.join(one['classes'])})"
        if own not in [name for name, _ in lines]:
            lines.append((own, one["internal"]))
    lines = [("own test" if len(lines) == 1 else name, scores) for name, scores in lines]
    gaps = [""] * len(lines)
    lines += [(one["dataset"], one["external"]) for one in validations]
    gaps += [with_interval(one["gap"]["auroc"], one["gap"]["auroc_ci"]) for one in validations]
    ends = [end for _, scores in lines for end in (scores["auroc_ci"] or [scores["auroc"] or 0.5])]
    low = min(0.5, *ends)
    rows = tuple(
        (
            name,
            str(scores["images"]),
            str(scores["groups"]),
            with_interval(scores["accuracy"], scores["accuracy_ci"]),
            with_interval(scores["balanced_accuracy"], scores["balanced_accuracy_ci"]),
            with_interval(scores["auroc"], scores["auroc_ci"]),
            drawing(scores["auroc"], scores["auroc_ci"], low),
            gap,
        )
        for (name, scores), gap in zip(lines, gaps, strict=True)
    )
    title = f"{run} at home and elsewhere, 95 % intervals over patients or groups"
    if any(one.get("random_weights") for one in validations):
        title += f"\n{RANDOM_WEIGHTS}"
    scale = f"AUROC from {low:.2f} to 1"
    columns = ("images of", "images", "groups", "accuracy", "balanced accuracy", "AUROC", scale, "gap of the AUROC")
    return Table(title=title, columns=columns, rows=rows, numeric=frozenset({1, 2}))


def drawn_interval(value: float | None, ends: Sequence[float] | None, low: float) -> str:
    """An interval on a line of characters.

    Example:
        >>> drawn_interval(0.75, [0.6, 0.9], 0.5)
        '      |--------o--------|'
    """
    if value is None:
        return ""

    def place(at: float) -> int:
        return round((_WIDTH - 1) * (at - low) / (1 - low))

    first, last = (place(end) for end in ends or (value, value))
    line = [" "] * (last + 1)
    line[first:] = "-" * (last + 1 - first)
    line[first] = line[last] = "|"
    line[place(value)] = "o"
    return "".join(line)


def gap_table(one: Mapping[str, Any]) -> Table:
    """Every score at home, elsewhere, and what lies between."""
    home, away, gap = one["internal"], one["external"], one["gap"]
    rows = [
        (
            title,
            with_interval(home[name], home[f"{name}_ci"]),
            with_interval(away[name], away[f"{name}_ci"]),
            with_interval(gap[name], gap[f"{name}_ci"]),
            gap_verdict(gap[f"{name}_ci"]),
        )
        for title, name in _FIGURES
    ]
    for label in one["classes"]:
        for title, name in _BY_CLASS:
            ends = f"{name}_ci"
            rows.append(
                (
                    f"{title} of {label}",
                    with_interval(home[name][label], home[ends][label]),
                    with_interval(away[name][label], away[ends][label]),
                    with_interval(gap[name][label], gap[ends][label]),
                    gap_verdict(gap[ends][label]),
                )
            )
    return Table(
        title=f"The gap: {one['dataset']} less the run's own test, 95 % intervals of independent samples",
        columns=("score", "own test", one["dataset"], "gap", "verdict"),
        rows=tuple(rows),
    )


def gap_verdict(ends: Sequence[float] | None) -> str:
    """What the interval of a gap says of it.

    Example:
        >>> gap_verdict([-0.2, 0.1]), gap_verdict([0.1, 0.2]), gap_verdict(None)
        ('may be chance', 'different', 'cannot be judged')
    """
    if ends is None:
        return "cannot be judged"
    return "may be chance" if ends[0] <= 0 <= ends[1] else "different"


def calibration_table(one: Mapping[str, Any]) -> Table:
    """Whether its probabilities carry over, and what mending them on a part of the images does for the rest."""
    lines = [("as they are", one["calibration"])]
    mended = one["recalibrated"]
    if mended:
        lines = [*lines, ("the rest, before", mended["before"]), ("the rest, after", mended["after"])]
    rows = tuple(
        (
            name if place == 0 else "",
            label,
            with_interval(line["slope"][label], line["slope_ci"][label]),
            with_interval(line["intercept"][label], line["intercept_ci"][label]),
            with_interval(line["ece"], line["ece_ci"]) if place == 0 else "",
            with_interval(line["log_loss"], line["log_loss_ci"]) if place == 0 else "",
        )
        for name, line in lines
        for place, label in enumerate(one["classes"])
    )
    title = (
        f"Probabilities on {one['dataset']} (right: slope 1, intercept 0; a slope below 1: too sure; an intercept "
        "above 0: the class is more frequent than they say)"
    )
    if mended:
        title += (
            f"\nRecalibrated on {counted(mended['images'], 'image')} of {counted(mended['groups'], 'group')}, "
            f"judged on the other {counted(mended['before']['images'], 'image')}"
        )
    columns = ("probabilities", "class", "slope", "intercept", "calibration error", "log loss")
    return Table(title=title, columns=columns, rows=rows)


def difference_table(one: Mapping[str, Any]) -> Table:
    """How the images of the two sets differ: how many are unlike the training images, and how each class separates."""
    unlike = one["out_of_distribution"]
    rows = [
        (
            "share unlike the training images",
            with_interval(unlike["share"], unlike["share_ci"]),
            f"own test {with_interval(unlike['at_home'], unlike['at_home_ci'])}"
            if unlike["at_home"] is not None
            else "0.010 of the training images",
        )
    ]
    rows += [
        (
            f"{label}: separable from the run's own by features (AUROC)",
            with_interval(told["auroc"], told["auroc_ci"]),
            f"chance 0.5; {told['images'][0]} own and {told['images'][1]} other images",
        )
        for label, told in one["apart"].items()
    ]
    return Table(
        title=f"How the images of {one['dataset']} differ", columns=("what", "value", "next to it"), rows=tuple(rows)
    )


def source_table(one: Mapping[str, Any]) -> Table | None:
    """The scores of each source of the other set; `None` where none is known."""
    if not one["by_source"]:
        return None
    rows = tuple(
        (
            line["source"],
            str(line["images"]),
            str(line["groups"]),
            ", ".join(f"{label} {count}" for label, count in line["counts"].items()),
            with_interval(line["accuracy"], line["accuracy_ci"]),
            with_interval(line["auroc"], line["auroc_ci"]),
        )
        for line in one["by_source"]
    )
    within = one["external"]["within_source"]
    title = f"Sources of {one['dataset']}"
    if within["accuracy"] is not None:
        title += (
            f"\nwithin sources: accuracy {with_interval(within['accuracy'], within['accuracy_ci'])}, "
            f"by naming each source's commonest class {number(within['chance'])}"
        )
    columns = ("source", "images", "groups", "classes", "accuracy", "AUROC")
    return Table(title=title, columns=columns, rows=rows, numeric=frozenset({1, 2}))


def both_table(one: Mapping[str, Any]) -> Table | None:
    """Where the images of both sets are from, class by class; `None` where that is not known of the run's own."""
    both = one["sources"]
    if both is None:
        return None
    rows = tuple(
        (name, *(str(count) for count in counts)) for name, counts in zip(both["sources"], both["counts"], strict=True)
    )
    return Table(
        title="Images of both sets by source and class",
        columns=("source", *one["classes"]),
        rows=rows,
        numeric=frozenset(range(1, 1 + len(one["classes"]))),
    )


def details(one: Mapping[str, Any]) -> list[Table]:
    """Everything else that is reported of one data set, table by table."""
    found = [gap_table(one), calibration_table(one), difference_table(one), source_table(one), both_table(one)]
    name = one["dataset"]
    if one["subgroups"]:
        found += [subgroup_table(one["subgroups"], name), subgroup_gap_table(one["subgroup_gaps"], name)]
    return [table for table in found if table is not None]
