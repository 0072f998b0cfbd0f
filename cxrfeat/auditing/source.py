"""Whether a class can be told by where its images came from: counts over sources, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.run.document import WithinSource
from cxrfeat.types import Finding, Labels, Status

LEAST_KNOWN = 8
"""Images of a class whose source must be known before the class is judged; all of it, if it has fewer. If a third of it
came from a source that another class has, this many would show it 96 times in 100."""

TELLS = 0.8
"""Cramer's V of two classes from which the source tells them apart as well as if they shared none: for classes of equal
size a balanced accuracy of 0.9. So one image in the other's hospital, or one that is said to be, changes no verdict."""


LOOSE = 0.1
"""Cramer's V up to which a better accuracy is what many small sources give by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOfClasses:
    """Two classes, and what the sources say of them."""

    classes: tuple[str, str]
    judged: bool
    """Whether the source of enough images of both is known."""
    shared: int
    """Sources that have both."""
    cramers_v: float
    """Association of class and source among the two, 0 to 1."""

    @property
    def told(self) -> bool:
        """Whether the source all but says which of the two an image is: no score is of the disease then."""
        return self.judged and (not self.shared or self.cramers_v >= TELLS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceTable:
    """How many images of each class each source gave."""

    classes: tuple[str, ...]
    sources: tuple[str, ...]
    counts: NDArray[np.int64]
    """`(classes, sources)`, images of unknown source left out."""
    unknown: tuple[int, ...]
    """Images of each class whose source is unknown."""

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
        unknown = [0] * len(classes)
        for label, source in zip(labels.tolist(), sources, strict=True):
            if source is not None:
                counts[label, place[source]] += 1
            else:
                unknown[label] += 1
        return cls(classes=tuple(classes), sources=tuple(names), counts=counts, unknown=tuple(unknown))

    @property
    def judged(self) -> tuple[bool, ...]:
        """Of each class, whether the source of enough of its images is known."""
        known = self.counts.sum(axis=1).tolist()
        return tuple(
            count > 0 and (count >= LEAST_KNOWN or not unknown)
            for count, unknown in zip(known, self.unknown, strict=True)
        )

    @property
    def balanced_accuracy(self) -> float:
        """Of the best rule that sees nothing but the source: in each, the class commonest there for its size.

        It is 1 / `classes judged` where sources say nothing, 1 where they say all; images of unknown source, and
        classes of which too few are known, are left out.
        """
        there = self.counts[list(self.judged)]
        if not there.size:
            return 1 / len(self.classes)
        shares = there / there.sum(axis=1, keepdims=True)
        return float(shares.max(axis=0).sum() / len(there))

    @property
    def cramers_v(self) -> float:
        """Association of class and source, 0 (none) to 1 (one tells the other), of the classes judged."""
        return cramers_v(self.counts[list(self.judged)])

    @property
    def pairs(self) -> list[PairOfClasses]:
        """Each pair of classes: one that shares no source is not identifiable."""
        return [
            PairOfClasses(
                classes=(self.classes[a], self.classes[b]),
                judged=self.judged[a] and self.judged[b],
                shared=int(((self.counts[a] > 0) & (self.counts[b] > 0)).sum()),
                cramers_v=cramers_v(self.counts[[a, b]]),
            )
            for a, b in combinations(range(len(self.classes)), 2)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "classes": list(self.classes),
            "sources": list(self.sources),
            "counts": self.counts.tolist(),
            "unknown": sum(self.unknown),
            "unknown_by_class": dict(zip(self.classes, self.unknown, strict=True)),
            "cramers_v": self.cramers_v,
            "balanced_accuracy": self.balanced_accuracy,
            "pairs": [
                {
                    "classes": list(pair.classes),
                    "identifiable": bool(pair.shared),
                    "judged": pair.judged,
                    "told": pair.told,
                    "cramers_v": pair.cramers_v,
                }
                for pair in self.pairs
            ],
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


def check_sources(table: SourceTable) -> list[Finding]:
    """How well the source alone tells the class; the value is the balanced accuracy of doing so.

    Two classes that share no source, or next to none, cannot be told from their sources by any score; that fails. What
    is known is judged, and what is not is a finding of its own: one empty cell hides nothing.

    Returns:
        `source`, and `unknown sources` where some are known and others not.
    """
    unknown, images = sum(table.unknown), int(table.counts.sum()) + sum(table.unknown)
    column = "Name each image's hospital or data set in the column source of metadata.csv."
    if not table.sources:
        return [
            Finding(
                check="source",
                status=Status.WARN,
                why=f"The source of none of the {images} images is known, so nobody can test whether the score "
                "measures the disease or where the picture came from.",
                do=column,
            )
        ]
    found = [_of_known(table, column)]
    if unknown:
        found.append(
            Finding(
                check="unknown sources",
                status=Status.WARN,
                value=unknown,
                why=f"The source of {unknown} of {images} images is unknown ({_each(table)}); the others were judged "
                "without them.",
                do=column,
            )
        )
    return found


def _of_known(table: SourceTable, column: str) -> Finding:
    judged = sum(table.judged)
    left = [
        f"{name} ({known} of {known + unknown} known)"
        for name, known, unknown, enough in zip(
            table.classes, table.counts.sum(axis=1).tolist(), table.unknown, table.judged, strict=True
        )
        if not enough
    ]
    besides = f" Too few sources are known to judge {', '.join(left)}." if left else ""
    if judged < 2:
        return Finding(check="source", status=Status.WARN, why=besides.strip(), do=column)
    value, chance = table.balanced_accuracy, 1 / judged
    of_known = " of the images whose source is known" if any(table.unknown) else ""
    said = (
        f"The source alone predicts the class{of_known} with balanced accuracy {value:.3f} (chance {chance:.3f}; "
        f"Cramer's V {table.cramers_v:.2f})"
    )
    apart = [" and ".join(pair.classes) for pair in table.pairs if pair.judged and not pair.shared]
    nearly = [" and ".join(pair.classes) for pair in table.pairs if pair.told and pair.shared]
    if apart or nearly:
        told = [
            *([f"{'; '.join(apart)} share no source"] if apart else []),
            *([f"{'; '.join(nearly)} share next to no source"] if nearly else []),
        ]
        return Finding(
            check="source",
            status=Status.FAIL,
            value=value,
            why=f"{said}: {', and '.join(told)}, so no score can separate the disease from the hospital.{besides}",
            do="Add images of those classes from a common source, or judge only pairs of classes that share one.",
        )
    if value > chance + 0.1 and table.cramers_v > LOOSE:
        return Finding(
            check="source",
            status=Status.WARN,
            value=value,
            why=f"{said}: part of every score below may be the hospital.{besides}",
            do="Compare with the score within one source, or balance the sources between the classes.",
        )
    return Finding(
        check="source",
        status=Status.WARN if left else Status.PASS,
        value=value,
        why=f"{said}.{besides}",
        do=column if left else "",
    )


def _each(table: SourceTable) -> str:
    return ", ".join(f"{count} of {name}" for name, count in zip(table.classes, table.unknown, strict=True) if count)


_MEND = (
    "Report this figure, not the overall one. See the AUROC within sources for whether it ranks at all; add images of "
    "every class from each source."
)

WITHIN = "within sources"
"""The check's name."""

NO_BETTER = "Within one source it is no better than always naming the commonest class"
NOT_SHOWN = "Within one source it is not shown to be better than naming the commonest class"
"""What the check says where it fails: with an accuracy that is not higher, and with one that may be so by chance."""


def check_within(within: WithinSource) -> list[Finding]:
    """Whether a model beats always naming the commonest class of each image's source, which takes no network.

    It fails unless the whole 95 % interval of its accuracy within sources lies above that: the proof is the score's to
    give. Where no interval can be given there are too few images to say, which is a warning. The value is by how much
    its accuracy is higher.

    Args:
        within: The scores; nothing is found where no source is known or none holds two classes.

    Example:
        >>> counts = {"images": 160, "sources": 1, "known": 160, "unknown": 0, "pairs": ()}
        >>> check_within(WithinSource(accuracy=0.74, accuracy_ci=(0.67, 0.8), chance=0.759, **counts))[0].status.name
        'FAIL'
    """
    accuracy, interval, chance = within.accuracy, within.accuracy_ci, within.chance
    if not within.images or accuracy is None or chance is None:
        return []
    ends = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    figures = (
        f"accuracy {accuracy:.3f}{ends} over {within.images} test images of sources with several classes; always "
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
