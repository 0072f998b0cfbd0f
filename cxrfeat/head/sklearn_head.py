"""The only place that trains heads with scikit-learn: the two SVMs and ridge.

What comes out are arrays: scikit-learn trains, `FittedHead` predicts. Neighbours need no training, only keeping, and
logistic regression has one solver, for one strength as for many (`regularization_path.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.regularization_path import logistic_head
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import HeadKind, HeadSpec
from cxrfeat.system.choice import chose

STRENGTH: dict[HeadKind, float] = {"logreg": 0.1, "svm-linear": 0.01, "svm-rbf": 1.0, "ridge": 0.001}
"""Inverse regularisation C where the spec leaves it open, as measured on 1,200 public X-rays. That of ridge is
a penalty of 1000, what one standardised feature weighs in 1000 rows: with about as many rows as features, where an
unpenalised regression fits every label, it must be of that size; with ten times the rows it hardly matters."""

Arrays = dict[str, NDArray[Any]]


def load(kind: HeadKind) -> None:
    """Import what trains this kind now, so that it is not taken for training time."""
    if kind == "logreg":
        import scipy.optimize  # noqa: F401  # for the import alone
    elif kind == "ridge":
        import sklearn.linear_model  # noqa: F401  # for the import alone
    elif kind != "knn":
        _svc()


def train(spec: HeadSpec, training: TrainingSet) -> tuple[FittedHead, list[str]]:
    """Fit a classifier on cached features that is no network; all views of the images are its rows.

    Args:
        spec: Its kind, with its strength or neighbours, and class weights.
        training: The rows; the standardised ones are made once for all heads fitted on it.

    Returns:
        The head, of temperature 1, and notes for the user.
    """
    strength = spec.strength or STRENGTH.get(spec.kind, 1.0)
    if spec.kind == "logreg":
        return logistic_head(training, strength, spec.class_weights)
    notes: list[str] = []
    if spec.kind == "knn":
        arrays, notes = _keep_rows(spec, training)
    elif spec.kind == "ridge":
        arrays = _fit_ridge(spec, training, strength)
    else:
        arrays = _fit_svm(spec, training, strength)
    return FittedHead(kind=spec.kind, classes=training.classes, arrays={**training.scaler, **arrays}), notes


def _keep_rows(spec: HeadSpec, training: TrainingSet) -> tuple[Arrays, list[str]]:
    rows = training.X.reshape(-1, training.X.shape[2])
    notes, neighbours = [], spec.neighbours
    if neighbours > len(rows):  # not all of them: then every image would get the same answer
        neighbours = round(len(rows) ** 0.5)
        notes.append(
            f"{spec.neighbours} neighbours were to vote, and there are {len(rows)} training rows: {neighbours} vote, "
            "the square root of the rows."
        )
    if spec.class_weights != "none":
        notes.append(f"Class weights {spec.class_weights} have no meaning for neighbours: knn was fitted without.")
    return {"rows": rows, "labels": training.row_labels, "neighbours": np.asarray(neighbours, np.int64)}, notes


def _fit_ridge(spec: HeadSpec, training: TrainingSet, strength: float) -> Arrays:
    """Least squares on targets of 1 for the class and -1 for the rest, one class at a time."""
    from sklearn.linear_model import RidgeClassifier

    model = RidgeClassifier(alpha=1 / strength, class_weight=_class_weight(spec), solver="cholesky")
    model.fit(training.rows, training.row_labels, sample_weight=training.row_weights)
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    if len(coef) == 1:  # of two classes scikit-learn fits the second; the first is its opposite
        coef, intercept = np.vstack([-coef, coef]), np.hstack([-intercept, intercept])
    return {"coef": coef, "intercept": intercept}


def _fit_svm(spec: HeadSpec, training: TrainingSet, strength: float) -> Arrays:
    kernel, weights = spec.kind.removeprefix("svm-"), training.row_weights
    gamma: str | float = "scale"
    if weights is not None:  # what "scale" is of rows repeated this often
        gamma = float(1 / np.average(np.square(training.rows).sum(1), weights=weights))
    model = _svc()(C=strength, kernel=kernel, gamma=gamma, class_weight=_class_weight(spec))
    model.fit(training.rows, training.row_labels, sample_weight=weights)
    intercept = np.asarray(model.intercept_, np.float64)
    if kernel == "linear":
        return {"coef": np.asarray(model.coef_, np.float64), "intercept": intercept}
    return {
        "support_vectors": training.X.reshape(-1, training.X.shape[2])[model.support_],
        "n_support": np.asarray(model.n_support_, np.int64),
        "dual_coef": np.asarray(model.dual_coef_, np.float64),
        "intercept": intercept,
        "gamma": np.asarray(model._gamma, np.float64),  # "scale" as a number; scikit-learn has no public name for it
    }


def _class_weight(spec: HeadSpec) -> str | None:
    """Scikit-learn's name for it: `rows / (classes * rows of the class)`, as `HeadSpec.class_weights` says."""
    return None if spec.class_weights == "none" else spec.class_weights


def _svc() -> Any:  # noqa: ANN401  # a class; neither library has types
    """The SVM class: scikit-learn-intelex's where installed, several times faster."""
    try:
        from sklearnex.svm import SVC
    except ModuleNotFoundError:
        from sklearn.svm import SVC
    except ImportError as error:  # it is installed for another processor, or another library has loaded its own oneTBB
        from sklearn.svm import SVC

        chose(
            "SVMs are trained by scikit-learn, some nine times slower, since scikit-learn-intelex cannot be loaded: "
            f"{error}. A program that uses OpenVINO itself imports sklearnex before it."
        )
    return SVC
