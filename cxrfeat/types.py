"""Names for the arrays that pass between modules, `Progress`, and `Finding`, the form of every check's verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8] | NDArray[np.float32]
"""One image, `(h, w)` luminance: uint8, or float32 in [0, 255] where the original has more than 8 bits."""

Views = NDArray[np.uint8]
"""`(n, size, size)`: drawn views, ready for a backbone."""


TAP_BITS = 22
"""Of a weight in `Taps`: Pillow keeps 8 for the pixel and 2 for what overflows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taps:
    """How `size` pixels of a view, one row or column after the other, are made of those of an image."""

    first: NDArray[np.int32]
    """`(n, size)`: the first pixel of the image that each pixel is made of."""
    weights: NDArray[np.int32]
    """`(n, size, taps)`: how much of it and of those that follow, of `2**TAP_BITS`; zeros at the end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Undrawn:
    """Views that are to be drawn where the network is: one image, and small tables of whole numbers.

    Columns are made first and rounded to uint8, then rows of them; then the mirror, then the gain.
    """

    image: NDArray[np.uint8]
    """`(h, w)`."""
    columns: Taps
    rows: Taps | None
    """`None` where they are those of the columns, as in a square image."""
    flips: NDArray[np.bool_]
    """`(n,)`: whether a view is mirrored left to right."""
    gains: NDArray[np.uint8]
    """`(n, 256)`: what each grey value becomes."""

    def __len__(self) -> int:
        """Number of views."""
        return len(self.flips)

    def part(self, start: int, stop: int) -> Undrawn:
        """Some of the views, of the same image."""
        some = slice(start, stop)
        return Undrawn(
            image=self.image,
            columns=Taps(first=self.columns.first[some], weights=self.columns.weights[some]),
            rows=None if self.rows is None else Taps(first=self.rows.first[some], weights=self.rows.weights[some]),
            flips=self.flips[some],
            gains=self.gains[some],
        )


Features = NDArray[np.float32]
"""`(n, dim)` pooled backbone outputs."""

Labels = NDArray[np.int64]
"""`(n,)` class indices into the list of class names, which is sorted."""

Groups = NDArray[np.int64]
"""`(n,)` group indices; images of one group never stand on two sides of a split."""

Probabilities = NDArray[np.float64]
"""`(n, classes)`, rows summing to 1."""


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Counted = Callable[[int, int], None]
"""`Progress` for code that counts and does not know what it is part of."""


def named(progress: Progress | None, name: str) -> Counted | None:
    """Progress for code that only counts, under a name."""
    return None if progress is None else lambda done, total: progress(name, done, total)


class Part(StrEnum):
    """The part of a split that an image belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Status(StrEnum):
    """A check's verdict, from the best to the worst."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """0 of the best, and more the worse."""
        return list(Status).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one audit check found: a verdict, a number, one line why, one line what to do."""

    check: str
    status: Status
    value: float | None = None
    why: str
    do: str = ""
    images: tuple[str, ...] = ()
    """Paths of the images it is about, relative to the data root; empty where it is about all, or knows no paths."""
    strict: bool = False
    """A warning that a `strict` caller takes for a failure: images or parts were left out."""

    @property
    def refused(self) -> bool:
        """Whether a `strict` caller refuses the data for it."""
        return self.strict or self.status == Status.FAIL


def failed_first(findings: Iterable[Finding]) -> list[Finding]:
    """Failed checks, then warnings, then the others."""
    return sorted(findings, key=lambda one: -one.status.rank)
