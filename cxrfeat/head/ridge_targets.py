"""Ridge regressions of many targets on the same features, for little more than the price of one.

What costs is the product of the features with themselves. It is made once for all rows, and of a target that is not
known of some rows, theirs is taken away again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.number import FittedNumber
from cxrfeat.types import Features

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RidgeTargets:
    """One linear function of the features for each target."""

    mean: NDArray[np.float64]
    """`(dim,)` of the training rows."""
    scale: NDArray[np.float64]
    """`(dim,)` their deviation."""
    coef: NDArray[np.float64]
    """`(targets, dim)`, of standardised features."""
    intercept: NDArray[np.float64]
    """`(targets,)`."""

    def predict(self, X: Features) -> NDArray[np.float64]:
        """`(n, targets)` of `X (n, dim)`."""
        parts = [
            (X[start : start + _ROWS_AT_ONCE].astype(np.float64) - self.mean) / self.scale @ self.coef.T
            for start in range(0, len(X), _ROWS_AT_ONCE)
        ]
        return np.concatenate([np.zeros((0, len(self.coef))), *parts]) + self.intercept

    def number(self, place: int) -> FittedNumber:
        """The function of one target, as a head that tells a number."""
        arrays = {"mean": self.mean, "scale": self.scale, "coef": self.coef[place : place + 1]}
        return FittedNumber(kind="ridge", arrays=arrays | {"intercept": self.intercept[place : place + 1]})

    def classifier(self, place: int, classes: tuple[str, ...], temperature: float) -> FittedHead:
        """The function of one target that was 1 for the second of two classes and -1 for the first, as their head."""
        coef, intercept = (np.stack([-of[place], of[place]]) for of in (self.coef, self.intercept))
        arrays = {"mean": self.mean, "scale": self.scale, "coef": coef, "intercept": intercept}
        return FittedHead(kind="ridge", classes=classes, arrays=arrays, temperature=temperature)


def fit_ridge_targets(X: NDArray[np.float32], targets: Sequence[NDArray[np.float64]], strength: float) -> RidgeTargets:
    """Fit them.

    Args:
        X: `(images, views, dim)`; every view is a row.
        targets: `(images,)` each, NaN where it is not known; at least one is known of each.
        strength: Of which the penalty is the inverse.

    Returns:
        Of a target that is known of all images, and is 1 for one of two classes and -1 for the other, what a `ridge`
        head of that class says.

    Source: Hoerl & Kennard 1970; the normal equations of centred features.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 1, 3)).astype(np.float32)
        >>> fitted = fit_ridge_targets(X, [X[:, 0, 1] * 2.0 + 1], strength=1e6)
        >>> bool(np.allclose(fitted.predict(X[:, 0])[:, 0], X[:, 0, 1] * 2 + 1, atol=1e-3))
        True
    """
    from scipy.linalg import cho_factor, cho_solve

    images, views, dim = X.shape
    mean = X.mean(axis=(0, 1), dtype=np.float64)
    every = np.ones(images, bool)
    square = _product(X, every, mean, np.ones(dim))
    scale = np.sqrt(np.diag(square) / (images * views))
    scale = np.where(scale > 0, scale, 1.0)
    square /= np.outer(scale, scale)
    coef, intercept = np.empty((len(targets), dim)), np.empty(len(targets))
    stated = ~np.isnan(np.stack(targets))
    levels = np.array([target[known].mean() for target, known in zip(targets, stated, strict=True)])
    centred = np.where(stated, np.stack(targets) - levels[:, None], 0.0)
    centres, crosses = np.split(_sums(X, np.concatenate([stated, centred]), mean, scale), 2)
    for place, known in enumerate(stated):
        if known.all():
            of_known = square.copy()
        elif 2 * np.count_nonzero(known) > images:
            of_known = square - _product(X, ~known, mean, scale)
        else:
            of_known = _product(X, known, mean, scale)
        rows = views * np.count_nonzero(known)
        centre = centres[place] / rows
        of_known -= rows * np.outer(centre, centre)
        of_known[np.diag_indices(dim)] += 1 / strength
        coef[place] = cho_solve(cho_factor(of_known, overwrite_a=True), crosses[place])
        intercept[place] = levels[place] - centre @ coef[place]
    return RidgeTargets(mean=mean, scale=scale, coef=coef, intercept=intercept)


def _product(
    X: NDArray[np.float32], chosen: NDArray[np.bool_], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(dim, dim)`: of the standardised rows of the chosen images with themselves."""
    total = np.zeros((X.shape[2], X.shape[2]))
    for part, _ in _standardised(X, chosen, mean, scale):
        total += part.T @ part
    return total


def _sums(
    X: NDArray[np.float32], values: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(sums, dim)`: sums of the standardised rows of all images, each times its value, `(sums, images)`."""
    total = np.zeros((len(values), X.shape[2]))
    for part, rows in _standardised(X, np.ones(len(X), bool), mean, scale):
        total += np.repeat(values[:, rows], X.shape[1], axis=1) @ part
    return total


def _standardised(
    X: NDArray[np.float32], chosen: NDArray[np.bool_], mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """The rows of the chosen images, some at a time, in float64, and which images these are."""
    rows, views, dim = np.flatnonzero(chosen), X.shape[1], X.shape[2]
    step = max(1, _ROWS_AT_ONCE // views)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        part = X[some].reshape(-1, dim).astype(np.float64)
        part -= mean
        part /= scale
        yield part, some
