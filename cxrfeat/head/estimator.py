"""The only place that speaks scikit-learn's estimator interface: every head, trained by `fit_head` like everywhere.

The parameters are the fields of `HeadSpec` that a kind uses, of the same defaults. What needs views or validation
images is not among them: an estimator is given rows, and `cross_validate` and its like hold out the others. Dataclasses
write the constructors, which scikit-learn reads the parameters from; equality and text stay scikit-learn's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from cxrfeat.head.fit import fit_head
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.regularization_path import ridge_leave_group_out
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.spec import ClassWeights, HeadKind, HeadSpec, Optimizer, Schedule
from cxrfeat.types import Features, Labels, Probabilities

Matrix = Any
"""`(n, dim)` numbers: whatever scikit-learn takes for an array."""


class HeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What all heads have in common.

    Attributes:
        classes_: Labels, sorted.
        head_: The head as arrays, as runs store it.
        history_: One row per epoch of a network.
        notes_: What the user should know, in sentences.
        n_features_in_: Width of the features.
    """

    KIND: ClassVar[HeadKind]

    classes_: NDArray[Any]
    head_: FittedHead
    history_: list[dict[str, Any]]
    notes_: list[str]
    n_features_in_: int

    def decision_function(self, X: Matrix) -> NDArray[np.float64]:
        """Decision values `(n, classes)`, the largest wins; of two classes `(n,)`, above 0 where the second wins."""
        features = self._features(X)
        decision = self.head_.decision(features)
        return decision if len(self.classes_) > 2 else decision[:, 1] - decision[:, 0]

    def predict_proba(self, X: Matrix) -> Probabilities:
        """Probabilities `(n, classes)`, in the order of `classes_`.

        Those of the SVMs and of ridge are the softmax of the decision values and not calibrated: there is nothing to
        calibrate them on. `CalibratedClassifierCV(head, method="temperature")` does it by cross-validation.
        """
        features = self._features(X)
        return self.head_.predict_proba(features)

    def predict(self, X: Matrix) -> NDArray[Any]:
        """The likeliest label of each row, `(n,)`."""
        features = self._features(X)
        return self.classes_[self.head_.predict(features)]

    def _features(self, X: Matrix) -> Features:
        check_is_fitted(self)
        features: Features = validate_data(self, X, reset=False, dtype=np.float32)
        return features

    def _spec(self) -> HeadSpec:
        fields = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        if "random_state" in fields:
            state = fields.pop("random_state")
            fields["seed"] = state if isinstance(state, int) else int(check_random_state(state).randint(2**31 - 1))
        return HeadSpec(kind=self.KIND, **fields)

    def _rows(self, X: Matrix, y: Matrix) -> tuple[Features, Labels, NDArray[Any]]:
        """Features, class indices, and the labels that they count into."""
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        return X, labels, classes

    def _training(
        self, X: Features, labels: Labels, classes: NDArray[Any], weights: NDArray[np.float64] | None = None
    ) -> TrainingSet:
        if len(classes) < 2:
            only = classes[0].item()
            raise ValueError(f"{type(self).__name__} tells classes apart, and y holds only one class: {only!r}.")
        nothing = np.empty((0, X.shape[1]), np.float32)
        names = [str(label) for label in classes.tolist()]
        return TrainingSet(X[:, None], labels, nothing, np.empty(0, np.int64), names, weights)

    def _fit(self, X: Matrix, y: Matrix, sample_weight: Matrix = None) -> Self:
        X, labels, classes = self._rows(X, y)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            there = weights > 0  # a row of no weight is no row, and its class none to be told apart
            X, weights = X[there], weights[there]
            kept, labels = np.unique(labels[there], return_inverse=True)
            classes = classes[kept]
        self.classes_ = classes
        fit = fit_head(self._spec(), self._training(X, labels, classes, weights))
        self.head_, self.history_ = fit.head, [asdict(one) for one in fit.history.epochs]
        self.notes_ = fit.notes
        return self


class WeightedHeadClassifier(HeadClassifier):
    """A head whose rows can have weights."""

    def fit(self, X: Matrix, y: Matrix, sample_weight: Matrix = None) -> Self:
        """Train on rows.

        Args:
            X: `(n, dim)` features.
            y: `(n,)` labels, of any type that can be sorted.
            sample_weight: `(n,)` factors of the rows' losses; a row of weight 0 is left out.

        Raises:
            InputError: If training diverges.
            SpecError: If a parameter is out of its range.
            ValueError: If the rows cannot be used, or are of one class only.
        """
        return self._fit(X, y, sample_weight)


@dataclass(kw_only=True, eq=False, repr=False)
class _Network(WeightedHeadClassifier):
    epochs: int = 20
    """Passes over the rows; 0 leaves the head at its random start."""
    batch: int = 32
    """Rows per step."""
    optimizer: Optimizer = "sgd"
    """`sgd` with Nesterov momentum, or `adam`."""
    learning_rate: float = 0.01
    schedule: Schedule = "inverse-time"
    """`inverse-time`, `cosine` or `constant`."""
    decay: float = 1e-6
    """Only of `inverse-time`."""
    momentum: float = 0.9
    """Only of `sgd`."""
    l2: float = 0.0
    """Penalty on the squared weights, biases apart."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes."""
    standardize: bool = True
    """Remove the training mean and divide by the deviation, per feature."""
    class_weights: ClassWeights = "none"
    """`balanced` gives every class the same weight in all."""
    random_state: Any = 0
    """A whole number is the head's seed; a generator, or `None` for NumPy's own, is asked for one at every fit."""


@dataclass(kw_only=True, eq=False, repr=False)
class SoftmaxHead(_Network):
    """One layer.

    Example:
        >>> import cxrfeat
        >>> cxrfeat.SoftmaxHead(epochs=5)
        SoftmaxHead(epochs=5)
    """

    KIND: ClassVar[HeadKind] = "softmax"


@dataclass(kw_only=True, eq=False, repr=False)
class DenseHead(_Network):
    """Hidden layers of 500 and 200 units, as in the paper."""

    KIND: ClassVar[HeadKind] = "dense"

    hidden: tuple[int, ...] | None = None
    """Units of the hidden layers; `None` is 500 and 200."""


@dataclass(kw_only=True, eq=False, repr=False)
class DropoutHead(_Network):
    """Hidden layers of 500 units, of which half are dropped in training, and 200: the paper's best."""

    KIND: ClassVar[HeadKind] = "dropout"

    hidden: tuple[int, ...] | None = None
    """Units of the hidden layers; `None` is 500 and 200."""
    dropout: float = 0.5
    """Share of the first hidden layer's units dropped."""


@dataclass(kw_only=True, eq=False, repr=False)
class _StrengthHead(WeightedHeadClassifier):
    strength: float | None = None
    """Inverse regularisation C; `None` is the head's own default."""
    class_weights: ClassWeights = "none"
    """`balanced` gives every class the same weight in all."""


@dataclass(kw_only=True, eq=False, repr=False)
class LogregHead(_StrengthHead):
    """Logistic regression on standardised features, C = 0.1.

    Example:
        >>> import numpy as np
        >>> from sklearn.model_selection import GroupKFold, cross_val_score
        >>> y = np.array(["COVID", "NORMAL"] * 20)
        >>> X = np.random.default_rng(0).normal((y == "COVID")[:, None], 0.1, (40, 3))
        >>> patients = np.arange(40) // 4
        >>> cross_val_score(LogregHead(), X, y, groups=patients, cv=GroupKFold(2))
        array([1., 1.])
    """

    KIND: ClassVar[HeadKind] = "logreg"


@dataclass(kw_only=True, eq=False, repr=False)
class SvmLinearHead(_StrengthHead):
    """Linear support vector machine on standardised features, one class against another, C = 0.01."""

    KIND: ClassVar[HeadKind] = "svm-linear"


@dataclass(kw_only=True, eq=False, repr=False)
class SvmRbfHead(_StrengthHead):
    """Support vector machine with a Gaussian kernel on standardised features, C = 1."""

    KIND: ClassVar[HeadKind] = "svm-rbf"


@dataclass(kw_only=True, eq=False, repr=False)
class RidgeHead(_StrengthHead):
    """Least squares on targets of 1 and -1 on standardised features, penalty 1000 (C = 0.001)."""

    KIND: ClassVar[HeadKind] = "ridge"

    def leave_group_out(self, X: Matrix, y: Matrix, groups: Matrix) -> NDArray[np.float64]:
        """Decision values of each row by a head that never saw its group, at the cost of one fit.

        They are what `cross_val_predict(head, X, y, groups=groups, cv=LeaveOneGroupOut(), method="decision_function")`
        refits for once per group, but that features are standardised, and classes balanced, by all rows.

        Args:
            X: `(n, dim)` features.
            y: `(n,)` labels, of any type that can be sorted.
            groups: `(n,)` of any type that can be sorted: patients, say.

        Returns:
            As `decision_function`: `(n, classes)`, or `(n,)` of two classes, in the order of the sorted labels.

        Raises:
            ValueError: If the rows cannot be used, or are of one class or of one group only.

        Example:
            >>> X, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
            >>> (RidgeHead(strength=1.0).leave_group_out(X, y, groups=[1, 2, 3, 4]) > 0).tolist()
            [False, False, True, True]
        """
        X, labels, classes = self._rows(X, y)
        groups = np.asarray(groups)
        if groups.shape != labels.shape:
            raise ValueError(f"A group for each of {len(labels)} rows; got shape {groups.shape}.")
        spec = self._spec()
        training = self._training(X, labels, classes)
        decision = ridge_leave_group_out(
            training.rows,
            labels,
            np.unique(groups, return_inverse=True)[1],
            len(classes),
            [spec.strength or STRENGTH["ridge"]],
            spec.class_weights,
        )[0]
        return np.asarray(decision if len(classes) > 2 else decision[:, 1] - decision[:, 0])


@dataclass(kw_only=True, eq=False, repr=False)
class KnnHead(HeadClassifier):
    """The nearest rows vote, by standardised features; rows cannot be weighted."""

    KIND: ClassVar[HeadKind] = "knn"

    neighbours: int = 15
    """Rows that vote; if there are fewer, as many as the square root of their number (see `notes_`)."""

    def fit(self, X: Matrix, y: Matrix) -> Self:
        """Keep the rows.

        Args:
            X: `(n, dim)` features.
            y: `(n,)` labels, of any type that can be sorted.

        Raises:
            ValueError: If the rows cannot be used, or are of one class only.
        """
        return self._fit(X, y)


def _plain(value: Any) -> Any:  # noqa: ANN401  # parameters come from grids and distributions as NumPy's numbers
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(_plain(one) for one in value)
    return value


ESTIMATORS: dict[HeadKind, type[HeadClassifier]] = {
    one.KIND: one
    for one in (SoftmaxHead, DenseHead, DropoutHead, LogregHead, SvmLinearHead, SvmRbfHead, KnnHead, RidgeHead)
}
"""The estimator of each kind."""
