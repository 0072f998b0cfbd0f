"""Weights of training images that part the class from a column: in training, neither tells the other.

A head whose images are weighed so gains nothing by naming the class from the hospital or the sex. What the network saw
in the images stays in the features; only the last layer is trained anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.column import cut_by, read_cut
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.note import number
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balance:
    """Which images are alike in some columns."""

    by: tuple[str, ...]
    """The columns, as they were given."""
    cell: NDArray[np.int64]
    """`(images,)` a number for what the columns say together, from 0."""
    names: tuple[str, ...]
    """What each cell is called."""

    @classmethod
    def of_file(cls, file: FeatureFile, by: Sequence[str]) -> Balance:
        """The cells of a feature file; that nobody knows is a value of its own.

        Args:
            file: Describes its images.
            by: Columns as `compare` takes them: `sex`, `age:40:65`.

        Raises:
            UsageError: If there is no such column, or it cannot be cut so.
        """
        cuts = [read_cut(one, "balance_by") for one in by]
        told = [cut_by(file, range(file.images), cut) for cut in cuts]
        rows = np.column_stack([member for member, _ in told])
        there, cell = np.unique(rows, axis=0, return_inverse=True)
        names = tuple(
            ", ".join(f"{cut.column} {values[place]}" for cut, (_, values), place in zip(cuts, told, row, strict=True))
            for row in there.tolist()
        )
        return cls(by=tuple(map(str, cuts)), cell=cell.reshape(-1).astype(np.int64), names=names)

    def weights(self, rows: NDArray[np.intp], y: Labels) -> NDArray[np.float64]:
        """`(rows,)` a weight for each training image, 1 in the mean, with which class and cell are independent.

        Args:
            rows: The images.
            y: `(images,)` class indices, of all images.

        Raises:
            InputError: If each class has cells of its own, which no weights can repair.

        Source: Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination",
        section 4.2 (reweighing); Kirichenko, Izmailov & Wilson 2023, "Last layer re-training is sufficient for
        robustness to spurious correlations", for the last layer alone.

        Example:
            >>> balance = Balance(by=("sex",), cell=np.array([0, 0, 0, 1, 0, 1]), names=("sex F", "sex M"))
            >>> balance.weights(np.arange(6), np.array([0, 0, 0, 0, 1, 1])).round(2).tolist()
            [0.89, 0.89, 0.89, 1.33, 1.33, 0.67]
        """
        counts = self._counts(rows, y)
        if not (np.count_nonzero(counts, axis=1) > 1).any():
            raise InputError(
                f"No weights can separate the class from {' and '.join(self.by)}: whatever it says, the training "
                "images "
                "are of one class. Add images of the other classes, or leave it out of `balance_by`."
            )
        expected = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
        found = (expected / np.maximum(counts, 1))[self.cell[rows], y[rows]]
        return np.asarray(found / found.mean())

    def notes(self, rows: NDArray[np.intp], y: Labels) -> tuple[str, ...]:
        """What the weights cost, and what they cannot repair, in sentences.

        Args:
            rows: The images.
            y: `(images,)` class indices, of all images.

        Source: Kish 1965, section 11.7, for what weighted images are worth.
        """
        weights, lacking = self.weights(rows, y), self.lacking(rows, y)
        worth = round(float(weights.sum() ** 2 / np.square(weights).sum()))
        told = [
            f"Balanced by {' and '.join(self.by)}: the {number(len(rows), 'image')} weigh {weights.min():.2g} to "
            f"{weights.max():.2g} and are worth {worth}."
        ]
        if len(cells := np.unique(self.cell[rows])) == 1:
            told.append(f"All of them are of {self.names[cells[0]]}, so there is nothing to balance.")
        if lacking:
            shown = "; ".join(lacking[:_SHOWN])
            more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
            told.append(f"Not every class has images of {shown}{more}: so weights cannot separate the two completely.")
        return tuple(told)

    def lacking(self, rows: NDArray[np.intp], y: Labels) -> list[str]:
        """Names of the cells that some class has no image of, where no weights part the two altogether.

        Args:
            rows: The images.
            y: `(images,)` class indices, of all images.
        """
        counts = self._counts(rows, y)
        there = np.flatnonzero((counts > 0).any(0))
        return [self.names[cell] for cell in np.flatnonzero(counts.any(1) & (counts[:, there] == 0).any(1)).tolist()]

    def _counts(self, rows: NDArray[np.intp], y: Labels) -> NDArray[np.int64]:
        """`(cells, classes)` images."""
        counts = np.zeros((len(self.names), int(y.max()) + 1), np.int64)
        np.add.at(counts, (self.cell[rows], y[rows]), 1)
        return counts


def check_weighable(heads: Sequence[HeadSpec]) -> None:
    """Refuse heads whose rows have no weights.

    Raises:
        UsageError: If there is one.
    """
    if any(spec.kind == "knn" for spec in heads):
        raise UsageError(
            "`balance_by` weighs the training images, and the neighbours of knn have no weights. Name other heads."
        )


_SHOWN = 3
"""Cells that are named."""
