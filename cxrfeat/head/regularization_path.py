"""The only place that solves logistic regression, and that fits one head at many strengths for little more than one.

A penalty on squared weights shrinks each principal direction of the rows by an amount that can be written down, so one
eigendecomposition serves every strength. Ridge is solved by it outright; logistic regression takes few steps in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.decision import standardized
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.number import FittedNumber
from cxrfeat.head.training_set import TrainingSet, importance, scaling
from cxrfeat.metric.calibrate import log_softmax
from cxrfeat.spec import ClassWeights, HeadKind
from cxrfeat.system.process import small_products
from cxrfeat.types import Groups, Labels

STRENGTHS: tuple[float, ...] = tuple(float(f"{strength:.6g}") for strength in np.logspace(-6, 5, 45))
"""Four per power of ten. Source: Kornblith, Shlens & Le 2019, appendix, for regressions on frozen features."""

_MOST_ITERATIONS = 5000
_GRADIENT = 1e-7
"""Largest slope left at the end of a logistic fit, in the scaled directions, where it squares to about twice the mean
loss that is left to gain."""
_BLOCK = 2**22
"""Most numbers in an intermediate stack of matrices; 32 MB of float64."""

Matrix = NDArray[np.float64]


def logistic_path(
    training: TrainingSet, strengths: Sequence[float], class_weights: ClassWeights = "none"
) -> list[FittedHead]:
    """Logistic regressions, each starting from those of the next smaller strengths.

    Args:
        training: The rows.
        strengths: Inverse regularisations C, above 0, in any order.
        class_weights: As in `HeadSpec`.

    Returns:
        One `logreg` head per strength, in the order of `strengths`, uncalibrated. On the features of 1200 radiographs
        (MobileNet, width 1024, plain views or eight) probabilities are within 4e-5 of those of the exact minimum up to
        strength 0.1, within 1e-3 at 1 and 3e-3 at 10, where scikit-learn's at its default tolerance are up to 0.1, 0.4
        and 0.9 away (`benchmarks/README.md`); at 1000, where the training rows are told apart without a doubt and the
        loss is flat, within 0.04.

    Raises:
        ValueError: If a strength is not above 0.

    Source: L-BFGS (Liu & Nocedal 1989) on the objective of scikit-learn, along the principal directions of the rows,
    each scaled by the form that Böhning 1992 gives its curvature: squares of the rows times `p (1 - p)`, plus penalty.

    Example:
        >>> y = np.arange(40) % 2
        >>> X = np.random.default_rng(0).normal(y[:, None], 0.1, (40, 3)).astype(np.float32)
        >>> training = TrainingSet(X[:30, None], y[:30], X[30:], y[30:], ["COVID", "NORMAL"])
        >>> [float(abs(head.arrays["coef"]).max().round(2)) for head in logistic_path(training, [0.01, 1.0])]
        [0.12, 1.13]
    """
    found = _logistic(training, _positive(strengths), class_weights)
    return [found[float(strength)][0] for strength in strengths]


def logistic_head(
    training: TrainingSet, strength: float, class_weights: ClassWeights = "none"
) -> tuple[FittedHead, list[str]]:
    """The same of one strength, with what the user should know of it, in sentences."""
    ((head, iterations),) = _logistic(training, _positive([strength]), class_weights).values()
    if iterations < _MOST_ITERATIONS:
        return head, []
    return head, [
        f"The logistic regression stopped after {iterations} iterations before it had converged: its coefficients are "
        f"approximate. A smaller strength than {strength:g} converges faster."
    ]


@small_products()  # so that what is found hangs on no number of threads, and no thread waits for another's turn
def _logistic(
    training: TrainingSet, strengths: Sequence[float], class_weights: ClassWeights
) -> dict[float, tuple[FittedHead, int]]:
    """By strength, the head and how many iterations it took."""
    X, y, classes = training.rows, training.row_labels, len(training.classes)
    weights = importance(y, classes, class_weights, training.row_weights)
    principal = _principal(X, weights)
    logistic = _Logistic(X=(X - principal.mean) @ principal.directions, y=y, weights=weights, squares=principal.squares)
    intercept = np.log(np.bincount(y, weights=weights, minlength=classes) / weights.sum())
    # What all classes have in common changes no probability, and no step of the way.
    guess = np.vstack([intercept - intercept.mean(), np.zeros((principal.squares.size, classes))])
    heads: dict[float, tuple[FittedHead, int]] = {}
    found: list[Matrix] = []
    ascending = sorted(set(strengths))
    for index, strength in enumerate(ascending):
        if index > 1:  # on along the line through the last two: half the steps of starting from the last
            steps = np.diff(np.log(ascending[index - 2 : index + 1]))
            guess = found[-1] + (found[-1] - found[-2]) * (steps[1] / steps[0])
        # Two classes are one column in scikit-learn, whose square is twice the squares of its opposite halves.
        guess, iterations = logistic.fit(guess, strength / 2 if classes == 2 else strength)
        found.append(guess)
        coef = (principal.directions @ guess[1:]).T
        intercept = guess[0] - coef @ principal.mean
        if classes == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        heads[strength] = _head("logreg", training, coef, intercept), iterations
    return heads


def ridge_path(
    training: TrainingSet, strengths: Sequence[float], class_weights: ClassWeights = "none"
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
        ValueError: If a strength is not above 0, or the training's images have weights of their own.

    Source: Hastie, Tibshirani & Friedman 2009, section 3.4.1; the intercept is not penalised.
    """
    if training.weights is not None:
        raise ValueError("A path is fitted on images of weight 1; fit the heads of weighted ones singly.")
    strengths = _positive(strengths)
    y, classes = training.row_labels, len(training.classes)
    regression = _regression(training.rows, _signs(y, classes), importance(y, classes, class_weights))
    heads = []
    for strength in strengths:
        coef, intercept = regression.solve(1 / strength)
        heads.append(_head("ridge", training, coef, intercept))
    return heads


@small_products()
def ridge_number_path(X: NDArray[np.float32], y: NDArray[np.float64], strengths: Sequence[float]) -> list[FittedNumber]:
    """Ridge regressions of a number from one eigendecomposition.

    Args:
        X: `(images, views, dim)`; every view is a row.
        y: `(images,)`.
        strengths: Inverse penalties, above 0, in any order.

    Returns:
        One head per strength, in their order, equal to rounding to one that is fitted singly.

    Raises:
        ValueError: If a strength is not above 0.

    Source: as `ridge_path`.
    """
    strengths = _positive(strengths)
    scaler = scaling(X)
    rows = standardized(X.reshape(-1, X.shape[2]), scaler)
    regression = _regression(rows, np.repeat(y, X.shape[1])[:, None], np.ones(len(rows)))
    heads = []
    for strength in strengths:
        coef, intercept = regression.solve(1 / strength)
        heads.append(FittedNumber(kind="ridge", arrays={**scaler, "coef": coef, "intercept": intercept}))
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
    regression = _regression(X, _signs(y, classes), importance(y, classes, class_weights))
    return np.stack([_left_out(regression, X, groups, 1 / strength) for strength in _positive(strengths)])


def ridge_left_out(X: Matrix, targets: Matrix, groups: Groups, strength: float) -> Matrix:
    """How far above the mean of its own training rows a ridge regression puts each row, whose group was left out of it.

    A row's own group lowers the mean of the others the more, the larger its targets are. Predictions of rows that were
    left out hold that mean, and ranked together they would be wrong more often than by chance; without it they are not.

    Args:
        X: `(rows, dim)` float64, standardised.
        targets: `(rows, k)` float64, each column a regression of its own.
        groups: `(rows,)` any integers; at least two different ones.
        strength: Inverse penalty, above 0.

    Returns:
        `(rows, k)` float64.

    Raises:
        ValueError: If there is only one group, or the strength is not above 0.

    Source: as `ridge_leave_group_out`; Airola et al. 2011, "An experimental comparison of cross-validation techniques
    for estimating the area under the ROC curve", for what pooling the rows that were left out does.
    """
    (strength,) = _positive([strength])
    found = _left_out(_regression(X, targets, np.ones(len(X))), X, groups, 1 / strength)
    group = np.unique(groups, return_inverse=True)[1]
    own, sizes = np.zeros((group.max() + 1, targets.shape[1])), np.bincount(group)
    np.add.at(own, group, targets)
    return np.asarray(found - (targets.sum(0) - own[group]) / (len(X) - sizes[group])[:, None])


def _left_out(regression: _Regression, X: Matrix, groups: Groups, penalty: float) -> Matrix:
    """`(rows, targets)` what a regression says of each row when its whole group is left out."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Leaving a group out needs at least two groups; got {len(names)}.")
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    found = np.empty(regression.targets.shape)
    coef, intercept = regression.solve(penalty)
    residual = regression.targets - (X @ coef.T + intercept)
    factor, root = regression.factor(penalty), regression.root[:, None]
    for rows in _stacks(members, factor.shape[1]):  # (groups, rows of each)
        left_out = _without_own(factor[rows], (root * residual)[rows])
        found[rows] = regression.targets[rows] - left_out / root[rows]
    return found


def _without_own(factor: Matrix, residual: Matrix) -> Matrix:
    """`(I - H)^-1 residual` for each group, where `H = factor factor'` is its block of the hat matrix.

    Args:
        factor: `(groups, rows, columns)`.
        residual: `(groups, rows, classes)`.
    """
    turned = factor.swapaxes(1, 2)
    rows, columns = factor.shape[1:]
    if rows <= columns:
        return np.asarray(np.linalg.solve(np.eye(rows) - factor @ turned, residual))
    # Woodbury: the smaller of the two systems.
    return np.asarray(residual + factor @ np.linalg.solve(np.eye(columns) - turned @ factor, turned @ residual))


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
    """Least squares of targets on rows, ready for any penalty on the squared weights."""

    principal: _Principal
    scores: Matrix
    """`(rows, rank)`: the weighted, centred rows along the directions."""
    root: Matrix
    """`(rows,)` square roots of the rows' weights."""
    targets: Matrix
    """`(rows, k)`; of a classifier -1 and 1."""

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


def _regression(X: Matrix, targets: Matrix, weights: Matrix) -> _Regression:
    root = np.sqrt(weights)
    principal = _principal(X, weights)
    return _Regression(
        principal=principal,
        scores=((X - principal.mean) * root[:, None]) @ principal.directions,
        root=root,
        targets=targets,
    )


def _signs(y: Labels, classes: int) -> Matrix:
    """`(rows, classes)`: 1 for the row's class, -1 for the others."""
    return np.where(y[:, None] == np.arange(classes), 1.0, -1.0)


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

    def fit(self, guess: Matrix, strength: float) -> tuple[Matrix, int]:
        """Least penalised loss, sought from a guess: `(1 + rank, classes)`, the intercept first; and iterations."""
        from scipy.optimize import minimize

        classes, total = guess.shape[1], self.weights.sum()
        penalty = 1 / (strength * total)
        p = np.exp(log_softmax(self.X @ guess[1:] + guess[0]))
        curvature = max(self.weights @ (1 - np.square(p).sum(1)) / total / (classes - 1), 1e-6)
        # One length for each row of weights that makes the curvature about 1 along all of them.
        length = 1 / np.sqrt(np.hstack([curvature, curvature * self.squares / total + penalty]))[:, None]
        found: Any = minimize(
            self._loss,
            (guess / length).ravel(),
            args=(length, penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MOST_ITERATIONS, "gtol": _GRADIENT, "ftol": 0.0},
        )
        return np.asarray(found.x.reshape(-1, classes) * length), int(found.nit)

    def _loss(self, flat: Matrix, length: Matrix, penalty: float) -> tuple[float, Matrix]:
        """Mean loss with its penalty, and the slope, of weights in multiples of `length`."""
        scaled = flat.reshape(len(length), -1) * length
        own = np.arange(len(self.y)), self.y
        share = self.weights / self.weights.sum()
        log_p = log_softmax(self.X @ scaled[1:] + scaled[0])
        slope = np.exp(log_p)
        slope[own] -= 1
        slope *= share[:, None]
        along = (slope.T @ self.X).T  # five times as fast as X' slope
        gradient = np.vstack([slope.sum(0), along + penalty * scaled[1:]])
        value = -(share @ log_p[own]) + penalty / 2 * np.square(scaled[1:]).sum()
        return float(value), (gradient * length).ravel()


def _head(kind: HeadKind, training: TrainingSet, coef: Matrix, intercept: Matrix) -> FittedHead:
    arrays = {**training.scaler, "coef": coef, "intercept": intercept}
    return FittedHead(kind=kind, classes=training.classes, arrays=arrays)


def _positive(strengths: Sequence[float]) -> list[float]:
    checked = [float(strength) for strength in strengths]
    if not all(0 < strength < np.inf for strength in checked):
        raise ValueError(f"Strengths are numbers above 0; got {checked}.")
    return checked
