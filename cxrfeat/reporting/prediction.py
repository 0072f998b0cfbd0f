"""What a run says of single images, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrfeat.reporting.table import RANDOM_WEIGHTS, Table, number


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
