"""Whether an image is of the kind a head was trained on: a warning light next to its prediction, not a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import IntegrityError
from cxrfeat.head.archive import read_arrays, write_arrays
from cxrfeat.metric.share import share_over_groups
from cxrfeat.run.document import UnlikeRecord
from cxrfeat.types import Features, Groups

LEVEL = 0.99
"""Share of images like those to train on that count as of the kind."""

AXES = 8
"""Directions along which features are described one by one; those beside them are described together."""

FOLDS = 5
"""Parts of the training images, by groups: each is judged by the others to find what is too far. So many images, too,
there are for each axis at least."""

TINY = 1e-30
"""Added to sums of features, so that an image whose features are all 0 is not divided by 0."""

_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Novelty:
    """Where the training features lie, and how far out is too far.

    No array is of one image: there are means, deviations and principal axes of all of them.
    """

    mean: NDArray[np.float64]
    """`(dim,)` of the features."""
    centre: NDArray[np.float64]
    """`(dim,)` mean of the prepared features: their signed square roots, at length 1."""
    axes: NDArray[np.float32]
    """`(axes, dim)`, of length 1 and at right angles: along them the prepared features vary most."""
    spread: NDArray[np.float64]
    """`(axes,)` their deviation along each axis; infinite where features do not vary at all."""
    rest: float
    """Their deviation along any direction beside the axes; infinite likewise."""
    threshold: float
    """The distance above which an image is too far out."""

    @classmethod
    def fit(cls, X: Features, groups: Groups | None = None) -> Self:
        """Learn from the plain views of the training images.

        Measured on 1,200 public X-rays (MobileNet; four draws of a fifth of the patients): 0.8 % of these are flagged,
        of copies of them 19 % if darkened to 35 % and 27 % if brightened by 60 %, 87 % if cropped to their half, 96 to
        97 % if turned or inverted, all if blurred; 82 % of phantoms, and all photographs of noise. Others that were
        tried, at the same rate of false alarms: each feature by itself, standardized (darkened 0.4 %, cropped 25 %,
        phantoms 66 %), k-means centers (9, 75, 66 %), residuals of principal components (4, 51, 66 %), one full
        covariance of features at length 1 (13, 81, 67 %).

        Args:
            X: `(n, dim)`.
            groups: `(n,)` group indices; those of one group are never judged by each other. `None` takes each image
                for a group of its own.

        Source: Lee et al. 2018 for the Mahalanobis distance in a network's features; Müller & Hein 2025
        ("Mahalanobis++", arXiv 2505.18032) for features at one length, and Perronnin, Sánchez & Mensink 2010 for their
        signed square roots before; Tipping & Bishop 1999 for a covariance of some principal axes and one deviation
        beside them, which a few hundred images are enough for. What is too far is found on the training images, each
        judged by those of other groups: Vovk 2015 (cross-conformal predictors), Bates et al. 2023 (outliers by
        conformal p-values).
        """
        folds = _folds(np.arange(len(X)) if groups is None else np.asarray(groups))
        sums = [_Sums.of(X[fold]) for fold in folds]
        every = _Sums.added(sums)
        found = cls._of(every)
        if len(folds) == 1:  # then there is nothing else to judge them by
            far = found.distance(X)
        else:
            far = np.empty(len(X))
            for fold, held in zip(folds, sums, strict=True):
                far[fold] = cls._of(every.without(held)).distance(X[fold])
        return replace(found, mean=X.mean(axis=0, dtype=np.float64), threshold=_threshold(far))

    @classmethod
    def _of(cls, sums: _Sums) -> Self:
        dim, centre = len(sums.total), sums.total / sums.images
        covariance = sums.scatter / sums.images - np.outer(centre, centre)
        variance = float(np.trace(covariance))
        varies = variance > 1e-9 * float(np.trace(sums.scatter)) / sums.images
        count = max(0, min(AXES, dim - 1, sums.images // FOLDS)) if varies else 0
        variances, axes = _largest(covariance, count)
        least = max((variance - float(variances.sum())) / (dim - count), 1e-6 * variance / dim)
        return cls(
            mean=centre,
            centre=centre,
            axes=np.ascontiguousarray(axes, np.float32),
            spread=np.sqrt(np.maximum(variances, least)),
            rest=float(np.sqrt(least)) if varies else np.inf,
            threshold=np.inf,
        )

    def distance(self, X: Features) -> NDArray[np.float64]:
        """Root mean square of the prepared features, in deviations along each direction, `(n,)`.

        About 1 for an image like the training ones; 0 for all where these do not vary.
        """
        distance = np.empty(len(X))
        for rows, direction in _prepared(X):
            away = direction - self.centre
            along = away @ self.axes.T.astype(np.float64)
            beside = np.maximum(np.square(away).sum(axis=1) - np.square(along).sum(axis=1), 0)
            squares = np.square(along / self.spread).sum(axis=1) + beside / self.rest**2
            distance[rows] = np.sqrt(squares / direction.shape[1])
        return distance

    def outside(self, X: Features) -> NDArray[np.bool_]:
        """Which rows are farther out than nearly all images like the training ones, `(n,)`."""
        outside: NDArray[np.bool_] = self.distance(X) > self.threshold
        return outside

    def to_npz(self) -> bytes:
        """As the content of an `.npz` file, without pickle."""
        arrays = {name: getattr(self, name) for name in ("mean", "centre", "axes", "spread")}
        return write_arrays({**arrays, "rest": np.array(self.rest), "threshold": np.array(self.threshold)})

    @classmethod
    def from_npz(cls, content: bytes, dim: int) -> Self:
        """What `to_npz` wrote.

        Raises:
            IntegrityError: If it is damaged, or of another width.
        """
        try:
            stored = read_arrays(content)
            axes, names = stored["axes"], ("mean", "centre", "spread", "rest", "threshold")
            mean, centre, spread, rest, threshold = (stored[name].astype(np.float64) for name in names)
            if axes.ndim != 2 or axes.shape[1] != dim or {mean.shape, centre.shape} != {(dim,)}:
                raise ValueError(f"shapes {mean.shape}, {centre.shape}, {axes.shape}")
            if spread.shape != axes.shape[:1] or rest.shape != () or threshold.shape != ():
                raise ValueError(f"shapes {spread.shape}, {rest.shape}, {threshold.shape}")
            if not (all(np.isfinite(one).all() for one in (mean, centre, axes, spread)) and (spread > 0).all()):
                raise ValueError("numbers that are not mean, axis or deviation")
            if not (rest > 0 and threshold >= 0):
                raise ValueError("numbers that are not deviation or distance")
            return cls(
                mean=mean, centre=centre, axes=axes.astype(np.float32), spread=spread, rest=float(rest),
                threshold=float(threshold),
            )  # fmt: skip
        except (ValueError, KeyError) as error:
            raise IntegrityError(f"The run's novelty.npz is damaged ({error}). Fit the head again.") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """Sums over images of their prepared features: of outer products, `(dim, dim)`, and of themselves, `(dim,)`."""

    scatter: NDArray[np.float64]
    total: NDArray[np.float64]
    images: int

    @classmethod
    def of(cls, X: Features) -> Self:
        dim = X.shape[1]
        scatter, total = np.zeros((dim, dim)), np.zeros(dim)
        for _, direction in _prepared(X):
            scatter += direction.T @ direction
            total += direction.sum(axis=0)
        return cls(scatter=scatter, total=total, images=len(X))

    @classmethod
    def added(cls, several: Sequence[Self]) -> Self:
        return cls(
            scatter=np.sum([one.scatter for one in several], axis=0),
            total=np.sum([one.total for one in several], axis=0),
            images=sum(one.images for one in several),
        )

    def without(self, others: Self) -> Self:
        return type(self)(
            scatter=self.scatter - others.scatter, total=self.total - others.total, images=self.images - others.images
        )


def _prepared(X: Features) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Signed square roots at length 1, some rows after others: there may be no room for a second copy of all."""
    for start in range(0, len(X), _ROWS):
        rows = slice(start, start + _ROWS)
        wide = X[rows].astype(np.float64)
        size = np.abs(wide)
        yield rows, np.sign(wide) * np.sqrt(size / (size.sum(axis=1, keepdims=True) + TINY))


def _largest(covariance: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """So many principal axes, `(count, dim)`, with the variance along each."""
    from scipy.linalg import eigh
    from scipy.sparse.linalg import eigsh

    dim = len(covariance)
    if not count:
        return np.empty(0), np.empty((0, dim))
    if dim > 4 * AXES:  # some of many are found sooner one after another; from the same start, so the same ones
        variances, axes = eigsh(covariance, k=count, v0=np.random.default_rng(0).normal(size=dim), tol=1e-6)
    else:
        variances, axes = eigh(covariance, subset_by_index=(dim - count, dim - 1))
    return np.maximum(variances, 0), axes.T


def _folds(groups: Groups) -> list[NDArray[np.intp]]:
    """Rows of each part, of which no group is in two."""
    _, number = np.unique(groups, return_inverse=True)
    count = int(number.max()) + 1
    part = (np.random.default_rng(0).permutation(count) % FOLDS)[number]
    return [np.flatnonzero(part == fold) for fold in range(min(FOLDS, count))]


def _threshold(far: NDArray[np.float64]) -> float:
    """Farther out than that are `1 - LEVEL` of images like these, or as many as so few images can tell."""
    rank = max(1, int((1 - LEVEL) * (len(far) + 1) + 1e-9))
    return float(np.sort(far)[-rank])


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
