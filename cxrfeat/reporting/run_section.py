"""The section of a report's page about one run: its scores by class, its curves, and where it comes from."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.reporting.chart import calibration_chart, roc_chart, training_chart
from cxrfeat.reporting.content import RunContent
from cxrfeat.reporting.table import Table, in_words, number, with_interval
from cxrfeat.reporting.validation import details
from cxrfeat.run.document import Evaluation, RunDocument
from cxrfeat.run.record import to_json
from cxrfeat.spec import HeadSpec


def run_section(run: RunContent, key: str) -> dict[str, Any]:
    """What the template shows of one run.

    Args:
        run: The run.
        key: Begins the ids of its elements, so that none stands twice on the page.
    """
    summary, document = run.summary, run.document
    test, points = document.test, document.test.operating_points
    roc, no_roc = [], []
    for place, (name, curve) in enumerate(run.roc.items()):
        if curve is not None:
            auroc = in_words(test.auroc_per_class[name], test.auroc_per_class_ci[name])
            drawn = roc_chart(f"{key}-roc-{place}", name, curve, auroc, points.classes[name].shown)
            roc.append((name, drawn, auroc))
        else:
            no_roc.append(name)
    training = [
        (title, chart)
        for title, what in (("Loss", "loss"), ("Accuracy", "accuracy"))
        if (chart := training_chart(f"{key}-{what}", run.history, what, f"{title} over the epochs")) is not None
    ]
    error = in_words(test.ece, test.ece_ci)
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
        "head": document.head,
        "backbone": document.backbone,
        "line": f"accuracy {in_words(test.accuracy, test.accuracy_ci)}",
        "confusion": _confusion(test),
        "by_class": _by_class(test),
        "points": _points(test),
        "heat": run.heat,
        "roc": roc,
        "no_roc": no_roc,
        "calibration": calibration_chart(f"{key}-calibration", run.calibration),
        "calibration_words": sure,
        "training": training,
        "kept": any(one.kept for one in run.history.epochs),
        "notes": document.notes,
        "elsewhere": [
            {
                **{name: one[name] for name in ("dataset", "made", "notes")},
                "audit": [{"images": [], "of": "", **finding} for finding in one["audit"]],
                "tables": details(one),
            }
            for one in run.validations
        ],
        "facts": _run_facts(str(summary["run"]), document),
        "command": run.command,
    }


def _by_class(test: Evaluation) -> Table:
    scores = (
        (test.sensitivity, test.sensitivity_ci), (test.specificity, test.specificity_ci),
        (test.precision, test.precision_ci), (test.auroc_per_class, test.auroc_per_class_ci),
    )  # fmt: skip
    rows = [
        (name, *(with_interval(values[name], intervals[name]) for values, intervals in scores)) for name in test.classes
    ]
    columns = ("class", "sensitivity", "specificity", "precision", "AUROC")
    return Table(
        title="By class, 95 % intervals; the class is the most probable one", columns=columns, rows=tuple(rows)
    )


def _points(test: Evaluation) -> Table | None:
    """The operating points; `None` where there is none."""
    rows = [
        (
            name,
            number(point.threshold),
            with_interval(point.sensitivity, point.sensitivity_ci),
            with_interval(point.specificity, point.specificity_ci),
        )
        for name in test.classes
        if (point := test.operating_points.classes[name].shown) is not None
    ]
    if not rows:
        return None
    chosen = test.operating_points.chosen_on
    flattered = ", which makes it optimistic" if chosen == "these images" else ""
    return Table(
        title="Operating points: each class against the rest, its threshold for a specificity of 0.9 chosen on "
        f"{chosen}{flattered}",
        columns=("class", "threshold", "sensitivity", "specificity"),
        rows=tuple(rows),
        numeric=frozenset({1}),
    )


def _confusion(test: Evaluation) -> dict[str, Any]:
    rows = []
    for counts in test.confusion:
        whole = sum(counts)
        shares = [count / whole if whole else 0.0 for count in counts]
        rows.append(
            [
                {"count": count, "share": f"{share:.0%}" if whole else "-", "shade": round(8 * share)}
                for count, share in zip(counts, shares, strict=True)
            ]
        )
    return {"classes": test.classes, "rows": rows}


def _run_facts(name: str, document: RunDocument) -> list[tuple[str, str]]:
    """Where a run comes from, as far as it says."""
    spec, identity = document.features.spec, document.identity
    told: list[tuple[str, object]] = [
        ("run", name),
        ("kind", document.kind),
        ("network", document.backbone),
        ("weights", spec.weights),
        ("views", spec.view.count),
        ("split", ", ".join(f"{field} {value}" for field, value in to_json(identity.split).items())),
        ("seed of the head", None if identity.head is None else identity.head.seed),
        ("settings", None if identity.head is None else _settings(identity.head)),
        ("balanced by", ", ".join(identity.balance_by) or None),
        ("features", identity.features),
        ("data", identity.data_sha256),
        ("versions", ", ".join(f"{name} {value}" for name, value in document.versions.items())),
    ]
    return [(name, str(value)) for name, value in told if value is not None]


def _settings(head: HeadSpec) -> str:
    """What is not as usual."""
    told = []
    for field in fields(HeadSpec):
        value = getattr(head, field.name)
        if field.name not in ("kind", "seed") and value != field.default:
            told.append(f"{field.name} {list(value) if isinstance(value, tuple) else value}")
    return ", ".join(told) or "the defaults"
