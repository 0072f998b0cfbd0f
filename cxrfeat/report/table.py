"""Results as tables of text: what to show, not how. The terminal draws them; so will the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RANDOM_WEIGHTS = "RANDOM WEIGHTS: the network was never trained, scores mean nothing"
RESEARCH_USE = "Research use only, never diagnosis."


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text, ready to draw."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""


def number(value: float | None, digits: int = 3) -> str:
    """A score as text; a dash where it does not exist."""
    return "-" if value is None else f"{value:.{digits}f}"


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its 95 % interval.

    Example:
        >>> with_interval(0.8483, [0.826, 0.8704])
        '0.848 [0.826, 0.870]'
    """
    if interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


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
    """Sensitivity and specificity of one run per class, beside its confusion matrix."""
    test = run["test"]
    rows = []
    for index, name in enumerate(test["classes"]):
        rows.append(
            (
                name,
                with_interval(test["sensitivity"][name], test["sensitivity_ci"][name]),
                with_interval(test["specificity"][name], test["specificity_ci"][name]),
                number(test["auroc_per_class"][name]),
                *(str(count) for count in test["confusion"][index]),
            )
        )
    return Table(
        title=f"{run['head']} on {run['backbone']}, by class (columns on the right: predicted as)",
        columns=("class", "sensitivity", "specificity", "AUROC", *(f"as {name}" for name in test["classes"])),
        rows=tuple(rows),
        numeric=frozenset(range(3, 4 + len(test["classes"]))),
    )


def audit_table(findings: Sequence[Mapping[str, Any]]) -> Table | None:
    """The checks that did not pass, each with what to do; `None` if all passed."""
    rows = tuple((one["status"], one["check"], one["why"], one["do"]) for one in findings if one["status"] != "pass")
    if not rows:
        return None
    return Table(title="Before you believe the scores", columns=("", "check", "why", "what to do"), rows=rows)


def difference_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """How far each run lies from the best, paired over the same test images."""
    rows = []
    for one in differences:
        if "why" in one:
            rows.append((one["b"], "-", "-", one["why"]))
            continue
        verdict = "tied" if one["tied"] else "different"
        p = one.get("p_holm")
        rows.append((one["b"], with_interval(one["difference"], one["ci"]), number(p, 4), verdict))
    best = differences[0]["a"] if differences else ""
    return Table(
        title=f"Accuracy of {best}, less that of",
        columns=("run", "difference [95 % interval]", "p (Holm)", "verdict"),
        rows=tuple(rows),
        numeric=frozenset({2}),
    )


def index_tables(found: Mapping[str, Any]) -> list[Table]:
    """What is in a folder: the classes and sources, then the rest, then what could not be read."""
    counts = [("class", name, str(count)) for name, count in found["classes"].items()]
    counts += [("source", name, str(count)) for name, count in found["sources"].items()]
    counts += [("format", name, str(count)) for name, count in found["formats"].items()]
    counts += [("part", name, str(count)) for name, count in found.get("splits", {}).items()]
    sizes = found["sizes"]
    facts = [
        ("images", str(found["images"])),
        ("patients", f"{found['patients']} known; unknown for {found['unknown_patients']} images"),
        ("groups", f"{found['groups']} (images of one patient, and copies, are one)"),
        ("copies", f"{found['duplicates']} byte for byte"),
        ("size", ", ".join(f"{name} {width} x {height}" for name, (width, height) in sizes.items())),
        ("unusable", str(len(found["quarantined"]))),
    ]
    tables = [
        Table(title=f"{found['dataset']}: what is there", columns=("", ""), rows=tuple(facts)),
        Table(title="Counts", columns=("", "", "images"), rows=tuple(counts), numeric=frozenset({2})),
    ]
    bad = quarantine_table(found["quarantined"])
    return [*tables, bad] if bad else tables


def extract_table(files: Sequence[Mapping[str, Any]]) -> Table:
    """One line per feature file, and what it took."""
    rows = []
    for one in files:
        rate = f"{one['views_per_second']:.1f}" if one["rows_computed"] else "-"
        shape = f"{one['images']} x {one['views']} x {one['dim']}"
        computed, reused = str(one["rows_computed"]), str(one["rows_reused"])
        rows.append((one["backbone"], shape, computed, reused, rate, one["engine"], one["path"]))
    title = "Feature files"
    if any(one["random"] for one in files):
        title += f"\n{RANDOM_WEIGHTS}"
    columns = ("backbone", "images x views x features", "rows computed", "reused", "views/s", "engine", "file")
    return Table(title=title, columns=columns, rows=tuple(rows), numeric=frozenset({2, 3, 4}))


def quarantine_table(bad: Sequence[Mapping[str, Any]], most: int = 20) -> Table | None:
    """The images that could not be used, and why; `None` if there is none."""
    if not bad:
        return None
    rows = [(one["path"], one["stage"], one["reason"]) for one in bad[:most]]
    if len(bad) > most:
        rows.append((f"... and {len(bad) - most} more", "", "--json lists all"))
    return Table(title=f"{len(bad)} images could not be used", columns=("image", "stage", "why"), rows=tuple(rows))


def prediction_table(document: Mapping[str, Any]) -> Table:
    """One line per image: the class, every class's probability, and a warning where the image is unlike the others."""
    predictions = document["predictions"]
    names = list(predictions[0]["probabilities"])
    rows = tuple(
        (
            one["image"],
            one["label"],
            *(number(one["probabilities"][name]) for name in names),
            "unlike the training images" if one["out_of_distribution"] else "",
        )
        for one in predictions
    )
    title = f"Predictions of {document['run']}"
    if document["random_weights"]:
        title += f"\n{RANDOM_WEIGHTS}"
    columns = ("image", "class", *names, "")
    return Table(title=title, columns=columns, rows=rows, numeric=frozenset(range(2, 2 + len(names))))


def weights_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Which ImageNet weights are here."""
    cells = tuple((row["backbone"], row["state"], row["path"], row["url"]) for row in rows)
    return Table(title="ImageNet weights", columns=("backbone", "state", "path", "downloaded from"), rows=cells)
