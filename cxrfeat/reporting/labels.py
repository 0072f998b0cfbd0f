"""Doubtful labels as tables, and all of them as a file for whoever decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number
from cxrfeat.run.table import to_csv

CSV = ("image", "image_id", "label", "suggested", "score", "doubtful", "leave_out")
"""Columns of `labels_csv`."""


def labels_table(document: Mapping[str, Any], most: int) -> Table:
    """The most doubtful labels, one a line."""
    shown = document["labels"][:most]
    title = f"Doubtful labels: {len(shown)} of {document['doubtful']} (judged by {document['by']})"
    if document["random_weights"]:
        title += f"\n{RANDOM_WEIGHTS}"
    return Table(
        title=title,
        columns=("image", "label", "suggested", "doubt"),
        rows=tuple((one["image"], one["label"], one["suggested"], number(one["score"])) for one in shown),
        numeric=frozenset({3}),
    )


def joint_table(document: Mapping[str, Any]) -> Table:
    """How many images of each label are expected to be of each class."""
    names = list(document["joint"])
    return Table(
        title="Expected classes of the images of each label",
        columns=("label", *names),
        rows=tuple((label, *(f"{row[name]:.0f}" for name in names)) for label, row in document["joint"].items()),
        numeric=frozenset(range(1, 1 + len(names))),
    )


def expected_sentence(document: Mapping[str, Any]) -> str:
    """How many labels are expected to be wrong, and what that is worth."""
    wrong, ends, images = document["expected_wrong"], document["expected_wrong_ci"], document["images"]
    interval = "" if ends is None else f" [{ends[0]:.0f}, {ends[1]:.0f}]"
    return (
        f"Of {images} labels about {wrong:.0f}{interval} are expected to be wrong. That is too many where the classes "
        "are hard to tell apart: look before you believe it. No label was changed."
    )


def labels_csv(judged: Sequence[Mapping[str, Any]]) -> str:
    """Every label that was judged as CSV, the most doubtful first.

    The column `leave_out` is empty, for `yes` where whoever looked wants an image left out of a fit.
    """
    told = [{**one, "doubtful": "yes" if one["suggested"] != one["label"] else "no", "leave_out": ""} for one in judged]
    return to_csv({name: [one[name] for one in told] for name in CSV})
