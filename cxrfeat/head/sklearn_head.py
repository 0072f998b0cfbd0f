"""The only place that imports scikit-learn's classifiers: logistic regression and the two SVMs.

What comes out are arrays: scikit-learn trains, `FittedHead` predicts.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.fitted import FittedHead
from cxrfeat.metric.calibrate import fit_temperature
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.types import Features, Labels

STRENGTH: dict[HeadKind, float] = {"logreg": 0.1, "svm-linear": 0.01, "svm-rbf": 1.0}
"""Inverse regularisation C where the spec leaves it open (PAPER.md, what is known of the real images)."""

MAX_ITERATIONS = 5000
"""Of the logistic regression; standardised features need some tens."""


def load() -> None:
    """Import the libraries now, so that it is not taken for training time."""
    import sklearn.linear_model  # noqa: F401

    _svc()


def train(
    spec: HeadSpec,
    X_train: Features,
    y_train: Labels,
    X_val: Features,
    y_val: Labels,
    classes: tuple[str, ...],
    scaler: dict[str, NDArray[np.float64]],
) -> tuple[FittedHead, list[str]]:
    """Fit a scikit-learn classifier on cached features; all views of the images are its rows.

    Args:
        spec: A scikit-learn kind, and its strength.
        X_train: `(images, views, dim)` float32.
        y_train: `(images,)` class indices.
        X_val: `(n, dim)` float32, plain views; an SVM's temperature is fitted on them. May be empty.
        y_val: `(n,)` class indices.
        classes: Class names.
        scaler: `mean` and `scale` of the training rows.

    Returns:
        The head, and notes for the user.
    """
    images, views, dim = X_train.shape
    rows = X_train.reshape(images * views, dim)
    X = (rows - scaler["mean"]) / scaler["scale"]
    y = np.repeat(y_train, views)
    strength = STRENGTH[spec.kind] if spec.strength is None else spec.strength
    if spec.kind == "logreg":
        arrays, notes = _fit_logistic(X, y, strength)
    else:
        arrays, notes = _fit_svm(X, y, strength, rows if spec.kind == "svm-rbf" else None), []
    head = FittedHead(kind=spec.kind, classes=classes, arrays={**scaler, **arrays})
    if spec.kind == "logreg":
        return head, notes
    if not len(y_val):
        return head, [*notes, "There are no validation images: the SVM's probabilities are not calibrated."]
    temperature = fit_temperature(head.decision(X_val), y_val)
    return FittedHead(kind=spec.kind, classes=classes, arrays=head.arrays, temperature=temperature), notes


def _fit_logistic(X: NDArray[np.float64], y: Labels, strength: float) -> tuple[dict[str, NDArray[Any]], list[str]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(X, y)
    notes = []
    if caught:
        notes.append(
            f"The logistic regression stopped after {int(np.max(model.n_iter_))} iterations before it had converged: "
            f"its coefficients are approximate. A smaller strength than {strength:g} converges faster."
        )
    return {"coef": model.coef_, "intercept": model.intercept_}, notes


def _fit_svm(X: NDArray[np.float64], y: Labels, strength: float, rows: Features | None) -> dict[str, NDArray[Any]]:
    """Arrays of a linear SVM, or of an RBF one whose support vectors are taken from `rows`."""
    if rows is None:
        model = _svc()(C=strength, kernel="linear").fit(X, y)
        return {"coef": np.asarray(model.coef_, np.float64), "intercept": np.asarray(model.intercept_, np.float64)}
    model = _svc()(C=strength, kernel="rbf", gamma="scale").fit(X, y)
    return {
        "support_vectors": rows[model.support_],
        "n_support": np.asarray(model.n_support_, np.int64),
        "dual_coef": np.asarray(model.dual_coef_, np.float64),
        "intercept": np.asarray(model.intercept_, np.float64),
        "gamma": np.asarray(model._gamma, np.float64),  # "scale" as a number; scikit-learn has no public name for it
    }


def _svc() -> Any:  # noqa: ANN401  # a class; neither library has types
    """The SVM class: scikit-learn-intelex's where installed, about nine times faster (FACTS.md, F)."""
    try:
        from sklearnex.svm import SVC
    except ImportError:  # also where it is installed for another processor
        from sklearn.svm import SVC
    return SVC
