"""Labels that somebody should look at, as a page shows them."""

from __future__ import annotations

from collections.abc import Sequence

from cxrfeat.errors import InputError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.left_out import left_out_by_ridge
from cxrfeat.metric.doubt import doubt_labels
from cxrfeat.reporting.content import Doubted, Doubts
from cxrfeat.reporting.tiles import TileSheet

SHOWN = 24
"""Doubtful labels that a page shows; `cxrfeat labels` lists all."""

JUDGED = 6000
"""Images whose labels are judged while somebody waits."""


def doubts_in(file: FeatureFile, sheet: TileSheet, names: Sequence[str], seed: int) -> Doubts | None:
    """The labels of a feature file that ridge heads, each without the image's patient, confidently call another class.

    Args:
        file: The file.
        sheet: Numbers the small pictures.
        names: What each image is called.
        seed: Seed of the interval.

    Returns:
        `None` where there are too many images to wait for, all are of one patient, or the network has seen the labels.
    """
    if file.images > JUDGED or file.spec.split is not None:
        return None
    y, classes = file.labels, file.classes
    try:
        probabilities = left_out_by_ridge(file)
    except InputError:
        return None
    found = doubt_labels(y, probabilities, file.groups, classes, seed=seed)
    rows = [row for row in found.order.tolist() if found.suggested[row] != y[row]]
    return Doubts(
        images=file.images,
        doubtful=len(rows),
        expected_wrong=found.expected_wrong,
        expected_wrong_ci=found.expected_wrong_ci,
        labels=tuple(
            Doubted(
                tile=sheet.number_of(row),
                name=names[row],
                label=classes[y[row]],
                suggested=classes[found.suggested[row]],
                score=float(found.score[row]),
            )
            for row in rows[:SHOWN]
        ),
    )
