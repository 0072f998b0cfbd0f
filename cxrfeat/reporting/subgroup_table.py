"""Subgroups as tables: what a run scores in each, and where two are furthest apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.reporting.table import Table, number, with_interval

FIGURES = {
    "prevalence": "prevalence",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "ece": "calibration error",
}
"""What the figures of a subgroup are called."""

SMALL = "*"
"""What stands behind the name of a subgroup that bears too little."""


def subgroup_table(rows: Sequence[Mapping[str, Any]], run: str) -> Table:
    """One line per subgroup and class of a run; small ones are marked, and grey where there are colours.

    Args:
        rows: `subgroups` of the document of `compare`.
        run: Its name.
    """
    of_run = [row for row in rows if row["run"] == run]
    title = f"Subgroups of the test images of {run}, each class against the rest, 95 % intervals"
    if len(classes := {row["class"] for row in of_run}) == 1:
        title = (
            f"Subgroups of the test images of {run}: {classes.pop()}, 95 % intervals "
            "(the sensitivity of the other class is its specificity)"
        )
    if any(row["small"] for row in of_run):
        title += (
            f"\n{SMALL} small: fewer than {LEAST_GROUPS} patients or groups bear a figure, and no gap of it is judged"
        )
    return Table(
        title=title,
        columns=("by", "subgroup", "class", "images", "groups", *FIGURES.values()),
        rows=tuple(
            (
                row["by"],
                f"{row['value']} {SMALL}" if row["small"] else row["value"],
                row["class"],
                str(row["images"]),
                str(row["groups"]),
                *(with_interval(row[name], row[f"{name}_ci"]) for name in FIGURES),
            )
            for row in of_run
        ),
        numeric=frozenset({3, 4}),
        grey=frozenset(index for index, row in enumerate(of_run) if row["small"]),
    )


def gap_table(gaps: Sequence[Mapping[str, Any]], run: str) -> Table | None:
    """The largest gap of each figure between two subgroups of a run, and every other that is not put down to chance.

    Args:
        gaps: `gaps` of the document of `compare`.
        run: Its name.

    Returns:
        `None` where no two subgroups can be compared.
    """
    of_run = [gap for gap in gaps if gap["run"] == run]
    if not of_run:
        return None
    return Table(
        title=(
            f"Largest gaps between subgroups of {run}, and others that are not put down to chance; "
            f"p is corrected for the {len(gaps)} gaps looked at"
        ),
        columns=("by", "class", "figure", "higher", "lower", "gap [95 % interval]", "p (Holm)", "verdict"),
        rows=tuple(
            (
                gap["by"],
                gap["class"],
                FIGURES[gap["figure"]],
                gap["high"],
                gap["low"],
                with_interval(gap["difference"], gap["ci"]),
                "< 0.0001" if gap["p_holm"] < 0.0001 else number(gap["p_holm"], 4),
                "may be chance" if gap["tied"] else "different",
            )
            for gap in of_run
            if gap["largest"] or not gap["tied"]
        ),
        numeric=frozenset({6}),
    )


def gaps_said(gaps: Sequence[Mapping[str, Any]]) -> str:
    """Whether any gap is not put down to chance, as a sentence or two.

    Args:
        gaps: `gaps` of the document of `compare`.

    Example:
        >>> gap = {"by": "sex", "class": "COVID", "figure": "sensitivity", "high": "M", "low": "F", "difference": 0.15}
        >>> gaps_said([gap | {"tied": False}, gap | {"tied": True}])
        'Of 2 gaps between subgroups 1 is more than chance, the largest of sensitivity for COVID: M 0.150 above F.'
        >>> gaps_said([gap | {"tied": True}])
        'No gap between subgroups is more than chance may make (of 1 looked at).'
        >>> gaps_said([])
        'Too few patients are in any two of them to compare.'
    """
    if not gaps:
        return "Too few patients are in any two of them to compare."
    apart = [gap for gap in gaps if not gap["tied"]]
    if not apart:
        return f"No gap between subgroups is more than chance may make (of {len(gaps)} looked at)."
    # Prevalences differ by who comes to a hospital: the model's own gaps come first.
    most = max(apart, key=lambda gap: (gap["figure"] != "prevalence", gap["difference"]))
    return (
        f"Of {len(gaps)} gaps between subgroups {len(apart)} {'is' if len(apart) == 1 else 'are'} more than chance, "
        f"the largest of {FIGURES[most['figure']]} for {most['class']}: {most['high']} {number(most['difference'])} "
        f"above {most['low']}."
    )
