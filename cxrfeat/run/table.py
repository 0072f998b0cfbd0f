"""The CSV files of a run as typed values: the only place that knows their columns."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Labels, Part, Probabilities

Columns = Mapping[str, Sequence[object]]
"""Columns of equal length by name."""

_NUMBERS = ("loss", "accuracy", "val_loss", "val_accuracy")
HISTORY = ("epoch", *_NUMBERS, "kept")
IMAGES = ("image_id", "content_sha256", "group", "part", "label", "predicted")
"""Columns of `predictions.csv` before the probabilities."""
PROBABILITY = "probability "
"""What the name of a class follows in the name of its column."""
TRUE, PREDICTED = "true ", "predicted "
"""What the name of a finding, or of a number, follows in the names of its columns."""
SPLIT = ("content_sha256", "part")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a run said of the images that tested it, and before them of those that validated it.

    An image that was tested repeatedly has as many rows.
    """

    classes: tuple[str, ...]
    image_ids: tuple[str, ...]
    contents: tuple[str, ...]
    """SHA-256 of each image's bytes."""
    groups: tuple[str, ...]
    """Salted names."""
    parts: tuple[str, ...]
    """`validation`, or the part that tested the image: `test`, or the name of a fold."""
    labels: Labels
    predicted: Labels
    probabilities: Probabilities

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.parts)

    @property
    def tested(self) -> NDArray[np.intp]:
        """Rows of the images that tested it."""
        return np.flatnonzero([part != Part.VALIDATION for part in self.parts])

    @property
    def validated(self) -> NDArray[np.intp]:
        """Rows of the images that validated it."""
        return np.flatnonzero([part == Part.VALIDATION for part in self.parts])

    def to_csv(self) -> str:
        """The text of `predictions.csv`; probabilities in full precision."""
        names = [[self.classes[label] for label in labels.tolist()] for labels in (self.labels, self.predicted)]
        texts = (self.image_ids, self.contents, self.groups, self.parts, *names)
        columns = dict(zip(IMAGES, texts, strict=True))
        told = {f"{PROBABILITY}{name}": self.probabilities[:, index] for index, name in enumerate(self.classes)}
        return to_csv(columns | {name: column.tolist() for name, column in told.items()})

    @classmethod
    def read(cls, text: str, classes: Sequence[str]) -> Self:
        """What `to_csv` wrote.

        Args:
            text: Text of the file.
            classes: Classes of the run.

        Raises:
            ValueError: If a column is missing, a label is no class, or a probability is missing.
        """
        table = read_csv(text, (*IMAGES, *(f"{PROBABILITY}{name}" for name in classes)))
        number = {name: index for index, name in enumerate(classes)}
        unknown = {*table["label"], *table["predicted"]} - number.keys()
        if unknown:
            raise ValueError(f"{min(unknown)!r} is not a class of the run")
        rows = [[float(cell) for cell in table[f"{PROBABILITY}{name}"]] for name in classes]
        probabilities = np.array(rows, dtype=np.float64).T.reshape(-1, len(classes))
        if not ((probabilities >= 0) & (probabilities <= 1)).all():
            raise ValueError("a probability is missing")
        labels, predicted = (
            np.array([number[name] for name in table[column]], dtype=np.int64) for column in ("label", "predicted")
        )
        return cls(
            classes=tuple(classes),
            image_ids=tuple(table["image_id"]),
            contents=tuple(table["content_sha256"]),
            groups=tuple(table["group"]),
            parts=tuple(table["part"]),
            labels=labels,
            predicted=predicted,
            probabilities=probabilities,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetPredictions:
    """What a run of a number or of all findings said of the images that validated and tested it."""

    names: tuple[str, ...]
    """What is predicted."""
    image_ids: tuple[str, ...]
    contents: tuple[str, ...]
    """SHA-256 of each image's bytes."""
    groups: tuple[str, ...]
    """Salted names."""
    parts: tuple[str, ...]
    """`validation` or `test`."""
    true: NDArray[np.float64]
    """`(rows, names)`: of a finding 1 where it is there and 0 where it is not; NaN where it is not known."""
    predicted: NDArray[np.float64]
    """`(rows, names)`: of a finding its probability."""

    @property
    def tested(self) -> NDArray[np.intp]:
        """Rows of the images that tested it."""
        return np.flatnonzero([part == Part.TEST for part in self.parts])

    def to_csv(self) -> str:
        """The text of `predictions.csv`; numbers in full precision, an empty cell where one is not known."""
        columns: dict[str, Sequence[object]] = dict(
            zip(IMAGES[:4], (self.image_ids, self.contents, self.groups, self.parts), strict=True)
        )
        for place, name in enumerate(self.names):
            true = self.true[:, place].tolist()
            columns[f"{TRUE}{name}"] = ["" if math.isnan(one) else one for one in true]
            columns[f"{PREDICTED}{name}"] = self.predicted[:, place].tolist()
        return to_csv(columns)

    @classmethod
    def read(cls, text: str, names: Sequence[str]) -> Self:
        """What `to_csv` wrote.

        Args:
            text: Text of the file.
            names: What the run predicts.

        Raises:
            ValueError: If a column is missing, or a cell holds no such number.
        """
        told = [f"{kind}{name}" for kind in (TRUE, PREDICTED) for name in names]
        table = read_csv(text, (*IMAGES[:4], *told))
        numbers = np.array([[float(cell or "nan") for cell in table[name]] for name in told]).reshape(len(told), -1)
        true, predicted = numbers[: len(names)].T, numbers[len(names) :].T
        if not np.isfinite(predicted).all() or np.isinf(true).any():
            raise ValueError("a prediction is none")
        image_ids, contents, groups, parts = (tuple(table[name]) for name in IMAGES[:4])
        return cls(
            names=tuple(names), image_ids=image_ids, contents=contents, groups=groups, parts=parts, true=true,
            predicted=predicted,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRows:
    """The part of each image, in the order of the feature file."""

    contents: tuple[str, ...]
    """SHA-256 of each image's bytes."""
    parts: tuple[str, ...]
    """`train`, `validation`, `test` or none of them; or what tested the image (of several repeats, in the first)."""

    def to_csv(self) -> str:
        """The text of `split.csv`."""
        return to_csv(dict(zip(SPLIT, (self.contents, self.parts), strict=True)))

    @classmethod
    def read(cls, text: str) -> Self:
        """What `to_csv` wrote.

        Raises:
            ValueError: If a column is missing.
        """
        table = read_csv(text, SPLIT)
        return cls(contents=tuple(table["content_sha256"]), parts=tuple(table["part"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the training images; a number that there is not is `None`."""

    epoch: int
    """0 is the start, before anything was trained."""
    loss: float | None
    accuracy: float | None
    val_loss: float | None = None
    val_accuracy: float | None = None
    kept: bool = False
    """Whether the weights after this one are the run's."""


@dataclass(frozen=True, slots=True)
class History:
    """The epochs of a head; none where it is not trained in epochs."""

    epochs: tuple[Epoch, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is an epoch."""
        return bool(self.epochs)

    @property
    def kept(self) -> Epoch | None:
        """The epoch that was kept; the last where none is marked."""
        return next((one for one in self.epochs if one.kept), self.epochs[-1] if self.epochs else None)

    def column(self, name: str) -> list[float | None]:
        """One number of every epoch, by its name."""
        return [getattr(one, name) for one in self.epochs]

    def to_dict(self) -> dict[str, list[Any]]:
        """Column by column, in JSON's own types."""
        return {name: self.column(name) for name in HISTORY}

    def to_csv(self) -> str:
        """The text of `history.csv`; numbers in full precision, an empty cell where there is none."""
        return to_csv(self.to_dict())

    @classmethod
    def read(cls, text: str) -> Self:
        """What `to_csv` wrote.

        Raises:
            ValueError: If a column is missing, or a cell holds no such number.
        """
        table = read_csv(text, HISTORY)
        numbers = [[float(cell) if cell else None for cell in table[name]] for name in _NUMBERS]
        kept = [_MARKS.index(cell) == 1 for cell in table["kept"]]
        columns = (map(int, table["epoch"]), *numbers, kept)
        return cls(tuple(Epoch(**dict(zip(HISTORY, row, strict=True))) for row in zip(*columns, strict=True)))


_MARKS = ("False", "True")


def to_csv(table: Columns) -> str:
    """A table as CSV text; numbers in full precision."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue()


def read_csv(text: str, names: Iterable[str]) -> dict[str, list[str]]:
    """Columns of a CSV text by name; others are ignored.

    Raises:
        ValueError: If it is no table, or lacks one of them.
    """
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    head = rows[0] if rows else []
    if len(set(head)) != len(head) or any(len(row) != len(head) for row in rows):
        raise ValueError("it is no longer a table")
    if lacking := [name for name in names if name not in head]:
        raise ValueError(f"it lacks the column {lacking[0]}")
    return {name: [row[head.index(name)] for row in rows[1:]] for name in names}
