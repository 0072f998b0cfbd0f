"""The head that a network's training begins with: one from stage two, made a network of layers, or one drawn anew."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np

from cxrfeat.errors import StaleFeaturesError, UsageError
from cxrfeat.head.fitted import FittedHead
from cxrfeat.head.network_head import first_weights
from cxrfeat.run.folder import Run
from cxrfeat.spec import TRAINED_KINDS, HeadKind, HeadSpec, LinearKind

LINEAR: tuple[LinearKind, ...] = get_args(LinearKind)


def check_warm(kind: HeadKind) -> None:
    """Refuse a head that gradients cannot train, before anything is computed.

    Raises:
        UsageError: If it is one.
    """
    if kind not in (*TRAINED_KINDS, *LINEAR):
        raise UsageError(
            f"A {kind} head has no gradient that a network could be trained through. "
            f"Begin with one of {', '.join((*TRAINED_KINDS, *LINEAR))}: `cxrfeat fit-head` with `head=logreg`."
        )


def warm_head(head: FittedHead, dim: int) -> FittedHead:
    """A fitted head as layers that gradients can train, with the same probabilities to float32.

    The temperature goes into the last layer; the scaler stays before the first one, as it was when the head was fitted.

    Args:
        head: Of stage two.
        dim: Width of the network's features.

    Raises:
        UsageError: If it is a head without a gradient.
        StaleFeaturesError: If it is of another network's features.
    """
    check_warm(head.kind)
    if head.dim != dim:
        raise StaleFeaturesError(
            f"This head was fitted on features of width {head.dim}, and this network gives {dim}: it is a head of "
            "another network. Fit one on this network's features, or omit `head_from`."
        )
    scaler = {name: head.arrays[name] for name in ("mean", "scale") if name in head.arrays}
    if head.kind in LINEAR:
        coef, intercept = head.arrays["coef"], head.arrays["intercept"]
        if len(coef) == 1:  # two classes share one row: half of it for, half against
            coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
        layers = {"weights_0": coef.T, "bias_0": intercept}
        kind: HeadKind = TRAINED_KINDS[0]
    else:
        layers = {name: array for name, array in head.arrays.items() if name not in scaler}
        kind = head.kind
    last = len(layers) // 2 - 1
    for name in (f"weights_{last}", f"bias_{last}"):
        layers[name] = layers[name] / head.temperature
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in layers.items()}
    return FittedHead(kind=kind, classes=head.classes, arrays={**scaler, **arrays})


def cold_head(spec: HeadSpec, dim: int, classes: tuple[str, ...]) -> FittedHead:
    """A head that knows nothing yet, drawn as stage two draws it."""
    drawn = first_weights(spec, dim, len(classes))
    named = {f"{'bias' if index % 2 else 'weights'}_{index // 2}": array for index, array in enumerate(drawn)}
    return FittedHead(kind=spec.kind, classes=classes, arrays=named)


def with_layers(protocol: HeadSpec, start: FittedHead, run: Run) -> HeadSpec:
    """The protocol with the layers of a warm head, so that the run says what was trained."""
    stored = run.document.identity.head
    hidden = tuple(start.arrays[name].shape[0] for name in sorted(start.arrays) if name.startswith("bias_"))[:-1]
    return replace(
        protocol,
        kind=start.kind,
        hidden=hidden or None,
        dropout=stored.dropout if stored is not None and start.kind == "dropout" else protocol.dropout,
    )
