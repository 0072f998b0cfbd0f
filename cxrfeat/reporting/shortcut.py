"""Tables of what a score owes to where the images come from, and what remains without that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.image.note import number as counted
from cxrfeat.reporting.table import Table, number, with_interval


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


def encoded_table(encoded: Sequence[Mapping[str, Any]]) -> Table | None:
    """What else than the class can be read from the features, beside how far it goes with the class.

    Args:
        encoded: As in the documents of runs and of the audit; `None` is returned where there is nothing.
    """
    if not encoded:
        return None
    rows = []
    for one in encoded:
        what = " / ".join(one["values"]) if one["cut"] is None else "upper half of a class from its lower"
        auroc = with_interval(one["auroc"], one["auroc_ci"])
        if one["auroc"] is None:
            auroc = "no class has two"
        rows.append((one["name"], what, auroc, number(one["cramers_v"], 2), str(one["images"])))
    return Table(
        title="What else the features know: read by ridge regression among images of one class, patients left out, "
        "95 % intervals\n(Cramer's V: how far it goes with the class, from 0 to 1)",
        columns=("", "told apart", "AUROC", "Cramer's V", "images"),
        rows=tuple(rows),
        numeric=frozenset({3, 4}),
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
        of = f"{counted(within['images'], 'image')} of {counted(within['sources'], 'source')} with several classes"
        what = f"all classes, {of}"
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
        title="Within sources: what remains when knowing the hospital does not help",
        columns=("head", "", "accuracy or AUROC", ""),
        rows=tuple(rows),
    )


def within_pair(pair: Mapping[str, Any]) -> str:
    """How well two classes are told apart within the sources they share, or why nobody can say.

    Args:
        pair: One of `pairs` of `metric.source.within_source`.
    """
    if pair["identifiable"]:
        return with_interval(pair["auroc"], pair["auroc_ci"])
    return "not identifiable" if pair["known"] else "source unknown"


def within_table(runs: Sequence[Mapping[str, Any]]) -> Table | None:
    """What remains among images of one source, a line per run; `None` where no source is known."""
    known = [
        (run, run["test"]["within_source"]) for run in runs if (run["test"].get("within_source") or {}).get("known")
    ]
    if not known:
        return None
    pairs = [tuple(pair["classes"]) for pair in known[0][1]["pairs"]]
    rows = []
    for run, within in known:
        told = {tuple(pair["classes"]): within_pair(pair) for pair in within["pairs"]}
        cells = (told.get(pair, "-") for pair in pairs)
        rows.append((run["head"], run["backbone"], with_interval(within["accuracy"], within["accuracy_ci"]), *cells))
    first = known[0][1]
    chance = f"; always naming a source's commonest class reaches {number(first['chance'])}" if first["images"] else ""
    return Table(
        title="Within sources: what remains when knowing the hospital does not help\n"
        f"(accuracy over {first['images']} images{chance}; AUROC of each pair of classes that shares one)",
        columns=("head", "backbone", "accuracy", *(" / ".join(pair) for pair in pairs)),
        rows=tuple(rows),
    )
