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
    """A warning that a `strict` caller takes for a failure: images or parts were left out."""

    @property
    def refused(self) -> bool:
        """Whether a `strict` caller refuses the data for it."""
        return self.strict or self.status == Status.FAIL


def failed_first(findings: Iterable[Finding]) -> list[Finding]:
    """Failed checks, then warnings, then the others."""
    order = [Status.FAIL, Status.WARN, Status.PASS]
    return sorted(findings, key=lambda one: order.index(one.status))
