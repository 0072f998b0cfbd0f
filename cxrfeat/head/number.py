"""A fitted head that tells a number: a value that predicts, from arrays that are checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.archive import write_arrays
from cxrfeat.head.decision import Arrays, affine, network
from cxrfeat.head.fitted import decided, recorded_arrays
from cxrfeat.head.layout import check_arrays, damaged, dim_of
from cxrfeat.run.target_document import NumberRecord
from cxrfeat.spec import HeadKind

NUMBER_KINDS: tuple[HeadKind, ...] = ("ridge", "dense", "dropout")
"""Heads that can tell a number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedNumber:
    """A regression as arrays, which are those of a head of its kind with one column.

    Example:
        >>> arrays = {"mean": np.zeros(2), "scale": np.ones(2), "coef": np.array([[1.0, 2.0]]), "intercept": np.ones(1)}
        >>> FittedNumber(kind="ridge", arrays=arrays).predict(np.array([[0.0, 3.0]])).tolist()
        [7.0]
    """

    kind: HeadKind
    arrays: Arrays
    level: float = 0.0
    """Added to what the arrays give times `spread`."""
    spread: float = 1.0

    def __post_init__(self) -> None:
        """Refuse arrays that are not those of this kind.

        Raises:
            IntegrityError: Naming what is wrong.
        """
        if self.kind not in NUMBER_KINDS:
            raise damaged(f"its kind is {self.kind!r}, not one of {', '.join(NUMBER_KINDS)}")
        if not (math.isfinite(self.level) and math.isfinite(self.spread) and self.spread > 0):
            raise damaged(f"its level is {self.level!r} and its spread {self.spread!r}")
        check_arrays(self.kind, 1, self.arrays)
        # One memory order, so that a stored and reloaded head gives the same bits.
        object.__setattr__(self, "arrays", {name: np.asarray(array, order="C") for name, array in self.arrays.items()})

    @property
    def dim(self) -> int:
        """Width of the features that it takes."""
        return dim_of(self.kind, self.arrays)

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """`(n,)` numbers of features `(n, dim)`, computed in float64.

        Raises:
            StaleFeaturesError: If the features are of another width.
            InputError: If a row holds NaN or infinity.
        """
        found = decided(affine if self.kind == "ridge" else network, self.arrays, self.dim, X)
        return np.asarray(found[:, 0] * self.spread + self.level)

    def record(self) -> NumberRecord:
        """What `from_npz` needs next to the arrays."""
        return NumberRecord(
            kind=self.kind, dim=self.dim, level=self.level, spread=self.spread, arrays=tuple(sorted(self.arrays))
        )

    def to_npz(self) -> bytes:
        """The arrays as the content of an uncompressed `.npz` file."""
        return write_arrays(self.arrays)

    @classmethod
    def from_npz(cls, content: bytes, record: NumberRecord) -> FittedNumber:
        """The head that `to_npz` and `record` wrote.

        Raises:
            IntegrityError: If either is damaged, or does not fit the other.
        """
        arrays = recorded_arrays(content, record.arrays)
        head = cls(kind=record.kind, arrays=arrays, level=float(record.level), spread=float(record.spread))
        if head.dim != record.dim:
            raise damaged(f"its arrays take features of width {head.dim}, and its description says {record.dim}")
        return head
