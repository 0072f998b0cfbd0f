"""Tables of what a score depends on: how much was trained on, and where the images came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import Table, number, ratio_text, with_interval


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


def shortcut_table(runs: Sequence[Mapping[str, Any]]) -> Table | None:
    """What classifiers that see no lungs score on the same images; `None` where there is none."""
    rows = []
    for run in runs:
        for name, scores in run["test"].get("shortcuts", {}).items():
            auroc = with_interval(scores["auroc"], scores["auroc_ci"])
            rows.append(
                (run["head"], name, with_interval(scores["accuracy"], scores["accuracy_ci"]), auroc, ratio_text(scores))
            )
    if not rows:
        return None
    return Table(
        title="Shortcuts: what can be had on the same images without the lungs\n"
        "(container: format, size and compression of the files; thumbnail: 8 x 8 pixels; ratio: share of the head's "
        "AUROC above 0.5)",
        columns=("head", "seen", "accuracy", "AUROC", "ratio"),
        rows=tuple(rows),
    )


def source_table(runs: Sequence[Mapping[str, Any]]) -> Table | None:
    """What remains of the scores among images of one source; `None` where no source is known."""
    told = [(run, run["test"].get("within_source")) for run in runs]
    if not any(within and within["known"] for _, within in told):
        return None
    rows = []
    for run, within in told:
        if within is None:
            continue
        accuracy = with_interval(within["accuracy"], within["accuracy_ci"]) if within["images"] else "-"
        against = f"against {number(within['chance'])} by the source alone" if within["images"] else ""
        what = f"all classes, {within['images']} images of {within['sources']} sources with several classes"
        rows.append((run["head"], what, accuracy, against))
        for pair in within["pairs"]:
            names = " against ".join(pair["classes"])
            if not pair["identifiable"]:
                why = "not identifiable: they share no source" if pair["known"] else "source unknown"
                rows.append((run["head"], names, "-", why))
            else:
                auroc = with_interval(pair["auroc"], pair["auroc_ci"])
                rows.append((run["head"], f"{names}, {pair['images']} images", auroc, "AUROC"))
    return Table(
        title="Within sources: what remains when the hospital is no help",
        columns=("head", "", "accuracy or AUROC", ""),
        rows=tuple(rows),
    )
