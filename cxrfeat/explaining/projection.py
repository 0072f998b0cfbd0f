"""Features as points on a plane, to be looked at: the only place that reduces their dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, MissingExtraError, UsageError
from cxrfeat.head.fitted import check_finite
from cxrfeat.spec import Projecting
from cxrfeat.system.process import small_products
from cxrfeat.types import Features

_FIRST = 50
"""Principal components that the neighbour methods are given: the rest is noise to them, and costs time.

Source: van der Maaten & Hinton 2008, section 4.2 (30 there).
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection:
    """Points of a feature map."""

    points: NDArray[np.float64]
    """`(n, 2)`, in the order of the features, their mean at the origin."""
    explained_variance: tuple[float, float] | None
    """Share of the variance along each axis; `None` of methods whose axes have no such meaning."""
    method: Projecting


def projection(features: Features, *, method: Projecting = "pca", seed: int = 0) -> Projection:
    """Lay features out on a plane so that those near each other stay so.

    Args:
        features: `(n, dim)`, of the plain views.
        method: `pca` keeps distances as far as two straight axes can; `tsne` and `umap` keep neighbours, and distances
            between clusters mean little.
        seed: Of t-SNE and UMAP. PCA draws nothing; the sign of its axes is chosen so that the largest loading is
            positive.

    Raises:
        UsageError: If there is no such method.
        MissingExtraError: If UMAP is not installed.
        InputError: If there is no row, or one holds NaN or infinity.

    Example:
        >>> square = np.array([[0, 0, 9], [0, 1, 9], [4, 0, 9], [4, 1, 9]], np.float32)
        >>> found = projection(square)
        >>> found.points[:, 0].tolist(), [round(share, 2) for share in found.explained_variance]
        ([-2.0, -2.0, 2.0, 2.0], [0.94, 0.06])
    """
    if method not in get_args(Projecting):
        raise UsageError(f"Features are projected by {', '.join(get_args(Projecting))}; got {method!r}.")
    if features.ndim != 2 or not len(features):
        raise InputError(f"A feature map takes rows of features (n, dim); got shape {features.shape}.")
    check_finite(features, "features")
    components, shares = _principal(features.astype(np.float64), 2 if method == "pca" else _FIRST)
    if method == "pca" or len(features) < 4:  # fewer have no neighbours to keep
        return Projection(
            points=components[:, :2], explained_variance=(float(shares[0]), float(shares[1])), method="pca"
        )
    points = _tsne(components, seed) if method == "tsne" else _umap(components, seed)
    return Projection(points=points - points.mean(axis=0), explained_variance=None, method=method)


def _principal(X: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first components `(n, count)`, zero where there are no more, and each one's share of the variance."""
    from scipy.linalg import eigh

    X = X - X.mean(axis=0)
    # The smaller of the two Gram matrices has the same eigenvalues as the covariance.
    small = X @ X.T if len(X) <= X.shape[1] else X.T @ X
    least = max(len(small) - count, 0)
    with small_products():  # with few rows at a time, whatever the size
        values, vectors = eigh(small, subset_by_index=(least, len(small) - 1))  # all others would take most of the time
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    axes = X.T @ vectors if len(X) <= X.shape[1] else vectors
    lengths = np.linalg.norm(axes, axis=0)
    axes = np.divide(axes, lengths, out=np.zeros_like(axes), where=lengths > 1e-9 * max(lengths.max(initial=0), 1e-300))
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    total = float(np.square(X).sum())
    points, shares = np.zeros((len(X), count)), np.zeros(count)
    points[:, : axes.shape[1]] = X @ axes
    shares[: len(values)] = values / total if total > 0 else 0
    return points, shares


def _tsne(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    model = TSNE(perplexity=min(30.0, (len(components) - 1) / 3), init="pca", random_state=seed)
    return np.asarray(model.fit_transform(components), np.float64)


def _umap(components: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    try:
        import umap
    except ImportError as error:
        raise MissingExtraError(
            "A feature map by umap needs the extra umap: pip install 'cxrfeat[umap]'. Or take pca or tsne."
        ) from error
    model = umap.UMAP(n_neighbors=min(15, len(components) - 1), random_state=seed)
    return np.asarray(model.fit_transform(components), np.float64)
