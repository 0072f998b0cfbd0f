"""Whether an image is of the kind a head was trained on: a warning light next to its prediction, not a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import IntegrityError
from cxrfeat.head.archive import read_arrays, write_arrays
from cxrfeat.metric.share import share_over_groups
from cxrfeat.run.document import UnlikeRecord
from cxrfeat.types import Features, Groups

LEVEL = 0.99
"""Share of the training images that count as of the kind."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Novelty:
    """Where the training features lie: their mean and deviation, and how far out is too far."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    threshold: float

    @classmethod
    def fit(cls, X: Features) -> Self:
        """Learn from the plain views of the training images, `(n, dim)`.

        Source: the distance of Lee et al. 2018 (Mahalanobis), with one mean and a diagonal covariance, which a few
        hundred images are enough for; the threshold is the training distances' 99th percentile.
        """
        mean = X.mean(axis=0, dtype=np.float64)
        scale = X.std(axis=0, dtype=np.float64)
        scale[scale < 1e-6 * max(scale.max(), 1e-12)] = np.inf  # a constant feature says nothing
        novelty = cls(mean=mean, scale=scale, threshold=np.inf)
        return cls(mean=mean, scale=scale, threshold=float(np.quantile(novelty.distance(X), LEVEL)))

    def distance(self, X: Features) -> NDArray[np.float64]:
        """Root mean square of the standardised features, `(n,)`; about 1 for an image like the training ones."""
        used = np.isfinite(self.scale)
        standard = (X[:, used] - self.mean[used]) / self.scale[used]
        distance: NDArray[np.float64] = (
            np.sqrt(np.mean(np.square(standard), axis=1)) if used.any() else np.zeros(len(X))
        )
        return distance

    def outside(self, X: Features) -> NDArray[np.bool_]:
        """Which rows are farther out than nearly all training images, `(n,)`."""
        outside: NDArray[np.bool_] = self.distance(X) > self.threshold
        return outside

    def to_npz(self) -> bytes:
        """As the content of an `.npz` file, without pickle."""
        return write_arrays({"mean": self.mean, "scale": self.scale, "threshold": np.array(self.threshold)})

    @classmethod
    def from_npz(cls, content: bytes, dim: int) -> Self:
        """What `to_npz` wrote.

        Raises:
            IntegrityError: If it is damaged, or of another width.
        """
        try:
            stored = read_arrays(content)
            mean, scale, threshold = stored["mean"], stored["scale"], stored["threshold"]
            if mean.shape != (dim,) or scale.shape != (dim,) or threshold.shape != ():
                raise ValueError(f"shapes {mean.shape}, {scale.shape}, {threshold.shape}")
            if not (np.isfinite(mean).all() and (scale > 0).all() and threshold >= 0):
                raise ValueError("numbers that are no mean, deviation or distance")
            return cls(mean=mean.astype(np.float64), scale=scale.astype(np.float64), threshold=float(threshold))
        except (ValueError, KeyError) as error:
            raise IntegrityError(f"The run's novelty.npz is damaged ({error}). Fit the head again.") from error


def unlike_record(flagged: NDArray[np.bool_], groups: Groups, seed: int = 0) -> UnlikeRecord:
    """How often images of the kind that is trained on are said to be of another: those that test are of that kind.

    Args:
        flagged: `(tested,)` whether that is said of an image.
        groups: `(tested,)`.
        seed: Of the draws.
    """
    share, ends = share_over_groups(flagged, groups, seed=seed)
    assert share is not None, "a split tests some images"
    return UnlikeRecord(share=share, share_ci=None if ends is None else (ends[0], ends[1]))
