"""Features that separate, for heads to learn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cxrfeat.head.fit import Fit, fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.types import Features, Labels

NAMES = ("COVID", "LUNG", "NORMAL", "PNEUMONIA")

Blobs = tuple[Features, Labels, Features, Labels]


def blobs(classes: int = 3, *, images: int = 60, views: int = 2, dim: int = 16, distance: float = 2.0) -> Blobs:
    """`X_train (images, views, dim), y_train, X_val (30, dim), y_val`; one blob per class, features of unlike scale."""
    rng = np.random.default_rng([classes, dim])
    centres = rng.normal(size=(classes, dim)) * distance / 2
    y, y_val = (rng.permutation(np.arange(n) % classes) for n in (images, 30))
    scale, shift = rng.uniform(0.3, 1.5, dim), rng.normal(size=dim)
    X = (centres[y][:, None] + rng.normal(size=(images, views, dim))) * scale + shift
    X_val = (centres[y_val] + rng.normal(size=(30, dim))) * scale + shift
    return X.astype(np.float32), y, X_val.astype(np.float32), y_val


def fitted(kind: HeadKind, data: Blobs | None = None, **fields: Any) -> Fit:
    """A head of that kind on `data`, by default on three blobs."""
    X, y, X_val, y_val = blobs() if data is None else data
    return fit_head(HeadSpec(kind=kind, **fields), TrainingSet(X, y, X_val, y_val, NAMES[: y.max() + 1]))


@functools.cache
def head_of(kind: HeadKind, classes: int = 3) -> FittedHead:
    """A head of that kind, fitted once for all tests that only read it."""
    return fitted(kind, blobs(classes, distance=0.8), epochs=1).head


def one_by_one(work: Callable[[Any], None], halves: tuple[Any, ...]) -> None:
    """Do something with two halves, one after the other."""
    for half in halves:
        work(half)
