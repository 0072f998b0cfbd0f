"""Which arrays a head of each kind consists of: their names, dtypes, shapes and what their numbers must be.

With `pairs` the one-against-one problems `(0, 1), (0, 2), ..., (1, 2), ...` of an SVM, of which each gives
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
"""

from __future__ import annotations

import itertools

import numpy as np

from cxrfeat.errors import IntegrityError
from cxrfeat.head.decision import Arrays, pairs_of
from cxrfeat.spec import HeadKind

_LAYERS: dict[HeadKind, tuple[int, int]] = {"softmax": (1, 1), "dense": (2, 9), "dropout": (2, 9)}
"""Fewest and most layers of a network, the last one included."""

Layout = dict[str, tuple[type[np.generic], tuple[int, ...]]]
"""For each array its dtype and shape."""


def dim_of(kind: HeadKind, arrays: Arrays) -> int:
    """Width of the features that a head of these arrays takes."""
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
    dim, pairs = dim_of(kind, arrays), len(pairs_of(classes))
    scaler: Layout = {"mean": (np.float64, (dim,)), "scale": (np.float64, (dim,))}
    if kind in _LAYERS:
        layers, (fewest, most) = sum(name.startswith("weights_") for name in arrays), _LAYERS[kind]
        if not fewest <= layers <= most:
            raise damaged(f"it has {layers} layers, and a {kind} head has {fewest} to {most}")
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


def check_arrays(kind: HeadKind, classes: int, arrays: Arrays) -> None:
    """Refuse arrays that are not those of a head of this kind and of this many classes.

    Raises:
        IntegrityError: Naming the array and what is wrong with it.
    """
    try:
        expected = _expected(kind, classes, arrays)
    except KeyError as error:
        raise damaged(f"the array {error} is missing") from error
    except IndexError as error:
        raise damaged("an array is a single number where a matrix belongs") from error
    if set(arrays) != set(expected):
        raise damaged(f"it holds the arrays {sorted(arrays)}, and a {kind} head has {sorted(expected)}")
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise damaged(f"{name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
        if not np.isfinite(array).all():
            raise damaged(f"{name} holds NaN or infinity")
    for name in ("scale", "gamma"):
        if name in arrays and not (arrays[name] > 0).all():
            raise damaged(f"{name} holds values that are not above 0")
    if kind == "svm-rbf":
        n_support = arrays["n_support"]
        if (n_support < 0).any() or n_support.sum() != len(arrays["support_vectors"]):
            raise damaged("n_support does not count the support vectors")
    if kind == "knn":
        labels, neighbours = arrays["labels"], int(arrays["neighbours"])
        if not 1 <= neighbours <= len(labels):
            raise damaged(f"{neighbours} neighbours of {len(labels)} rows vote")
        if labels.min() < 0 or labels.max() >= classes or not np.bincount(labels, minlength=classes).all():
            raise damaged(f"labels does not hold the indices of {classes} classes")


def damaged(why: str) -> IntegrityError:
    """The error for a head that is not what it should be, and why."""
    return IntegrityError(f"This head is damaged or was not written by cxrfeat: {why}. Fit it again.")
