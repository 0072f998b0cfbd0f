"""How well two sets of images can be told apart by their features: whether a model meets there what it has learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.head.regularization_path import ridge_path
from cxrfeat.head.sklearn_head import STRENGTH
from cxrfeat.head.training_set import TrainingSet
from cxrfeat.image.deal import deal
from cxrfeat.metric.auroc import auroc_over_groups
from cxrfeat.metric.least import LEAST_GROUPS
from cxrfeat.types import Features, Groups

FOLDS = 5
MOST = 1000
"""Images of each set that are looked at; more, drawn by groups, change little and take long."""


def told_apart(
    ours: Features, our_groups: Groups, theirs: Features, their_groups: Groups, seed: int = 0
) -> dict[str, Any]:
    """The chance that a classifier of the two sets, which saw neither's patient, ranks an image of theirs higher.

    It is 0.5 where they look alike to the network, and 1 where every image shows where it is from: then nothing that
    the model does there follows from what it did at home, whether or not single images seem odd.

    Args:
        ours: `(n, dim)` features of one class of the one set.
        our_groups: `(n,)` group indices.
        theirs: `(m, dim)`, of the same class of the other.
        their_groups: `(m,)`; a number that is in both is of two groups.
        seed: Of the draws and the folds.

    Returns:
        `auroc`, `auroc_ci`, and the `images` of each that were looked at; without figures where one of the two has
        fewer than 8 groups.

    Source: the domain classifier of Ben-David et al. 2010, "A theory of learning from different domains", section 5:
    by ridge regression in grouped folds.
    """
    rng = np.random.default_rng([seed, 2])
    chosen = [_some(groups, rng) for groups in (our_groups, their_groups)]
    X = np.concatenate([ours[chosen[0]], theirs[chosen[1]]])
    side = np.repeat([0, 1], [len(rows) for rows in chosen])
    named = np.stack([side, np.concatenate([our_groups[chosen[0]], their_groups[chosen[1]]])])
    groups = np.unique(named, axis=1, return_inverse=True)[1].ravel().astype(np.int64)
    images = [len(rows) for rows in chosen]
    if min(len(np.unique(groups[side == one])) for one in (0, 1)) < LEAST_GROUPS:
        return {"auroc": None, "auroc_ci": None, "images": images}
    fold = deal(side, groups, FOLDS, [seed, 3])
    said = np.empty(len(side))
    for one in range(FOLDS):
        rest, held = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        training = TrainingSet(X[rest][:, None], side[rest], X[:0], side[:0], ("ours", "theirs"))
        (head,) = ridge_path(training, [STRENGTH["ridge"]])
        decision = head.decision(X[held])
        # By rank within the fold: each has a classifier of its own, whose scale is nobody else's.
        said[held] = _ranks(decision[:, 1] - decision[:, 0])
    return auroc_over_groups(side == 1, said, groups, seed=seed) | {"images": images}


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1, equal ones alike."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(values))


def _some(groups: Groups, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows of whole groups, drawn, up to `MOST`; all where they are no more."""
    if len(groups) <= MOST:
        return np.arange(len(groups))
    names, number = np.unique(groups, return_inverse=True)
    rank = rng.permutation(len(names))[number]
    return np.sort(np.argsort(rank, kind="stable")[:MOST])
