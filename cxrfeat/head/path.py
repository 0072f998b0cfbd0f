"""The only place that fits one head at many strengths for little more than the price of one.

A penalty on squared weights shrinks each principal direction of the rows by an amount that can be written down, so one
eigendecomposition serves every strength. Ridge is solved by it outright; logistic regression takes few steps in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.training import Training
from cxrfeat.metric.calibrate import log_softmax
from cxrfeat.spec import ClassWeights, HeadKind
from cxrfeat.types import Groups, Labels

STRENGTHS: tuple[float, ...] = tuple(float(f"{strength:.6g}") for strength in np.logspace(-6, 5, 45))
"""Four per power of ten. Source: Kornblith, Shlens & Le 2019, appendix, for regressions on frozen features."""

_MOST_ITERATIONS = 5000
_GRADIENT = 1e-5
"""Largest slope left at the end of a logistic fit, in the scaled directions, where it squares to about twice the mean
loss that is left to gain."""
_BLOCK = 2**22
"""Most numbers in an intermediate stack of matrices; 32 MB of float64."""

Matrix = NDArray[np.float64]


def logistic_path(
    training: Training, strengths: Sequence[float], class_weights: ClassWeights = "none"
) -> list[FittedHead]:
    """Logistic regressions, each starting from the next smaller strength's, in the principal directions of the rows.

    Args:
        training: The rows.
        strengths: Inverse regularisations C, above 0, in any order.
        class_weights: As in `HeadSpec`.

    Returns:
        One `logreg` head per strength, in the order of `strengths`; the minimum that a `logreg` head of that strength
        approaches, to about 1e-4 in probabilities. Nothing is calibrated.

    Raises:
        ValueError: If a strength is not above 0.

    Source: L-BFGS (Liu & Nocedal 1989) on the objective of scikit-learn, with directions scaled by Böhning's 1992 form
    of its curvature: the covariance of the rows times a mean of `p (1 - p)`, plus the penalty.

    Example:
        >>> y = np.arange(40) % 2
        >>> X = np.random.default_rng(0).normal(y[:, None], 0.1, (40, 3)).astype(np.float32)
        >>> training = Training(X[:30, None], y[:30], X[30:], y[30:], ["COVID", "NORMAL"])
        >>> [float(abs(head.arrays["coef"]).max().round(2)) for head in logistic_path(training, [0.01, 1.0])]
        [0.13, 1.13]
    """
    strengths = _positive(strengths)
    X, y, classes = training.rows, training.row_labels, len(training.classes)
    weights = _weights(y, classes, class_weights)
    principal = _principal(X, weights)
    logistic = _Logistic(X=(X - principal.mean) @ principal.directions, y=y, weights=weights, squares=principal.squares)
    coef = np.zeros((principal.squares.size, classes))
    intercept = np.log(np.bincount(y, weights=weights, minlength=classes) / weights.sum())
    heads: dict[float, FittedHead] = {}
    for strength in sorted(set(strengths)):
        # Two classes are one column in scikit-learn, whose square is twice the squares of its opposite halves.
        coef, intercept = logistic.fit(coef, intercept, strength / 2 if classes == 2 else strength)
        rows = (principal.directions @ coef).T
        shifted = intercept - rows @ principal.mean
        if classes == 2:
            rows, shifted = rows[1:] - rows[:1], shifted[1:] - shifted[:1]
        heads[strength] = _head("logreg", training, rows, shifted)
    return [heads[strength] for strength in strengths]


def ridge_path(
    training: Training, strengths: Sequence[float], class_weights: ClassWeights = "none"
) -> list[FittedHead]:
    """Ridge classifiers from one eigendecomposition.

    Args:
        training: The rows.
        strengths: Inverse penalties, above 0, in any order.
        class_weights: As in `HeadSpec`.

    Returns:
        One `ridge` head per strength, in the order of `strengths`, equal to rounding to a `ridge` head of that
        strength before its calibration.

    Raises:
        ValueError: If a strength is not above 0.

    Source: Hastie, Tibshirani & Friedman 2009, section 3.4.1; the intercept is not penalised.
    """
    strengths = _positive(strengths)
    y, classes = training.row_labels, len(training.classes)
    regression = _regression(training.rows, y, classes, class_weights)
    heads = []
    for strength in strengths:
        coef, intercept = regression.solve(1 / strength)
        heads.append(_head("ridge", training, coef, intercept))
    return heads


def ridge_leave_group_out(
    X: Matrix,
    y: Labels,
    groups: Groups,
    classes: int,
    strengths: Sequence[float],
    class_weights: ClassWeights = "none",
) -> Matrix:
    """What a ridge classifier says of each row when the row's whole group is left out of its fit, without refitting.

    The figures are those of one refit per group and strength, to rounding, the unpenalised intercept included. What
    was made of all rows beforehand stays so: the mean and deviation by which `X` was standardised, and the `balanced`
    class weights, are not made anew without the group. Neither uses a label of the group beyond the count of its
    class, but where that matters, refit.

    Args:
        X: `(rows, dim)` float64, standardised.
        y: `(rows,)` class indices.
        groups: `(rows,)` any integers; rows of one group are left out together. At least two groups.
        classes: How many classes there are.
        strengths: Inverse penalties, above 0.
        class_weights: As in `HeadSpec`.

    Returns:
        `(strengths, rows, classes)` float64 decision values, uncalibrated.

    Raises:
        ValueError: If there is only one group, or a strength is not above 0.

    Source: Golub, Heath & Wahba 1979 for one row, and one decomposition for all penalties; Cook & Weisberg 1982 for
    several rows: `t_g - (I - H_gg)^-1 (t_g - f_g)`, with targets t, fit f and the block H_gg of its hat matrix, holds
    for any least squares with a quadratic penalty. H is that of the columns `[1, X]` with the first unpenalised,
    all rows times the square roots of their weights.
    """
    strengths = _positive(strengths)
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Leaving a group out needs at least two groups; got {len(names)}.")
    regression = _regression(X, y, classes, class_weights)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    decision = np.empty((len(strengths), len(y), classes))
    for index, strength in enumerate(strengths):
        coef, intercept = regression.solve(1 / strength)
        residual = regression.targets - (X @ coef.T + intercept)
        factor = regression.factor(1 / strength)
        root = regression.root[:, None]
        for rows in _stacks(members, factor.shape[1]):  # (groups, rows of each)
            left_out = _without_own(factor[rows], (root * residual)[rows])
            decision[index, rows] = regression.targets[rows] - left_out / root[rows]
    return decision


def _without_own(factor: Matrix, residual: Matrix) -> Matrix:
    """`(I - H)^-1 residual` for each group, where `H = factor factor'` is its block of the hat matrix.

    Args:
        factor: `(groups, rows, columns)`.
        residual: `(groups, rows, classes)`.
    """
    turned = factor.swapaxes(1, 2)
    rows, columns = factor.shape[1:]
    solved: Matrix
    if rows <= columns:
        solved = np.linalg.solve(np.eye(rows) - factor @ turned, residual)
    else:  # Woodbury: the smaller of the two systems
        solved = residual + factor @ np.linalg.solve(np.eye(columns) - turned @ factor, turned @ residual)
    return solved


def _stacks(members: list[NDArray[np.intp]], columns: int) -> Iterator[NDArray[np.intp]]:
    """Groups of equal size together, `(groups, rows of each)`, each stack of them bounded in memory."""
    sizes = np.array([len(rows) for rows in members])
    for size in np.unique(sizes):
        stack = np.stack([rows for rows in members if len(rows) == size])
        yield from np.array_split(stack, min(len(stack), -(-stack.size * columns // _BLOCK)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Principal:
    """Weighted, centred rows `A = sqrt(w) (X - mean)` in their principal directions: `A'A = V diag(squares) V'`."""

    mean: Matrix
    """`(dim,)` weighted mean of the rows."""
    squares: Matrix
    """`(rank,)` above 0."""
    directions: Matrix
    """`(dim, rank)`, V: orthonormal columns."""


def _principal(X: Matrix, weights: Matrix) -> _Principal:
    """One eigendecomposition of the smaller of `A'A` and `AA'`."""
    mean = weights @ X / weights.sum()
    A = (X - mean) * np.sqrt(weights)[:, None]
    wide = A.shape[0] < A.shape[1]
    squares, vectors = np.linalg.eigh(A @ A.T if wide else A.T @ A)
    kept = squares > max(A.shape) * np.finfo(np.float64).eps * squares.max()
    squares, vectors = squares[kept], vectors[:, kept]
    directions = A.T @ (vectors / np.sqrt(squares)) if wide else vectors
    return _Principal(mean=mean, squares=squares, directions=directions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regression:
    """Least squares of targets -1 and 1 on rows, ready for any penalty on the squared weights."""

    principal: _Principal
    scores: Matrix
    """`(rows, rank)`: the weighted, centred rows along the directions."""
    root: Matrix
    """`(rows,)` square roots of the rows' weights."""
    targets: Matrix
    """`(rows, classes)` of -1 and 1."""

    def solve(self, penalty: float) -> tuple[Matrix, Matrix]:
        """`coef` `(classes, dim)` and `intercept` `(classes,)`."""
        principal, weights = self.principal, np.square(self.root)
        level = weights @ self.targets / weights.sum()
        along = self.scores.T @ (self.root[:, None] * (self.targets - level))
        coef = (principal.directions @ (along / (principal.squares + penalty)[:, None])).T
        return coef, level - coef @ principal.mean

    def factor(self, penalty: float) -> Matrix:
        """`(rows, rank + 1)` F with `F F'` the hat matrix of the weighted targets, intercept included."""
        level = self.root / np.linalg.norm(self.root)
        return np.hstack([level[:, None], self.scores / np.sqrt(self.principal.squares + penalty)])


def _regression(X: Matrix, y: Labels, classes: int, class_weights: ClassWeights) -> _Regression:
    weights = _weights(y, classes, class_weights)
    root = np.sqrt(weights)
    principal = _principal(X, weights)
    return _Regression(
        principal=principal,
        scores=((X - principal.mean) * root[:, None]) @ principal.directions,
        root=root,
        targets=np.where(y[:, None] == np.arange(classes), 1.0, -1.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logistic:
    """Multinomial logistic regression on rows along principal directions."""

    X: Matrix
    """`(rows, rank)`, centred, not weighted."""
    y: Labels
    weights: Matrix
    """`(rows,)`."""
    squares: Matrix
    """`(rank,)` weighted sums of squares of the columns of `X`."""

    def fit(self, coef: Matrix, intercept: Matrix, strength: float) -> tuple[Matrix, Matrix]:
        """Weights `(rank, classes)` and intercept `(classes,)` of least penalised loss, sought from those given."""
        from scipy.optimize import minimize

        classes, total = len(intercept), self.weights.sum()
        penalty = 1 / (strength * total)
        start = np.exp(log_softmax(self.X @ coef + intercept))
        curvature = max((self.weights @ (1 - np.square(start).sum(1))) / total / (classes - 1), 1e-6)
        # One length for each row of weights, the intercept's first, that makes the curvature about 1 along all.
        length = 1 / np.sqrt(np.hstack([curvature, curvature * self.squares / total + penalty]))[:, None]
        share = self.weights / total
        own = np.arange(len(self.y)), self.y

        def loss(flat: Matrix) -> tuple[float, Matrix]:
            scaled = flat.reshape(-1, classes) * length
            log_p = log_softmax(self.X @ scaled[1:] + scaled[0])
            slope = np.exp(log_p)
            slope[own] -= 1
            slope *= share[:, None]
            gradient = np.vstack([slope.sum(0), self.X.T @ slope + penalty * scaled[1:]])
            value = -(share @ log_p[own]) + penalty / 2 * np.square(scaled[1:]).sum()
            return float(value), (gradient * length).ravel()

        found: Any = minimize(
            loss,
            (np.vstack([intercept, coef]) / length).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MOST_ITERATIONS, "gtol": _GRADIENT, "ftol": 0.0, "maxcor": 10},
        )
        solution = found.x.reshape(-1, classes) * length
        return solution[1:], solution[0]


def _weights(y: Labels, classes: int, class_weights: ClassWeights) -> Matrix:
    """One weight per row, `(rows,)`."""
    if class_weights == "none":
        return np.ones(len(y))
    weights: Matrix = (len(y) / (classes * np.bincount(y, minlength=classes)))[y]
    return weights


def _head(kind: HeadKind, training: Training, coef: Matrix, intercept: Matrix) -> FittedHead:
    arrays = {**training.scaler, "coef": coef, "intercept": intercept}
    return FittedHead(kind=kind, classes=training.classes, arrays=arrays)


def _positive(strengths: Sequence[float]) -> list[float]:
    checked = [float(strength) for strength in strengths]
    if not all(0 < strength < np.inf for strength in checked):
        raise ValueError(f"Strengths are numbers above 0; got {checked}.")
    return checked
