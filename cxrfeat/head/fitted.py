"""The only place that knows how a fitted head predicts: from arrays, with NumPy alone, whatever trained it.

A head is stored as an `.npz` of plain arrays beside a few JSON values; nothing is unpickled, and every array's name,
dtype, shape and finiteness is checked before it is used.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import InputError, IntegrityError, StaleFeaturesError
from cxrfeat.metric.calibrate import softmax
from cxrfeat.spec import HEAD_KINDS, HeadKind
from cxrfeat.types import Labels, Probabilities

Decision = NDArray[np.float64]
"""`(n, classes)`: logits of a network or a logistic regression, votes and margins of an SVM, log shares of votes among
neighbours, scores of a ridge; the largest wins."""

Decide = Callable[[NDArray[np.float64]], Decision]
"""Decision values of standardised features."""

Arrays = Mapping[str, NDArray[Any]]

_BLOCK = 2**22
"""Largest `rows * columns` of an intermediate matrix; 32 MB of float64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A classifier as arrays, checked when it is made.

    Arrays, with `pairs` the one-against-one problems `(0, 1), (0, 2), ..., (1, 2), ...` of an SVM, of which each gives
    one margin (positive for the first class; with two classes, as in scikit-learn, positive for the second):

    - every kind: `mean` and `scale`, `(dim,)` float64, features less `mean` over `scale`; both or, for networks,
      neither.
    - `softmax`, `dense`, `dropout`: `weights_0` `(dim, units)` and `bias_0` `(units,)`, then `_1`, ..., float32, with a
      ReLU between layers: one layer in `softmax`, two to nine in the others.
    - `logreg`: `coef` `(classes, dim)`, or `(1, dim)` for two classes, and `intercept`, float64.
    - `svm-linear`: `coef` `(pairs, dim)` and `intercept` `(pairs,)`, float64.
    - `svm-rbf`: `support_vectors` `(n, dim)` float32, as they were before `mean` and `scale`, sorted by class;
      `n_support` `(classes,)` int64; `dual_coef` `(classes - 1, n)`, `intercept` `(pairs,)` and `gamma` `()`, float64.
    - `knn`: `rows` `(n, dim)` float32, as they were before `mean` and `scale`, with their class indices `labels` `(n,)`
      int64, each class at least once; `neighbours` `()` int64, from 1 to n.
    - `ridge`: `coef` `(classes, dim)` and `intercept` `(classes,)`, float64.

    Example:
        >>> arrays = {"weights_0": np.eye(2, dtype=np.float32), "bias_0": np.zeros(2, np.float32)}
        >>> head = FittedHead(kind="softmax", classes=("COVID", "NORMAL"), arrays=arrays)
        >>> head.predict(np.array([[0.0, 3.0], [1.0, 1.0]])).tolist()
        [1, 0]
    """

    kind: HeadKind
    classes: tuple[str, ...]
    """Class names, in the order of the columns."""
    arrays: Arrays
    temperature: float = 1.0
    """What decision values are divided by before the softmax; changes no predicted class."""

    def __post_init__(self) -> None:
        """Refuse arrays that are not those of this kind.

        Raises:
            IntegrityError: Naming the array and what is wrong with it.
        """
        if self.kind not in HEAD_KINDS:
            raise _damaged(f"its kind is {self.kind!r}, not one of {', '.join(HEAD_KINDS)}")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise _damaged(f"its classes are {list(self.classes)}, not two or more different names")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise _damaged(f"its temperature is {self.temperature!r}, not a positive number")
        _check(self.kind, len(self.classes), self.arrays)
        # One memory order, so that a stored and reloaded head gives the same bits.
        object.__setattr__(self, "arrays", {name: np.asarray(array, order="C") for name, array in self.arrays.items()})

    @property
    def dim(self) -> int:
        """Width of the features that this head takes."""
        return _dim(self.kind, self.arrays)

    def decision(self, X: NDArray[np.floating]) -> Decision:
        """Decision values `(n, classes)` of features `(n, dim)`, computed in float64, in blocks of bounded size.

        For two classes the columns of all kinds but the networks and `knn` are opposite. The SVMs give scikit-learn's
        `decision_function_shape="ovr"`: votes of the pairs, ties between them broken by the margins. `knn` gives the
        logarithm of `(votes + 1) / (neighbours + classes)`, so that its softmax is that share; distances are Euclidean
        between standardised features, and of rows equally far the first in `rows` vote. `ridge` gives scores about -1
        and 1, one class against the rest.

        Raises:
            StaleFeaturesError: If the features are of another width.
            InputError: If a row holds NaN or infinity.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.dim:
            shown = X.shape[1] if X.ndim == 2 else f"shape {X.shape}"
            raise StaleFeaturesError(
                f"This head was fitted on features of width {self.dim}; these have {shown}. Use features of the "
                f"backbone it was fitted on, or run `cxrfeat fit-head` on these."
            )
        check_finite(X, "features")
        widest = max(max(array.shape, default=1) for array in self.arrays.values())
        blocks = max(1, math.ceil(len(X) * widest / _BLOCK))
        decide = _DECISIONS[self.kind](self.arrays)
        return np.concatenate([decide(_standardized(part, self.arrays)) for part in np.array_split(X, blocks)])

    def predict_proba(self, X: NDArray[np.floating]) -> Probabilities:
        """Probabilities `(n, classes)`: the softmax of the decision values over the temperature."""
        return softmax(self.decision(X) / self.temperature)

    def predict(self, X: NDArray[np.floating]) -> Labels:
        """Class indices `(n,)`: the largest decision value, the first of them on ties."""
        indices: Labels = self.decision(X).argmax(1).astype(np.int64)
        return indices

    def meta(self) -> dict[str, Any]:
        """What `from_npz` needs beside the arrays, ready for JSON."""
        return {
            "kind": self.kind,
            "classes": list(self.classes),
            "dim": self.dim,
            "temperature": self.temperature,
            "arrays": sorted(self.arrays),
        }

    def to_npz(self) -> bytes:
        """The arrays as the content of an uncompressed `.npz` file."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **dict(self.arrays))
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, content: bytes, meta: Mapping[str, Any]) -> FittedHead:
        """The head that `to_npz` and `meta` wrote.

        Args:
            content: Bytes of the `.npz` file.
            meta: The JSON values.

        Raises:
            IntegrityError: If either is damaged, holds anything but plain numbers, or does not fit the other.
        """
        try:
            kind, classes, dim = meta["kind"], meta["classes"], meta["dim"]
            names, temperature = meta["arrays"], meta["temperature"]
        except (KeyError, TypeError) as error:
            raise _damaged(f"its description lacks {error}") from error
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise _damaged(f"its classes are {classes!r}, not a list of names")
        if isinstance(temperature, bool) or not isinstance(temperature, int | float):
            raise _damaged(f"its temperature is {temperature!r}, not a number")
        arrays = _read_npz(content)
        if names != sorted(arrays):
            raise _damaged(f"it holds {sorted(arrays)}, and its description says {names}")
        head = cls(kind=kind, classes=tuple(classes), arrays=arrays, temperature=float(temperature))
        if head.dim != dim:
            raise _damaged(f"its arrays take features of width {head.dim}, and its description says {dim}")
        return head


def check_finite(X: NDArray[np.floating], what: str) -> None:
    """Refuse features that hold NaN or infinity.

    Args:
        X: `(n, ..., dim)` features.
        what: What to call them, in the plural.

    Raises:
        InputError: Naming how many rows do, and the first.
    """
    finite = np.isfinite(X).reshape(len(X), math.prod(X.shape[1:])).all(1)
    if not finite.all():
        raise InputError(
            f"{np.count_nonzero(~finite)} of {len(X)} rows of the {what} hold NaN or infinity (the first is row "
            f"{np.argmin(finite)}). Run `cxrfeat verify` on the feature file, then `cxrfeat extract` again."
        )


def _standardized(X: NDArray[np.floating], arrays: Arrays) -> NDArray[np.float64]:
    wide = X.astype(np.float64)
    if "mean" in arrays:
        wide -= arrays["mean"]
        wide /= arrays["scale"]
    return wide


def _network(arrays: Arrays) -> Decide:
    count = sum(name.startswith("weights_") for name in arrays)
    layers = [(arrays[f"weights_{i}"].astype(np.float64), arrays[f"bias_{i}"].astype(np.float64)) for i in range(count)]

    def decide(X: NDArray[np.float64]) -> Decision:
        for weights, bias in layers[:-1]:
            X = np.maximum(X @ weights + bias, 0)
        weights, bias = layers[-1]
        return X @ weights + bias

    return decide


def _linear(arrays: Arrays) -> Decide:
    def decide(X: NDArray[np.float64]) -> Decision:
        z: Decision = X @ arrays["coef"].T + arrays["intercept"]
        return np.hstack([-z / 2, z / 2]) if z.shape[1] == 1 else z  # half each: their softmax is the sigmoid of z

    return decide


def _neighbours(arrays: Arrays) -> Decide:
    rows, labels, k = _standardized(arrays["rows"], arrays), arrays["labels"], int(arrays["neighbours"])
    classes = int(labels.max()) + 1
    lengths = np.square(rows).sum(1)
    rounding = 4 * (rows.shape[1] + 8) * np.finfo(np.float64).eps

    def decide(X: NDArray[np.float64]) -> Decision:
        # One matrix product finds who may be near. It rounds differently in other blocks and on other processors, so
        # all that rounding could have brought among the nearest are measured again, row by row, and ties stay ties.
        squares = np.square(X).sum(1)
        distance = _squared_distances(X, squares, rows, lengths)
        limit = np.partition(distance, k - 1, axis=1)[:, k - 1] + rounding * (squares + lengths.max())
        votes = np.zeros((len(X), classes), np.int64)
        for index, x in enumerate(X):
            near = np.flatnonzero(distance[index] <= limit[index])
            nearest = near[np.argsort(np.square(rows[near] - x).sum(1), kind="stable")[:k]]
            votes[index] = np.bincount(labels[nearest], minlength=classes)
        return np.log((votes + 1) / (k + classes))

    return decide


def _squared_distances(
    X: NDArray[np.float64], squares: NDArray[np.float64], rows: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`(len(X), len(rows))` from one matrix product: |x - s|^2 = |x|^2 + |s|^2 - 2 x.s, never below zero."""
    distance: NDArray[np.float64] = X @ rows.T
    distance *= -2
    distance += squares[:, None]
    distance += lengths
    np.maximum(distance, 0, out=distance)
    return distance


def _svm_linear(arrays: Arrays) -> Decide:
    return lambda X: _votes(X @ arrays["coef"].T + arrays["intercept"])


def _svm_rbf(arrays: Arrays) -> Decide:
    support = _standardized(arrays["support_vectors"], arrays)
    lengths = np.square(support).sum(1)
    weights = pair_weights(arrays["dual_coef"], arrays["n_support"])

    def decide(X: NDArray[np.float64]) -> Decision:
        kernel = _squared_distances(X, np.square(X).sum(1), support, lengths)
        kernel *= -arrays["gamma"]
        np.exp(kernel, out=kernel)
        return _votes(kernel @ weights + arrays["intercept"])

    return decide


def pair_weights(dual_coef: NDArray[np.float64], n_support: NDArray[np.int64]) -> NDArray[np.float64]:
    """`(n, pairs)` weights of the support vectors in each one-against-one problem.

    libsvm keeps, for a support vector of class i, its weight against class j in row j - 1 if j > i, in row j if j < i.
    """
    edges = np.concatenate([[0], np.cumsum(n_support)])
    pairs = _pairs(len(n_support))
    weights = np.zeros((dual_coef.shape[1], len(pairs)))
    for column, (i, j) in enumerate(pairs):
        weights[edges[i] : edges[i + 1], column] = dual_coef[j - 1, edges[i] : edges[i + 1]]
        weights[edges[j] : edges[j + 1], column] = dual_coef[i, edges[j] : edges[j + 1]]
    return weights


def _votes(margins: NDArray[np.float64]) -> Decision:
    """One value per class from one margin per pair: votes won, plus the sum of margins squeezed into (-1/3, 1/3).

    Source: scikit-learn's `_ovr_decision_function`. With two classes, the margin itself and its opposite.
    """
    if margins.shape[1] == 1:
        return np.hstack([-margins, margins])
    classes = next(count for count in range(3, margins.shape[1] + 2) if len(_pairs(count)) == margins.shape[1])
    votes, confidence = np.zeros((len(margins), classes)), np.zeros((len(margins), classes))
    for column, (i, j) in enumerate(_pairs(classes)):
        margin = margins[:, column]
        confidence[:, i] += margin
        confidence[:, j] -= margin
        votes[:, i] += margin >= 0
        votes[:, j] += margin < 0
    return np.asarray(votes + confidence / (3 * (np.abs(confidence) + 1)))


def _pairs(classes: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(classes) for j in range(i + 1, classes)]


_DECISIONS: dict[HeadKind, Callable[[Arrays], Decide]] = {
    "softmax": _network,
    "dense": _network,
    "dropout": _network,
    "logreg": _linear,
    "svm-linear": _svm_linear,
    "svm-rbf": _svm_rbf,
    "knn": _neighbours,
    "ridge": _linear,
}

_LAYERS: dict[HeadKind, tuple[int, int]] = {"softmax": (1, 1), "dense": (2, 9), "dropout": (2, 9)}
"""Fewest and most layers of a network, the last one included."""

Layout = dict[str, tuple[type[np.generic], tuple[int, ...]]]
"""For each array its dtype and shape."""


def _dim(kind: HeadKind, arrays: Arrays) -> int:
    if kind in _LAYERS:
        return int(arrays["weights_0"].shape[0])
    return int(arrays["mean"].shape[0])


def _expected(kind: HeadKind, classes: int, arrays: Arrays) -> Layout:
    """Names, dtypes and shapes that the arrays must have; sizes left free are read off the arrays themselves.

    Raises:
        IntegrityError: If it is a network of more or fewer layers than its kind has.
        KeyError: If an array that sets a size is missing.
        IndexError: If it has too few axes.
    """
    dim, pairs = _dim(kind, arrays), len(_pairs(classes))
    scaler: Layout = {"mean": (np.float64, (dim,)), "scale": (np.float64, (dim,))}
    if kind in _LAYERS:
        layers, (fewest, most) = sum(name.startswith("weights_") for name in arrays), _LAYERS[kind]
        if not fewest <= layers <= most:
            raise _damaged(f"it has {layers} layers, and a {kind} head has {fewest} to {most}")
        sizes = [dim, *(arrays[f"bias_{index}"].shape[0] for index in range(layers - 1)), classes]
        layout: Layout = {} if "mean" not in arrays and "scale" not in arrays else scaler
        for index, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
            layout |= {f"weights_{index}": (np.float32, (wide, narrow)), f"bias_{index}": (np.float32, (narrow,))}
        return layout
    if kind == "svm-rbf":
        support = arrays["support_vectors"].shape[0]
        return scaler | {
            "support_vectors": (np.float32, (support, dim)),
            "n_support": (np.int64, (classes,)),
            "dual_coef": (np.float64, (classes - 1, support)),
            "intercept": (np.float64, (pairs,)),
            "gamma": (np.float64, ()),
        }
    if kind == "knn":
        count = arrays["rows"].shape[0]
        return scaler | {
            "rows": (np.float32, (count, dim)),
            "labels": (np.int64, (count,)),
            "neighbours": (np.int64, ()),
        }
    rows = pairs if kind == "svm-linear" or (kind == "logreg" and classes == 2) else classes
    return scaler | {"coef": (np.float64, (rows, dim)), "intercept": (np.float64, (rows,))}


def _check(kind: HeadKind, classes: int, arrays: Arrays) -> None:
    try:
        expected = _expected(kind, classes, arrays)
    except KeyError as error:
        raise _damaged(f"the array {error} is missing") from error
    except IndexError as error:
        raise _damaged("an array is a single number where a matrix belongs") from error
    if set(arrays) != set(expected):
        raise _damaged(f"it holds the arrays {sorted(arrays)}, and a {kind} head has {sorted(expected)}")
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise _damaged(f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
        if not np.isfinite(array).all():
            raise _damaged(f"{name} holds NaN or infinity")
    for name in ("scale", "gamma"):
        if name in arrays and not (arrays[name] > 0).all():
            raise _damaged(f"{name} holds values that are not above 0")
    if kind == "svm-rbf":
        n_support = arrays["n_support"]
        if (n_support < 0).any() or n_support.sum() != len(arrays["support_vectors"]):
            raise _damaged("n_support does not count the support vectors")
    if kind == "knn":
        labels, neighbours = arrays["labels"], int(arrays["neighbours"])
        if not 1 <= neighbours <= len(labels):
            raise _damaged(f"{neighbours} neighbours of {len(labels)} rows vote")
        if labels.min() < 0 or labels.max() >= classes or not np.bincount(labels, minlength=classes).all():
            raise _damaged(f"labels does not hold the indices of {classes} classes")


def _read_npz(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an uncompressed `.npz`; together they take no more memory than `content`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise _damaged("its arrays are compressed")
            if sum(entry.file_size for entry in entries) > len(content):
                raise _damaged("its arrays are larger than the file")
            return {
                entry.filename.removesuffix(".npy"): _read_npy(entry.filename, archive.read(entry)) for entry in entries
            }
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _damaged(f"it is no readable .npz ({error})") from error


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.."  # version 1.0, then the header's length
    rb"\{'descr': '<(f4|f8|i8)', 'fortran_order': False, 'shape': \(((?:[0-9]{1,12},? ?)*)\), \} *\n",
    re.DOTALL,
)
"""The header as NumPy writes it for the arrays of a head. Anything else (objects, that is pickle, above all) is refused
before NumPy's own parser sees it."""


def _read_npy(name: str, content: bytes) -> NDArray[Any]:
    header = _HEADER.match(content)
    if header is None:
        raise _damaged(f"{name} is not a plain array of float32, float64 or int64")
    shape = [int(size) for size in header[2].replace(b",", b" ").split()]
    if header.end() + math.prod(shape) * int(header[1][1:]) != len(content):
        raise _damaged(f"{name} says its shape is {tuple(shape)}, which is not as long as its data")
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(f"This head is damaged or was not written by cxrfeat: {why}. Fit it again.")
