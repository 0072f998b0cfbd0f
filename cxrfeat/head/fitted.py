"""A fitted head: a value that predicts, from arrays that are checked when it is made, whatever trained it.

It is stored as an `.npz` of plain arrays (`archive.py`) next to a few values (`HeadRecord`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, StaleFeaturesError
from cxrfeat.head.archive import read_arrays, write_arrays
from cxrfeat.head.decision import DECISIONS, Arrays, Decide, Decision, standardized
from cxrfeat.head.layout import check_arrays, damaged, dim_of
from cxrfeat.metric.calibrate import softmax
from cxrfeat.run.document import HeadRecord
from cxrfeat.spec import HEAD_KINDS, HeadKind
from cxrfeat.types import Labels, Probabilities

_BLOCK = 2**22
"""Largest `rows * columns` of an intermediate matrix; 32 MB of float64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A classifier as arrays, checked when it is made.

    Which arrays each kind has, `cxrfeat/head/layout.py` says.

    Example:
        >>> arrays = {"weights_0": np.eye(2, dtype=np.float32), "bias_0": np.zeros(2, np.float32)}
        >>> head = FittedHead(kind="softmax", classes=("COVID", "NORMAL"), arrays=arrays)
        >>> head.predict(np.array([[0.0, 3.0], [1.0, 1.0]])).tolist()
        [1, 0]
    """

    kind: HeadKind
    classes: tuple[str, ...]
    """Class names, in the order of the columns."""
    arrays: Arrays
    temperature: float = 1.0
    """What decision values are divided by before the softmax; changes no predicted class."""

    def __post_init__(self) -> None:
        """Refuse arrays that are not those of this kind.

        Raises:
            IntegrityError: Naming the array and what is wrong with it.
        """
        if self.kind not in HEAD_KINDS:
            raise damaged(f"its kind is {self.kind!r}, not one of {', '.join(HEAD_KINDS)}")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise damaged(f"its classes are {list(self.classes)}, not two or more different names")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise damaged(f"its temperature is {self.temperature!r}, not a positive number")
        check_arrays(self.kind, len(self.classes), self.arrays)
        # One memory order, so that a stored and reloaded head gives the same bits.
        object.__setattr__(self, "arrays", {name: np.asarray(array, order="C") for name, array in self.arrays.items()})

    @property
    def dim(self) -> int:
        """Width of the features that this head takes."""
        return dim_of(self.kind, self.arrays)

    def decision(self, X: NDArray[np.floating]) -> Decision:
        """Decision values `(n, classes)` of features `(n, dim)`, computed in float64, in blocks of bounded size.

        For two classes the columns of all kinds but the networks and `knn` are opposite. The SVMs give scikit-learn's
        `decision_function_shape="ovr"`: votes of the pairs, ties between them broken by the margins. `knn` gives the
        logarithm of `(votes + 1) / (neighbours + classes)`, so that its softmax is that share; distances are Euclidean
        between standardised features, and of rows equally far the first in `rows` vote. `ridge` gives scores about -1
        and 1, one class against the rest.

        Raises:
            StaleFeaturesError: If the features are of another width.
            InputError: If a row holds NaN or infinity.
        """
        return decided(DECISIONS[self.kind], self.arrays, self.dim, X)

    def predict_proba(self, X: NDArray[np.floating]) -> Probabilities:
        """Probabilities `(n, classes)`: the softmax of the decision values over the temperature."""
        return softmax(self.decision(X) / self.temperature)

    def predict(self, X: NDArray[np.floating]) -> Labels:
        """Class indices `(n,)`: the largest decision value, the first of them on ties."""
        indices: Labels = self.decision(X).argmax(1).astype(np.int64)
        return indices

    def record(self) -> HeadRecord:
        """What `from_npz` needs next to the arrays."""
        return HeadRecord(
            kind=self.kind,
            classes=self.classes,
            dim=self.dim,
            temperature=self.temperature,
            arrays=tuple(sorted(self.arrays)),
        )

    def to_npz(self) -> bytes:
        """The arrays as the content of an uncompressed `.npz` file."""
        return write_arrays(self.arrays)

    @classmethod
    def from_npz(cls, content: bytes, record: HeadRecord) -> FittedHead:
        """The head that `to_npz` and `record` wrote.

        Args:
            content: Bytes of the `.npz` file.
            record: What belongs to it.

        Raises:
            IntegrityError: If either is damaged, holds anything but plain numbers, or does not fit the other.
        """
        arrays = recorded_arrays(content, record.arrays)
        head = cls(kind=record.kind, classes=record.classes, arrays=arrays, temperature=float(record.temperature))
        if head.dim != record.dim:
            raise damaged(f"its arrays take features of width {head.dim}, and its description says {record.dim}")
        return head


def recorded_arrays(content: bytes, names: Sequence[str]) -> Arrays:
    """The arrays in an `.npz` file, which are those that a record names.

    Raises:
        IntegrityError: If they are not, or the file is damaged.
    """
    try:
        arrays = read_arrays(content)
    except ValueError as error:
        raise damaged(str(error)) from error
    if list(names) != sorted(arrays):
        raise damaged(f"it holds {sorted(arrays)}, and its description says {list(names)}")
    return arrays


def decided(
    deciding: Callable[[Arrays], Decide], arrays: Arrays, dim: int, X: NDArray[np.floating]
) -> NDArray[np.float64]:
    """What arrays make of features `(n, dim)`, in blocks of bounded size: `(n, columns)`.

    Args:
        deciding: Makes of the arrays what decides.
        arrays: As `layout.py` says.
        dim: Width of the features that they take.
        X: The features.

    Raises:
        StaleFeaturesError: If they are of another width.
        InputError: If a row holds NaN or infinity.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != dim:
        shown = X.shape[1] if X.ndim == 2 else f"shape {X.shape}"
        raise StaleFeaturesError(
            f"This head was fitted on features of width {dim}; these have {shown}. Use features of the "
            f"backbone it was fitted on, or run `cxrfeat fit-head` on these."
        )
    check_finite(X, "features")
    widest = max(max(array.shape, default=1) for array in arrays.values())
    blocks = max(1, math.ceil(len(X) * widest / _BLOCK))
    decide = deciding(arrays)
    return np.concatenate([decide(standardized(part, arrays)) for part in np.array_split(X, blocks)])


def check_finite(X: NDArray[np.floating], what: str) -> None:
    """Refuse features that hold NaN or infinity.

    Args:
        X: `(n, ..., dim)` features.
        what: What to call them, in the plural.

    Raises:
        InputError: Naming how many rows do, and the first.
    """
    finite = np.isfinite(X).reshape(len(X), math.prod(X.shape[1:])).all(1)
    if not finite.all():
        raise InputError(
            f"{np.count_nonzero(~finite)} of {len(X)} rows of the {what} hold NaN or infinity (the first is row "
            f"{np.argmin(finite)}). Run `cxrfeat verify` on the feature file, then `cxrfeat extract` again."
        )
