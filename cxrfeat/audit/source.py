"""Whether a class can be told by where its images came from: counts over sources, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Finding, Labels, Status


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceTable:
    """How many images of each class each source gave."""

    classes: tuple[str, ...]
    sources: tuple[str, ...]
    counts: NDArray[np.int64]
    """`(classes, sources)`, images of unknown source left out."""
    unknown: int
    """Images whose source is unknown."""

    @classmethod
    def of(cls, labels: Labels, sources: Sequence[str | None], classes: Sequence[str]) -> SourceTable:
        """Count.

        Args:
            labels: `(images,)` class indices.
            sources: `(images,)` names, `None` where unknown.
            classes: Class names.
        """
        names = sorted({source for source in sources if source is not None})
        place = {name: index for index, name in enumerate(names)}
        counts = np.zeros((len(classes), len(names)), np.int64)
        for label, source in zip(labels.tolist(), sources, strict=True):
            if source is not None:
                counts[label, place[source]] += 1
        return cls(
            classes=tuple(classes), sources=tuple(names), counts=counts, unknown=sum(one is None for one in sources)
        )

    @property
    def balanced_accuracy(self) -> float:
        """Of the best rule that sees nothing but the source: in each, the class commonest there for its size.

        It is 1 / classes where sources say nothing, 1 where they say all.
        """
        if not self.sources:
            return 1 / len(self.classes)
        shares = self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        return float(shares.max(axis=0).sum() / len(self.classes))

    @property
    def cramers_v(self) -> float:
        """Association of class and source, 0 (none) to 1 (one tells the other)."""
        return cramers_v(self.counts)

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """Each pair of classes, and how many sources have both: a pair that shares none is not identifiable."""
        return [
            (self.classes[a], self.classes[b], int(((self.counts[a] > 0) & (self.counts[b] > 0)).sum()))
            for a, b in combinations(range(len(self.classes)), 2)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "classes": list(self.classes),
            "sources": list(self.sources),
            "counts": self.counts.tolist(),
            "unknown": self.unknown,
            "cramers_v": self.cramers_v,
            "balanced_accuracy": self.balanced_accuracy,
            "pairs": [{"classes": [a, b], "identifiable": bool(shared)} for a, b, shared in self.pairs],
        }


def cramers_v(counts: NDArray[np.int64]) -> float:
    """Association of rows and columns of a table of counts, corrected for the bias of small samples, 0 to 1.

    Source: Cramer 1946, section 21.9; Bergsma 2013, "A bias-correction for Cramer's V and Tschuprow's T".

    Example:
        >>> cramers_v(np.array([[50, 0], [0, 50]])), cramers_v(np.array([[25, 25], [25, 25]]))
        (1.0, 0.0)
    """
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    total = int(counts.sum())
    rows, columns = counts.shape
    if total < 2 or min(rows, columns) < 2:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    squared = float((np.square(counts - expected) / expected).sum()) / total
    corrected = max(0.0, squared - (rows - 1) * (columns - 1) / (total - 1))
    sides = [side - (side - 1) ** 2 / (total - 1) for side in (rows, columns)]
    return float(min(1.0, (corrected / (min(sides) - 1)) ** 0.5)) if min(sides) > 1 else 0.0


def check_sources(table: SourceTable) -> Finding:
    """How well the source alone tells the class; the value is the balanced accuracy of doing so.

    Two classes that share no source cannot be told from their sources by any score; that fails.
    """
    images = int(table.counts.sum()) + table.unknown
    if table.unknown:
        return Finding(
            check="source",
            status=Status.WARN,
            why=f"The source of {table.unknown} of {images} images is unknown, so nobody can test "
            "whether the score measures the disease or where the picture came from.",
            do="Name each image's hospital or data set in the column source of metadata.csv.",
        )
    value, chance = table.balanced_accuracy, 1 / len(table.classes)
    apart = [f"{a} and {b}" for a, b, shared in table.pairs if not shared]
    said = (
        f"The source alone predicts the class with balanced accuracy {value:.3f} (chance {chance:.3f}; Cramer's V "
        f"{table.cramers_v:.2f})"
    )
    if apart:
        return Finding(
            check="source",
            status=Status.FAIL,
            value=value,
            why=f"{said}: {'; '.join(apart)} share no source, so no score tells the disease from the hospital.",
            do="Add images of those classes from a common source, or judge only pairs of classes that share one.",
        )
    if value > chance + 0.1:
        return Finding(
            check="source",
            status=Status.WARN,
            value=value,
            why=f"{said}: part of every score below may be the hospital.",
            do="Compare with the score within one source, or balance the sources between the classes.",
        )
    return Finding(check="source", status=Status.PASS, value=value, why=f"{said}.")


_MEND = (
    "Report this figure, not the overall one. See the AUROC within sources for whether it ranks at all; add images of "
    "every class from each source."
)

WITHIN = "within sources"
"""The check's name."""

NO_BETTER = "Within one source it is no better than naming the commonest class"
NOT_SHOWN = "Within one source it is not shown to be better than naming the commonest class"
"""What the check says where it fails: with an accuracy that is not higher, and with one that may be so by chance."""


def check_within(within: Mapping[str, Any] | None) -> list[Finding]:
    """Whether a model beats always naming the commonest class of each image's source, which takes no network.

    It fails unless the whole 95 % interval of its accuracy within sources lies above that: the proof is the score's to
    give. Where no interval can be given there are too few images to say, which is a warning. The value is by how much
    its accuracy is higher.

    Args:
        within: Of `metric.source.within_source`; nothing is found where no source is known or none holds two classes.

    Example:
        >>> told = {"accuracy": 0.74, "accuracy_ci": [0.67, 0.8], "chance": 0.759, "images": 160, "sources": 1}
        >>> check_within(told)[0].status.name
        'FAIL'
    """
    if not within or not within["images"]:
        return []
    accuracy, interval, chance = within["accuracy"], within["accuracy_ci"], within["chance"]
    ends = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    figures = (
        f"accuracy {accuracy:.3f}{ends} over {within['images']} test images of sources with several classes; always "
        f"naming a source's commonest class, which takes no network, reaches {chance:.3f}"
    )
    if interval is None:
        status, said = Status.WARN, "There are too few images to say whether it beats naming the commonest class"
    elif interval[0] > chance:
        status, said = Status.PASS, "Among images of one source it beats naming the commonest class"
    elif accuracy > chance:
        status, said = Status.FAIL, NOT_SHOWN
    else:
        status, said = Status.FAIL, NO_BETTER
    return [
        Finding(
            check=WITHIN,
            status=status,
            value=accuracy - chance,
            why=f"{said}: {figures}.",
            do="" if status is Status.PASS else _MEND,
        )
    ]
