"""The section of a report's page about one run: its scores by class, its curves, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.reporting.chart import calibration_chart, roc_chart, training_chart
from cxrfeat.reporting.content import RunContent
from cxrfeat.reporting.score import operating_point
from cxrfeat.reporting.table import Table, in_words, number, with_interval
from cxrfeat.spec import HeadSpec


def run_section(run: RunContent, key: str) -> dict[str, Any]:
    """What the template shows of one run.

    Args:
        run: The run.
        key: Begins the ids of its elements, so that none stands twice on the page.
    """
    summary, info = run.summary, run.info
    test = summary["test"]
    points = test.get("operating_points") or {}
    roc, no_roc = [], []
    for place, (name, curve) in enumerate(run.roc.items()):
        if curve is not None:
            auroc = in_words(test["auroc_per_class"][name], test["auroc_per_class_ci"][name])
            drawn = roc_chart(f"{key}-roc-{place}", name, curve, auroc, operating_point(points, name))
            roc.append((name, drawn, auroc))
        else:
            no_roc.append(name)
    training = [
        (title, chart)
        for title, what in (("Loss", "loss"), ("Accuracy", "accuracy"))
        if (chart := training_chart(f"{key}-{what}", run.history, what, f"{title} over the epochs")) is not None
    ]
    error = in_words(test.get("ece"), test.get("ece_ci"))
    sure = (
        "How often it is right, against how sure it is: on the diagonal, of ten that it gives 0.8 it gets 8 right. "
        f"Expected calibration error, the mean distance from the diagonal: {error}."
    )
    filled = zip(run.calibration["counts"], run.calibration["accuracy_ci"], strict=True)
    if any(count and interval is None for count, interval in filled):
        sure += f" A point without a bar has no interval: {NO_INTERVAL} bear it."
    return {
        "key": key,
        "name": summary["run"],
        "head": summary["head"],
        "backbone": summary["backbone"],
        "line": f"accuracy {in_words(test['accuracy'], test['accuracy_ci'])}",
        "confusion": _confusion(test),
        "by_class": _by_class(test),
        "points": _points(test),
        "heat": run.heat,
        "roc": roc,
        "no_roc": no_roc,
        "calibration": calibration_chart(f"{key}-calibration", run.calibration),
        "calibration_words": sure,
        "training": training,
        "kept": any(run.history["kept"]),
        "notes": summary["notes"] or (),
        "facts": _run_facts(summary, info),
        "command": run.command,
    }


def _by_class(test: Mapping[str, Any]) -> Table:
    names = ("sensitivity", "specificity", "precision")
    rows = [
        (
            name,
            *(with_interval(test[score][name], test[f"{score}_ci"][name]) for score in names),
            with_interval(test["auroc_per_class"][name], test["auroc_per_class_ci"][name]),
        )
        for name in test["classes"]
    ]
    columns = ("class", *names, "AUROC")
    return Table(
        title="By class, 95 % intervals; the class is the most probable one", columns=columns, rows=tuple(rows)
    )


def _points(test: Mapping[str, Any]) -> Table | None:
    """The operating points; `None` where there is none."""
    points = test.get("operating_points") or {}
    rows = [
        (
            name,
            number(point["threshold"]),
            with_interval(point["sensitivity"], point["sensitivity_ci"]),
            with_interval(point["specificity"], point["specificity_ci"]),
        )
        for name in test["classes"]
        if (point := operating_point(points, name)) is not None
    ]
    if not rows:
        return None
    chosen = points.get("chosen_on", "")
    flattered = ", which flatters it" if chosen == "these images" else ""
    return Table(
        title="Operating points: each class against the rest, its threshold for a specificity of 0.9 chosen on "
        f"{chosen}{flattered}",
        columns=("class", "threshold", "sensitivity", "specificity"),
        rows=tuple(rows),
        numeric=frozenset({1}),
    )


def _confusion(test: Mapping[str, Any]) -> dict[str, Any]:
    rows = []
    for counts in test["confusion"]:
        whole = sum(counts)
        shares = [count / whole if whole else 0.0 for count in counts]
        rows.append(
            [
                {"count": count, "share": f"{share:.0%}" if whole else "-", "shade": round(8 * share)}
                for count, share in zip(counts, shares, strict=True)
            ]
        )
    return {"classes": test["classes"], "rows": rows}


def _run_facts(summary: Mapping[str, Any], info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where a run comes from, as far as it says."""
    spec = (info.get("features") or {}).get("spec") or {}
    identity, split = info.get("identity") or {}, info.get("split") or {}
    head = identity.get("head") or {}
    told = [
        ("run", summary["run"]),
        ("kind", info.get("kind")),
        ("network", info.get("backbone")),
        ("weights", spec.get("weights")),
        ("views", (spec.get("view") or {}).get("count")),
        ("split", ", ".join(f"{name} {value}" for name, value in split.items())),
        ("seed of the head", head.get("seed")),
        ("settings", _settings(head) if head else None),
        ("features", identity.get("features")),
        ("data", identity.get("data_sha256")),
        ("versions", ", ".join(f"{name} {value}" for name, value in (info.get("versions") or {}).items())),
    ]
    return [(name, str(value)) for name, value in told if value not in (None, "", {})]


def _settings(head: Mapping[str, Any]) -> str:
    """What is not as usual."""
    usual = {field.name: field.default for field in fields(HeadSpec)}
    names = [name for name in usual if name not in ("kind", "seed") and head.get(name, usual[name]) != usual[name]]
    return ", ".join(f"{name} {head[name]}" for name in names) or "the defaults"
