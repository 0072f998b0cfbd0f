"""Torn groups: how many a split has, and repairing it: each moves whole to one side, and parts stay about as large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.split import NO_PART, Parts
from cxrfeat.types import Groups, Labels, Part

_Rows = NDArray[np.int64]
_PARTS = tuple(Part)
_NOWHERE = -1  # the place of an image in no part; the last of `_NAMES`
_NAMES = np.array([*(part.value for part in _PARTS), NO_PART])


def torn(parts: Parts, groups: Groups) -> int:
    """How many groups lie in more than one part, and so leak from one to another; an image in no part leaks nowhere."""
    inside = parts != NO_PART
    pairs = np.unique(np.stack([groups[inside], _places(parts[inside])]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def regroup(parts: Parts, groups: Groups, labels: Labels) -> Parts:
    """Move every torn group whole to one of the parts it lies in, so that each part stays about as large as it was.

    Each goes to the part that has most of its images, of equal ones to the test part, and then to another one if that
    brings the sizes nearer to what they were, those first by which most is gained, until none would move. How far they
    are is the sum over parts, and over each class and all of them together, of `(images - before)^2 / before`, of the
    test part twice, and a hundredth for each image moved. Where a class would still have lost its last image of a part,
    the torn group that loses least by it goes there instead, if one can. Groups that are whole stay where they are, and
    so do images in no part.

    Args:
        parts: `(n,)`, of a split that tears groups.
        groups: `(n,)`.
        labels: `(n,)` class indices.

    Returns:
        `(n,)`: a split that tears none. Whether every class is in every part, `check_parts` tells.
    """
    places = _places(parts)
    moved = places.copy()
    rent = _rent(places, groups)
    inside = places != _NOWHERE
    torn_rows = np.concatenate([*rent, np.arange(0)])
    numbers = np.repeat(np.arange(len(rent)), [len(rows) for rows in rent])
    content = np.zeros((len(rent), len(_PARTS), int(labels.max(initial=0)) + 1))
    np.add.at(content, (numbers, places[torn_rows], labels[torn_rows]), 1)
    before = np.zeros(content.shape[1:])
    np.add.at(before, (places[inside], labels[inside]), 1)
    moved[torn_rows] = _homes(content, before)[numbers]
    for part in range(len(_PARTS)):
        for label in np.setdiff1d(labels[places == part], labels[moved == part]).tolist():
            able = [rows for rows in rent if np.any((labels[rows] == label) & (places[rows] == part))]
            for rows in sorted(able, key=lambda rows: int((places[rows] != part).sum())):
                trial = moved.copy()
                trial[rows] = part
                if _pairs(labels[inside], trial[inside]) > _pairs(labels[inside], moved[inside]):
                    moved = trial
                    break
    return _NAMES[moved]


def _pairs(labels: Labels, places: _Rows) -> int:
    return len(np.unique(labels * len(_PARTS) + places))


def _places(parts: Parts) -> _Rows:
    names, place = np.unique(parts, return_inverse=True)
    return np.array([_NOWHERE if one == NO_PART else _PARTS.index(Part(one)) for one in names.tolist()], np.int64)[
        place
    ]


_WEIGHTS = {Part.TRAIN: 1.0, Part.VALIDATION: 1.0, Part.TEST: 2.0}
_MOVED = 0.01  # for an image: of ways that keep the sizes alike, the one that moves fewer; see `regroup`
_ROUNDS = 20  # each brings the sum down; a handful has been enough


def _rent(places: _Rows, groups: Groups) -> list[_Rows]:
    """The rows of each torn group that are in a part, in the order of the group indices."""
    rows = np.flatnonzero(places != _NOWHERE)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[rows])) + 1
    return [one for one in np.split(rows, starts) if len(np.unique(places[one])) > 1]


def _homes(content: NDArray[np.float64], before: NDArray[np.float64]) -> _Rows:
    """The part that each torn group goes to; see `regroup`.

    Args:
        content: `(groups, parts, classes)` images.
        before: `(parts, classes)` images of all, torn or not.
    """
    lies = content.sum(axis=2)
    content, before = (np.concatenate([one, one.sum(axis=-1, keepdims=True)], axis=-1) for one in (content, before))
    weight = np.array([_WEIGHTS[part] for part in _PARTS])[:, None] / np.maximum(before, 1.0)
    whole = content.sum(axis=1, keepdims=True)
    costs = np.where(lies > 0, _MOVED * (lies.sum(axis=1, keepdims=True) - lies), np.inf)
    # Of equal ones the test part first, which is the least.
    homes: _Rows = len(_PARTS) - 1 - lies[:, ::-1].argmax(axis=1)
    excess = -content.sum(axis=0)  # of what each part has above what it had
    np.add.at(excess, homes, whole[:, 0])

    def sums(some: _Rows) -> NDArray[np.float64]:
        """How the sum grows with each group in each part; rounded, to be the same on every machine."""
        others = np.repeat(excess[None], len(some), axis=0)
        others[np.arange(len(some)), homes[some]] -= whole[some, 0]
        grown: NDArray[np.float64] = (weight * whole[some] * (2 * others + whole[some])).sum(axis=2) + costs[some]
        return grown.round(9)

    order = np.argsort(-whole[:, 0, -1], kind="stable")
    for _ in range(_ROUNDS):
        told = sums(order)
        gain = told[np.arange(len(order)), homes[order]] - told.min(axis=1)
        wanting = order[np.argsort(-gain, kind="stable")][: np.count_nonzero(gain)]
        if not len(wanting):
            break
        for group in wanting:
            (told,) = sums(group[None])
            if told.min() < told[homes[group]]:
                excess[homes[group]] -= whole[group, 0]
                homes[group] = told.argmin()
                excess[homes[group]] += whole[group, 0]
    return homes
