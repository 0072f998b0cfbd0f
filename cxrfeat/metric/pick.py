"""The only place that knows which images are worth labelling next, by what a head says of them or by where they lie.

Images of one group teach much the same, so a group gives one image until every group that is left has given one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.types import Features, Groups, Probabilities

Rows = NDArray[np.intp]

_NEIGHBOURS = 20
"""Of a typicality, as in its source."""
_MOST_CLUSTERS = 500
_MANY = 20_000
"""Images from which on clusters are found by parts of them."""


def by_margin(probabilities: Probabilities, groups: Groups, pool: Rows, count: int) -> tuple[Rows, NDArray[np.float64]]:
    """The images between whose two likeliest classes a head decides most narrowly.

    Args:
        probabilities: `(images, classes)`; only those of the pool count.
        groups: `(images,)`.
        pool: Rows of the images that can be chosen.
        count: How many to choose.

    Returns:
        Rows, the first choice first, and the margin of each, 0 to 1.

    Source: Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models for information extraction".

    Example:
        >>> p = np.array([[0.9, 0.1], [0.55, 0.45], [0.52, 0.48]])
        >>> by_margin(p, np.array([0, 1, 1]), np.arange(3), 2)[0].tolist()
        [2, 0]
    """
    two = np.sort(probabilities[pool], axis=1)[:, -2:]
    margin = two[:, 1] - two[:, 0]
    order = np.lexsort((pool, margin))
    chosen = _one_of_each_first(pool[order], groups)[:count]
    value = dict(zip(pool.tolist(), margin.tolist(), strict=True))
    return chosen, np.array([value[row] for row in chosen.tolist()])


def diverse(unit: Features, groups: Groups, pool: Rows, labelled: Rows, count: int) -> tuple[Rows, NDArray[np.float64]]:
    """Images each as far as can be from all that are labelled or chosen before it.

    Args:
        unit: `(images, dim)` rows of length 1.
        groups: `(images,)`.
        pool: Rows of the images that can be chosen.
        labelled: Rows of those that have labels; where there are none, the image nearest to the mean is the first.
        count: How many to choose.

    Returns:
        Rows, the first choice first, and how far each was from the nearest, 0 to 2.

    Source: Sener & Savarese 2018, "Active learning for convolutional neural networks: a core-set approach",
    algorithm 1 (greedy k-centre).
    """
    rows = unit[pool]
    far = np.full(len(pool), 2.0)
    for start in range(0, len(labelled), 256):
        far = np.minimum(far, _distance((rows @ unit[labelled[start : start + 256]].T).max(1)))
    free = _Free(groups[pool], groups[labelled])
    chosen: list[int] = []
    values: list[float] = []
    while len(chosen) < min(count, len(pool)):
        if not chosen and not len(labelled):
            at = int(np.argmax(np.where(free.now, rows @ rows.mean(0), -np.inf)))
        else:
            at = int(np.argmax(np.where(free.now, far, -np.inf)))
        chosen.append(at)
        values.append(float(far[at]))
        free.take(at)
        far = np.minimum(far, _distance(rows @ rows[at]))
    return pool[chosen], np.array(values)


def typical(
    unit: Features, groups: Groups, pool: Rows, labelled: Rows, count: int, *, seed: int = 0
) -> tuple[Rows, NDArray[np.float64]]:
    """The most typical image of each of the largest clusters that hold the fewest labelled images.

    Args:
        unit: `(images, dim)` rows of length 1.
        groups: `(images,)`.
        pool: Rows of the images that can be chosen.
        labelled: Rows of those that have labels.
        count: How many to choose.
        seed: Seed of the clusters.

    Returns:
        Rows, the first choice first, and the typicality of each: 1 over the mean distance to its 20 nearest neighbours
        in the cluster.

    Source: Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite strategies suit high and low
    budgets", section 3 (TypiClust).
    """
    rows = np.concatenate([pool, labelled])
    cluster = _clusters(unit[rows], min(count + len(labelled), _MOST_CLUSTERS, len(rows)), seed)
    free = _Free(groups[pool], groups[labelled])
    covered = np.bincount(cluster[len(pool) :], minlength=cluster.max() + 1)
    size = np.bincount(cluster, minlength=len(covered))
    typicality = np.zeros(len(pool))
    for number in range(len(covered)):
        inside = np.flatnonzero(cluster == number)
        own = inside[inside < len(pool)]
        for some in np.array_split(own, max(1, len(own) * len(inside) // 2**24)):
            near = np.sort(_distance(unit[rows[some]] @ unit[rows[inside]].T), axis=1)[:, 1 : _NEIGHBOURS + 1]
            typicality[some] = 1 / (near.mean(1) + 1e-6) if near.shape[1] else 0.0
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool)):
        open_ = np.bincount(cluster[: len(pool)][free.now], minlength=len(covered)) > 0
        number = int(np.lexsort((-size, covered, ~open_))[0])
        at = int(np.argmax(np.where(free.now & (cluster[: len(pool)] == number), typicality, -np.inf)))
        chosen.append(at)
        covered[number] += 1
        free.take(at)
    return pool[chosen], typicality[chosen]


class _Free:
    """Which images of a pool can be chosen now: those whose group gave none, then all that are left."""

    def __init__(self, groups: Groups, given: Groups) -> None:
        self._groups = groups
        self._left = np.ones(len(groups), bool)
        self._fresh = ~np.isin(groups, given)
        self.now = self._left & self._fresh if self._fresh.any() else self._left.copy()

    def take(self, at: int) -> None:
        self._left[at] = False
        self._fresh &= self._groups != self._groups[at]
        now = self._left & self._fresh
        if not now.any():
            self._fresh = self._left.copy()  # another round
            now = self._left.copy()
        self.now = now


def _one_of_each_first(rows: Rows, groups: Groups) -> Rows:
    """Rows in their order, but the second of a group after the first of all, and so on."""
    seen: dict[int, int] = {}
    turn = []
    for group in groups[rows].tolist():
        turn.append(seen.get(group, 0))
        seen[group] = turn[-1] + 1
    return rows[np.argsort(turn, kind="stable")]


def _distance(cosine: NDArray[np.floating]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.sqrt(np.maximum(2 - 2 * cosine.astype(np.float64), 0))
    return distance


def _clusters(unit: Features, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans, MiniBatchKMeans

    kind = MiniBatchKMeans if len(unit) > _MANY else KMeans
    found: NDArray[np.int64] = kind(count, n_init=1, random_state=seed).fit_predict(unit).astype(np.int64)
    return found
