"""Names for the arrays that pass between modules, and `Finding`, the form of every check's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8] | NDArray[np.float32]
"""One image, `(h, w)` luminance: uint8, or float32 in [0, 255] where the original has more than 8 bits."""

Views = NDArray[np.uint8]
"""`(n, size, size)`: drawn views, ready for a backbone."""

Features = NDArray[np.float32]
"""`(n, dim)` pooled backbone outputs."""

Labels = NDArray[np.int64]
"""`(n,)` class indices into the list of class names, which is sorted."""

Groups = NDArray[np.int64]
"""`(n,)` group indices; images of one group never stand on two sides of a split."""

Probabilities = NDArray[np.float64]
"""`(n, classes)`, rows summing to 1."""


class Part(StrEnum):
    """The part of a split that an image belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Status(StrEnum):
    """A check's verdict."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


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
    """A warning that `--strict` takes for a failure: images or parts were left out."""

    @property
    def refused(self) -> bool:
        """Whether `--strict` refuses the data for it."""
        return self.strict or self.status == Status.FAIL
