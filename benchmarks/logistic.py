"""How near the minimum does logistic regression end, in what time, and how near does scikit-learn's?

The `logreg` head and scikit-learn's at its default tolerance, both on the same standardised rows in float64 and by one
BLAS thread, in turn, at several strengths. What both are held against is scikit-learn's solution at a tolerance of
1e-9. The features are those of a file, a fifth of the groups held out to be predicted; without one, random blobs,
which only shows that it runs.

    python -m benchmarks.logistic features/FILE.h5 --json logistic.json
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.blobs import CLASSES, blobs
from benchmarks.common import Spread, alternate, options, publish, seconds_of
from cxrfeat.feature.file import FeatureFile
from cxrfeat.head.fit import fit_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.metric.calibrate import log_softmax, softmax
from cxrfeat.spec import HeadSpec
from cxrfeat.system.process import small_products

OURS, PLAIN = "cxrfeat", "scikit-learn"
EXACT = 1e-9

Solution = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Coefficients `(classes, dim)` and intercepts."""


def parted(place: Path | None, views: int) -> TrainingSet:
    """Rows to train on; those held out stand as validation rows."""
    if place is None:
        X, y = blobs(240, 16, views)
        groups, classes = np.arange(240), tuple(CLASSES)
    else:
        with FeatureFile(place) as file:
            X, y, groups, classes = file.read()[:, :views], file.labels, file.groups, tuple(file.classes)
    names = np.random.default_rng(0).permutation(np.unique(groups))
    held = np.isin(groups, names[: len(names) // 5])
    return TrainingSet(X[~held], y[~held], X[held, 0], y[held], classes)


def ours(training: TrainingSet, strength: float) -> Solution:
    """The head's."""
    arrays = fit_head(HeadSpec(kind="logreg", strength=strength), training).head.arrays
    return arrays["coef"], arrays["intercept"]


def plain(training: TrainingSet, strength: float, tolerance: float = 1e-4) -> Solution:
    """scikit-learn's; 1e-4 is its default."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a flat end
        model = LogisticRegression(C=strength, tol=tolerance, max_iter=100_000)
        model.fit(training.rows, training.row_labels)
    return model.coef_, model.intercept_


def loss(training: TrainingSet, strength: float, solution: Solution) -> tuple[float, float]:
    """Mean loss with its penalty, and the length of its slope."""
    coef, intercept = solution
    rows, own = training.rows, (np.arange(len(training.row_labels)), training.row_labels)
    log_p = log_softmax(rows @ coef.T + intercept)
    slope = np.exp(log_p)
    slope[own] -= 1
    slope /= len(rows)
    penalty = 1 / (strength * len(rows))
    along = slope.T @ rows + penalty * coef
    value = -log_p[own].mean() + penalty / 2 * np.square(coef).sum()
    return float(value), float(np.sqrt(np.square(along).sum() + np.square(slope.sum(0)).sum()))


def probabilities(training: TrainingSet, solution: Solution) -> NDArray[np.float64]:
    """Of what was held out."""
    X = (training.X_val - training.scaler["mean"]) / training.scaler["scale"]
    return softmax(X @ solution[0].T + solution[1])


def measure(training: TrainingSet, strength: float, repeats: int) -> list[dict[str, Any]]:
    """Both at one strength, in turn."""
    reference = plain(training, strength, EXACT)
    least, (told, correct) = loss(training, strength, reference)[0], judged(training, reference)
    ways: dict[str, Callable[[], Solution]] = {name: partial(one, training, strength) for name, one in WAYS.items()}
    found = {name: one() for name, one in ways.items()}
    spreads = alternate({name: partial(seconds_of, one) for name, one in ways.items()}, repeats=repeats,
                        what=f"strength {strength:g}")  # fmt: skip
    rows = []
    for name, solution in found.items():
        value, slope = loss(training, strength, solution)
        away, right = judged(training, solution)
        rows.append(
            {
                "strength": strength, "way": name, "seconds": spreads[name].to_dict(), "excess": value - least,
                "slope": slope, "probability": float(abs(away - told).max()), "accuracy": right,
                "exact_accuracy": correct,
            }
        )  # fmt: skip
    return rows


WAYS = {OURS: ours, PLAIN: plain}


def judged(training: TrainingSet, solution: Solution) -> tuple[NDArray[np.float64], float]:
    """Probabilities of what was held out, and how many are right."""
    told = probabilities(training, solution)
    return told, float((told.argmax(1) == training.y_val).mean())


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table, write JSON."""
    parser = options(__doc__)
    parser.add_argument("features", type=Path, nargs="?", help="a feature file of three classes or more")
    parser.add_argument("--views", type=int, default=1, help="of each image to train on (default: 1)")
    parser.add_argument("--strength", type=float, action="append", help="default: 0.01, 0.1, 1 and 10")
    chosen = parser.parse_args(arguments)
    training = parted(chosen.features, chosen.views)
    with small_products():
        training.rows  # noqa: B018  # standardised once for both
        rows = [
            one
            for strength in chosen.strength or (0.01, 0.1, 1.0, 10.0)
            for one in measure(training, strength, chosen.repeats)
        ]
    header = ["strength and way", "seconds", "loss above the least", "slope", "probabilities off by", "accuracy"]
    lines = [
        [
            f"{row['strength']:g} {row['way']}", str(Spread(tuple(row["seconds"]["values"]))), f"{row['excess']:.1e}",
            f"{row['slope']:.1e}", f"{row['probability']:.1e}", f"{row['accuracy']:.4f} ({row['exact_accuracy']:.4f})",
        ]
        for row in rows
    ]  # fmt: skip
    images, views, dim = training.X.shape
    notes = [
        f"{images} x {views} x {dim}. Seconds, median (min-max). Probabilities: the largest difference, on the "
        f"{len(training.y_val)} images held out, from scikit-learn at a tolerance of {EXACT:g}; with its accuracy."
    ]
    return publish("logistic", arguments, header, lines, rows=rows, notes=notes, place=chosen.json)


if __name__ == "__main__":
    main()
