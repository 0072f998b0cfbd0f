"""Scores and cost against how much was trained on, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import Table, number, with_interval


def fitted_table(curve: Mapping[str, Any]) -> Table | None:
    """The power law through the points and beyond; `None` where there is none."""
    if not curve["fitted"]:
        return None
    most = curve["points"][-1]["images"]
    return Table(
        title=f"{curve['head']}: the curve fitted to these points (error = floor + scale / images ^ exponent), 95 % "
        "intervals over the patients that test",
        columns=("images trained on", "accuracy", "AUROC", ""),
        rows=tuple(
            (
                str(one["images"]),
                with_interval(one["accuracy"], one["accuracy_ci"]),
                with_interval(one["auroc"], one["auroc_ci"]),
                "a guess" if one["images"] > most else "",
            )
            for one in curve["fitted"]
        ),
        numeric=frozenset({0}),
    )


def wanted_table(curve: Mapping[str, Any]) -> Table | None:
    """How many patients an interval of the wanted width would take; `None` where nobody can say."""
    if not curve["wanted"]:
        return None
    rows = tuple(
        (
            f"{_NAMES[one['score']]}{'' if one['label'] is None else ' of ' + one['label']}",
            with_interval(one["value"], one["ci"]),
            number(one["ci"][1] - one["ci"][0]),
            str(one["patients"]),
            str(one["needed"]),
        )
        for one in curve["wanted"]
    )
    return Table(
        title=f"{curve['head']}: patients to test for intervals {curve['wanted_width']:g} wide, classes in the same "
        "proportions",
        columns=("score", "now", "width", "patients tested", "patients needed"),
        rows=rows,
        numeric=frozenset({2, 3, 4}),
    )


_NAMES = {"accuracy": "accuracy", "auroc": "AUROC", "sensitivity": "sensitivity"}


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
