"""The only place that fits a head to a number."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import UsageError
from cxrfeat.head.choose import HeadLike, head_specs
from cxrfeat.head.network_head import train_number
from cxrfeat.head.number import NUMBER_KINDS, FittedNumber
from cxrfeat.head.ridge_targets import fit_ridge_targets
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.run.table import History
from cxrfeat.spec import HeadSpec
from cxrfeat.types import Counted, Features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberFit:
    """A fitted head, and how it came to be."""

    head: FittedNumber
    history: History
    """The epochs of a network."""
    seconds: float


def number_specs(target: str, heads: HeadLike | list[HeadLike], seed: int) -> list[HeadSpec]:
    """The heads that are meant, each able to tell a number.

    Raises:
        UsageError: If there is no such head, or it cannot.
    """
    specs = head_specs(heads, seed)
    if others := [spec.kind for spec in specs if spec.kind not in NUMBER_KINDS]:
        raise UsageError(
            f"{target!r} is a number, which {', '.join(NUMBER_KINDS)} can predict and {others[0]} cannot: name "
            "one of these with `kind`."
        )
    return specs


def fit_to_number(
    spec: HeadSpec,
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    X_val: Features,
    y_val: NDArray[np.float64],
    progress: Counted | None = None,
) -> NumberFit:
    """Fit one head to a number.

    Args:
        spec: A kind of `NUMBER_KINDS`; what it says of classes is of no matter.
        X: `(images, views, dim)`, of which every view that is asked for is a row.
        y: `(images,)`.
        X_val: `(n, dim)`, by which a network stops early, where `patience` is given.
        y_val: `(n,)`.
        progress: Called by networks after each epoch.

    Raises:
        DivergedError: If training does.
        UsageError: If more views are asked for than there are.

    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 1, 3)).astype(np.float32)
        >>> fit = fit_to_number(HeadSpec(kind="ridge", strength=1e6), X, X[:, 0, 1] * 2.0, X[:0, 0], np.zeros(0))
        >>> bool(np.allclose(fit.head.predict(X[:, 0]), X[:, 0, 1] * 2, atol=1e-3))
        True
    """
    views = X.shape[1] if spec.views is None else spec.views
    if views > X.shape[1]:
        raise UsageError(f"`views={views}` of each image were asked for; the features hold {X.shape[1]}.")
    start, history = time.perf_counter(), History()
    if spec.kind == "ridge":
        head = fit_ridge_targets(X[:, :views], [y], spec.strength or STRENGTH["ridge"]).number(0)
    else:
        head, history = train_number(spec, X[:, :views], y, X_val, y_val, progress)
    return NumberFit(head=head, history=history, seconds=time.perf_counter() - start)
