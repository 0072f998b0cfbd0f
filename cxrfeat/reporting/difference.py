"""How far runs lie from the best, in words and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import Table, number, with_interval


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


def standing_of(difference: Mapping[str, Any] | None) -> str:
    """What a run is against the best one, of which there is no difference.

    Example:
        >>> standing_of({"ci": [-0.1, 0.2], "tied": True}), standing_of({"ci": None, "tied": True})
        ('tied', 'cannot be judged')
    """
    if difference is None:
        return "best"
    if "why" in difference:
        return str(difference["why"])
    return "cannot be judged" if difference["ci"] is None else "tied" if difference["tied"] else "different"


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
