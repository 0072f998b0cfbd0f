"""Results as tables of text: what to show, not how. The terminal draws them; so will the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrfeat.metric.least import NO_INTERVAL
from cxrfeat.run.folder import to_csv

RANDOM_WEIGHTS = "RANDOM WEIGHTS: the network was never trained, scores mean nothing"
RESEARCH_USE = "Research use only, never diagnosis."
NO_ENDS = "[-]"
"""What stands for an interval that cannot be given."""

WHY_NO_ENDS = f"{NO_ENDS}: no interval, for {NO_INTERVAL} bear the score"
"""What a table with `NO_ENDS` says below its title."""


def apart(differences: Sequence[Mapping[str, Any]]) -> str:
    """What is to be said where not all runs can be compared with the best; empty where they can.

    Args:
        differences: `comparisons` of the document of `compare`.

    Example:
        >>> apart([{"b": "x", "tied": True}, {"b": "y", "why": "not with the same classes: COVID against Covid"}])
        'Not all runs can be compared, and their order means nothing: not with the same classes: COVID against Covid.'
    """
    reasons = list(dict.fromkeys(one["why"] for one in differences if "why" in one))
    return f"Not all runs can be compared, and their order means nothing: {'; '.join(reasons)}." if reasons else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text, ready to draw; with an interval that is missing, the title says why."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""

    def __post_init__(self) -> None:
        """Say in the title why intervals are missing."""
        if WHY_NO_ENDS not in self.title and any(f" {NO_ENDS}" in cell for row in self.rows for cell in row):
            object.__setattr__(self, "title", f"{self.title}\n{WHY_NO_ENDS}")


def number(value: float | None, digits: int = 3) -> str:
    """A score as text; a dash where it does not exist."""
    return "-" if value is None else f"{value:.{digits}f}"


def with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its 95 % interval, or that it has none.

    Example:
        >>> with_interval(0.8483, [0.826, 0.8704]), with_interval(1.0, None), with_interval(None, None)
        ('0.848 [0.826, 0.870]', '1.000 [-]', '-')
    """
    if interval is None:
        return number(value) if value is None else f"{number(value)} {NO_ENDS}"
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def in_words(value: float | None, interval: Sequence[float] | None) -> str:
    """A score with its 95 % interval in a sentence, which says why where there is none.

    Example:
        >>> in_words(0.8483, [0.826, 0.8704]), in_words(1.0, None)
        ('0.848 [0.826, 0.870]', '1.000 (no interval: fewer than 8 patients or groups (of a class))')
    """
    alone = value is None or interval is not None
    return with_interval(value, interval) if alone else f"{number(value)} (no interval: {NO_INTERVAL})"


def ratio_text(scores: Mapping[str, Any]) -> str:
    """The shortcut ratio of some scores; where a model may be at chance, it has no interval though the AUROCs have.

    Example:
        >>> ratio_text({"ratio": 0.4, "ratio_ci": None, "auroc_ci": [0.5, 0.7]})
        '0.400, the model may be at chance'
    """
    ratio, interval = scores.get("ratio"), scores.get("ratio_ci")
    if ratio is not None and interval is None and scores["auroc_ci"] is not None:
        return f"{number(ratio)}, the model may be at chance"
    return with_interval(ratio, interval)


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
        point = operating_point(test.get("operating_points", {}), name)
        rows.append(
            (
                name,
                with_interval(test["sensitivity"][name], test["sensitivity_ci"][name]),
                with_interval(test["specificity"][name], test["specificity_ci"][name]),
                f"{number(point['sensitivity'])} at {number(point['specificity'])}" if point else "-",
                number(test["auroc_per_class"][name]),
            )
        )
    chosen = test.get("operating_points", {}).get("chosen_on", "")
    return Table(
        title=f"{run['head']} on {run['backbone']}, by class (threshold for a specificity of 0.9 chosen on {chosen})",
        columns=("class", "sensitivity", "specificity", "at a threshold", "AUROC"),
        rows=tuple(rows),
        numeric=frozenset({4}),
    )


def operating_point(points: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The point of a class that a threshold of other images gives, or else one chosen on the test images."""
    of_class = points.get(name) or {}
    point: Mapping[str, Any] | None = of_class.get("at_threshold") or of_class.get("at_specificity")
    return point


EXAMPLES = 3
"""Images named under a check."""


def audit_table(findings: Sequence[Mapping[str, Any]], *, everything: bool = False) -> Table | None:
    """The checks that did not pass, each with what to do; `None` if all passed.

    Args:
        findings: As in the JSON documents.
        everything: Those that passed too, and some of the images they are about.
    """
    rows = tuple(
        (one["status"], one["check"], one["why"] + (_examples(one["images"]) if everything else ""), one["do"])
        for one in findings
        if everything or one["status"] != "pass"
    )
    if not rows:
        return None
    return Table(title="Before you believe the scores", columns=("", "check", "why", "what to do"), rows=rows)


def _examples(images: Sequence[str]) -> str:
    """Some images, and how many more there are.

    Example:
        >>> _examples(["a.png", "b.png", "c.png", "d.png"])
        ' (a.png, b.png, c.png and 1 more)'
    """
    if not images:
        return ""
    more = f" and {len(images) - EXAMPLES} more" if len(images) > EXAMPLES else ""
    return f" ({', '.join(images[:EXAMPLES])}{more})"


def difference_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """How far each run lies from the best, paired over the same test images."""
    rows = []
    for one in differences:
        if "why" in one:
            rows.append((one["b"], "-", "-", one["why"]))
            continue
        p = one.get("p_holm")
        rows.append((one["b"], with_interval(one["difference"], one["ci"]), number(p, 4), standing_of(one)))
    best = differences[0]["a"] if differences else ""
    return Table(
        title=f"Accuracy of {best}, less that of",
        columns=("run", "difference [95 % interval]", "p (Holm)", "verdict"),
        rows=tuple(rows),
        numeric=frozenset({2}),
    )


def other_difference_table(differences: Sequence[Mapping[str, Any]]) -> Table:
    """The same by other measures: the AUROC, and the images that only one of the two gets right."""
    rows = []
    for one in differences:
        if "why" in one:
            rows.append((one["b"], "-", "-", one["why"], "-", "-", "-"))
            continue
        auroc, mcnemar = one["auroc"], one["mcnemar"] or {}
        verdict = "-" if auroc["difference"] is None else standing_of(auroc)
        alone = (str(mcnemar.get("only_a", "-")), str(mcnemar.get("only_b", "-")), number(mcnemar.get("p_holm"), 4))
        rows.append(
            (
                one["b"],
                with_interval(auroc["difference"], auroc["ci"]),
                number(auroc.get("p_holm"), 4),
                verdict,
                *alone,
            )
        )
    best = differences[0]["a"] if differences else ""
    return Table(
        title=f"Mean AUROC of {best}, less that of; and images that only one of the two gets right (McNemar)",
        columns=(
            "run",
            "difference [95 % interval]",
            "p (Holm)",
            "verdict",
            "only best",
            "only run",
            "p (McNemar, Holm)",
        ),
        rows=tuple(rows),
        numeric=frozenset({2, 4, 5, 6}),
    )


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


def history_table(history: Mapping[str, Sequence[str]]) -> Table | None:
    """One line per epoch of a network's training; `None` if it had none.

    Args:
        history: Columns of `history.csv`.
    """
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    rows = tuple(
        (
            f"{epoch}{' (kept)' if history['kept'][row] == 'True' else ''}",
            *(number(float(history[name][row]) if history[name][row] else None, 4) for name in names),
        )
        for row, epoch in enumerate(history["epoch"])
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


_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "log_loss", "brier", "ece")
_CLASS_SCORES = {
    "sensitivity": "sensitivity", "specificity": "specificity", "precision": "precision",
    "auroc": "auroc_per_class", "auprc": "auprc_per_class",
}  # fmt: skip


def comparison_csv(comparison: Mapping[str, Any]) -> str:
    """The document of `compare` as CSV: one row per run, numbers in full precision, ends of intervals in own columns.

    Text that a spreadsheet would take for a formula gets an apostrophe before it, and a control character is shown as
    its code; what does not exist is an empty cell.
    """
    runs = comparison["runs"]
    differences = {one["b"]: one for one in comparison["comparisons"]}
    classes = list(dict.fromkeys(name for run in runs for name in run["test"]["classes"]))
    rows = [_csv_row(run, differences.get(run["run"]), classes) for run in runs]
    return to_csv({_safe_text(name): [_safe(row[name]) for row in rows] for name in rows[0]})


def _csv_row(run: Mapping[str, Any], difference: Mapping[str, Any] | None, classes: Sequence[str]) -> dict[str, Any]:
    test, training = run["test"], run["training"]
    row: dict[str, Any] = {name: run[name] for name in ("run", "head", "backbone", "dataset", "random_weights")}
    row |= {"tested": "out-of-fold" if run.get("folds") else "test part"}
    row |= {"images": test["images"], "groups": test["groups"]}
    for name in _SCORES:
        row |= _with_ends(name, test.get(name), test.get(f"{name}_ci"))
    for name, key in _CLASS_SCORES.items():
        values, intervals = test.get(key) or {}, test.get(f"{key}_ci") or {}
        for label in classes:
            row |= _with_ends(f"{name} {label}", values.get(label), intervals.get(label))
    row |= {"training_loss": training["loss"], "training_accuracy": training["accuracy"]}
    row |= {"validation_loss": training["val_loss"], "validation_accuracy": training["val_accuracy"]}
    row |= {"epochs": training["epochs"], "seconds": run["seconds"]}
    for label in classes:
        told = run["predictive_values"].get(label, {})
        row |= {f"prevalence {label}": told.get("prevalence")}
        for name in ("ppv", "npv"):
            row |= _with_ends(f"{name} {label}", told.get(name), told.get(f"{name}_ci"))
    told = difference or {}
    row |= _with_ends("difference", told.get("difference"), told.get("ci"))
    row |= {"p_holm": told.get("p_holm")}
    row |= {"verdict": standing_of(difference)}
    return row


def standing_of(difference: Mapping[str, Any] | None) -> str:
    """What a run is against the best one, of which there is no difference.

    Example:
        >>> standing_of({"ci": [-0.1, 0.2], "tied": True}), standing_of({"ci": None, "tied": True})
        ('tied', 'cannot be told')
    """
    if difference is None:
        return "best"
    if "why" in difference:
        return str(difference["why"])
    return "cannot be told" if difference["ci"] is None else "tied" if difference["tied"] else "different"


def _with_ends(name: str, value: float | None, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name} low": low, f"{name} high": high}


def _safe(cell: object) -> object:
    return _safe_text(cell) if isinstance(cell, str) else cell


def _safe_text(text: str) -> str:
    # A bare carriage return ends a row for some readers, so what follows it could begin a cell: show its code instead.
    shown = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) else shown


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
        ("copies", f"{found['duplicates']} byte for byte; changed copies are looked for by cxrfeat audit, not here"),
        ("masks", f"{found['masks']} images have one"),
        ("size", ", ".join(f"{name} {width} x {height}" for name, (width, height) in sizes.items())),
        ("unusable", str(len(found["quarantined"]))),
    ]
    tables = [
        Table(title=f"{found['dataset']}: what is there", columns=("", ""), rows=tuple(facts)),
        Table(title="Counts", columns=("", "", "images"), rows=tuple(counts), numeric=frozenset({2})),
    ]
    bad = quarantine_table(found["quarantined"])
    return [*tables, bad] if bad else tables


def counts_table(
    classes: Sequence[str], labels: Sequence[int], groups: Sequence[int], columns: Mapping[str, Sequence[str | None]]
) -> Table:
    """Images of each class: how many, of how many patients, and how they fall into parts, sources and the like.

    Args:
        classes: Class names.
        labels: Of each image, its place among them.
        groups: Of each image.
        columns: By name, a text for each image, or none; each text that occurs becomes a column.
    """
    kinds = [(name, text) for name, texts in columns.items() for text in sorted({one for one in texts if one})]
    rows = []
    for index, label in [*enumerate(classes), (None, "all")]:
        of_class = [row for row, one in enumerate(labels) if index is None or one == index]
        counts = [sum(columns[name][row] == text for row in of_class) for name, text in kinds]
        rows.append((label, *map(str, (len(of_class), len({groups[row] for row in of_class}), *counts))))
    return Table(
        title="Images by class",
        columns=("class", "images", "patients or groups", *(f"{name} {text}".strip() for name, text in kinds)),
        rows=tuple(rows),
        numeric=frozenset(range(1, 3 + len(kinds))),
    )


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
