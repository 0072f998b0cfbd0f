"""Tables of the audit: its checks, and what they counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.shortcut import ratio_text, within_pair
from cxrfeat.reporting.table import Table, number, with_interval

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


def sources_table(sources: Mapping[str, Any]) -> Table | None:
    """Images of each class from each source; `None` where no source is known."""
    if not sources["sources"]:
        return None
    rows = [
        (name, *(str(sources["counts"][index][place]) for index in range(len(sources["classes"]))))
        for place, name in enumerate(sources["sources"])
    ]
    unknown = sources["unknown_by_class"]
    if sources["unknown"]:
        rows.append(("unknown", *(str(unknown[name]) for name in sources["classes"])))
    judged = [pair for pair in sources["pairs"] if pair["judged"]]
    apart = [" and ".join(pair["classes"]) for pair in judged if not pair["identifiable"]]
    said = f"; not identifiable: {', '.join(apart)}" if apart else "; every pair of classes shares a source"
    nearly = [" and ".join(pair["classes"]) for pair in judged if pair["identifiable"] and pair["told"]]
    if nearly:
        said += f"; next to no source in common: {', '.join(nearly)}"
    if len(judged) < len(sources["pairs"]):
        few = [" and ".join(pair["classes"]) for pair in sources["pairs"] if not pair["judged"]]
        said = (said if judged else "") + f"; too few known to say: {', '.join(few)}"
    return Table(
        title=f"Images by source and class (Cramer's V {number(sources['cramers_v'], 2)}; the source alone predicts "
        f"the class with balanced accuracy {number(sources['balanced_accuracy'])}{said})",
        columns=("source", *sources["classes"]),
        rows=tuple(rows),
        numeric=frozenset(range(1, 1 + len(sources["classes"]))),
    )


def control_table(controls: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """What can be had without the lungs, next to the model where there is one."""
    if not controls:
        return None
    rows = [
        (
            name,
            with_interval(scores["accuracy"], scores["accuracy_ci"]),
            with_interval(scores["auroc"], scores["auroc_ci"]),
            ratio_text(scores),
        )
        for name, scores in controls.items()
    ]
    return Table(
        title="Controls: the class predicted from something other than the lungs, grouped folds, 95 % intervals\n"
        "(shortcut ratio: share of the model's AUROC above 0.5 that the control reaches)",
        columns=("seen", "accuracy", "AUROC", "shortcut ratio"),
        rows=tuple(rows),
    )


def pairs_table(within: Mapping[str, Any] | None) -> Table | None:
    """The honest figure: each pair of classes within the sources it shares; `None` without a model."""
    if within is None:
        return None
    rows = [
        (
            " against ".join(pair["classes"]),
            within_pair(pair),
            str(pair["images"]),
        )
        for pair in within["pairs"]
    ]
    return Table(
        title="Within sources: pairs of classes told apart by the model among images of one source",
        columns=("pair", "AUROC", "images"),
        rows=tuple(rows),
        numeric=frozenset({2}),
    )


def mitigation_table(mitigations: Sequence[Mapping[str, Any]]) -> Table | None:
    """Score against shortcut ratio for each way to make the network look at the lungs."""
    if not mitigations:
        return None
    rows = [
        (
            one["name"],
            with_interval(one["auroc"], one["auroc_ci"]),
            number(one["control"]),
            ratio_text(one),
        )
        for one in mitigations
    ]
    lungs = (
        "" if any(one["name"] == "lungs" for one in mitigations) else "\n(lungs: takes a mask of nine in ten images)"
    )
    return Table(
        title="Making it look at the lungs: the model's AUROC, and what is left of it with the lungs blacked out\n"
        "(balanced by: images as they are, weighed in training so that the class does not go with the column;\n"
        "in part: as far as classes share what it says)" + lungs,
        columns=("way", "AUROC", "lungs out", "shortcut ratio"),
        rows=tuple(rows),
        numeric=frozenset({2}),
    )
