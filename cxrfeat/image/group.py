"""The only place that decides which images belong together, so that no split may divide them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Event

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.duplicate import find_duplicates
from cxrfeat.image.row import ImageRow, ImageRows
from cxrfeat.types import Groups

Looks = Mapping[str, tuple[NDArray[np.uint8], int]]
"""Portrait and pixel digest, as in `appearance.Look`, by content hash."""


def group(rows: Sequence[ImageRow], also: Iterable[tuple[int, int]] = ()) -> Groups:
    """Join images of one patient, images of the same bytes, and given pairs; transitively.

    An image of an unknown patient is a group of its own, unless a copy of it is there.

    Args:
        rows: The images of one data set; patient names hold within it.
        also: Pairs of row indices that belong together too, such as near-duplicates.

    Returns:
        `(rows,)` group indices from 0, numbered in the order in which they first appear.
    """
    contents, patients = _told(rows)
    known = np.flatnonzero(patients >= 0)
    pairs = np.array(list(also), dtype=np.int64).reshape(-1, 2)
    one = np.concatenate([np.arange(len(contents)), known, pairs[:, 0]])
    other = np.concatenate([_first(contents), known[_first(patients[known])], pairs[:, 1]])
    root = np.arange(len(contents))
    while True:  # each round joins what a pair joins, and lets everybody know the least of its own
        least = np.minimum(root[one], root[other])
        if (root[one] == root[other]).all():
            return np.unique(root, return_inverse=True)[1].astype(np.int64)
        np.minimum.at(root, root[one], least)
        np.minimum.at(root, root[other], least)
        while (root[root] != root).any():
            root = root[root]


def _told(rows: Sequence[ImageRow]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`(rows,)` numbers that stand for contents, and for patients, -1 where one is not known; both ordered as texts."""
    held = rows if isinstance(rows, ImageRows) else ImageRows(rows)
    _, contents = np.unique(held.contents, return_inverse=True)
    codes, names = held.coded("patient")
    number = np.full(len(names), -1, np.int64)
    for rank, place in enumerate(
        sorted((at for at, name in enumerate(names) if name is not None), key=names.__getitem__)
    ):
        number[place] = rank
    return contents.astype(np.int64), number[codes] if len(names) else codes


def _first(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    """Of each number, the place where it stands first."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return first[inverse]


def group_copies(rows: Sequence[ImageRow], looks: Looks, stop: Event | None = None) -> Groups:
    """As `group`, with every copy that the pixels show: the same in another file, and near-duplicates.

    Args:
        rows: The images of one data set.
        looks: Looks of each file among them whose look is known; an image that could not be read is not among them, and
            joins by its patient and its bytes alone.
        stop: As in `find_duplicates`.

    Raises:
        CancelledError: If it was stopped.
    """
    if not looks:
        return group(rows)
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        first.setdefault(row.content_sha256, index)
    portraits, digests = zip(*looks.values(), strict=True)
    pairs = find_duplicates(list(looks), np.stack(portraits), np.array(digests, dtype=np.uint64), stop=stop)
    places = [first[content] for content in looks]
    return group(rows, also=[(places[pair.one], places[pair.other]) for pair in pairs])


def group_keys(rows: Sequence[ImageRow], groups: Groups) -> list[str]:
    """A text that names each group whatever the order of the rows, to be hashed into what is stored.

    It is the first patient of the group in alphabetical order, so that it stays when images of that patient are
    added; without a patient, the smallest content hash.

    Args:
        rows: The images.
        groups: `(rows,)`, as `group` gives it.

    Returns:
        One text per group, in the order of the group indices: `patient:...` or `content:...`.
    """
    contents, patients = _told(rows)
    held = rows if isinstance(rows, ImageRows) else ImageRows(rows)
    count = int(groups.max(initial=-1)) + 1
    least_content, least_patient = (np.full(count, np.iinfo(np.int64).max) for _ in range(2))
    np.minimum.at(least_content, groups, contents)
    known = patients >= 0
    np.minimum.at(least_patient, groups[known], patients[known])
    names = sorted(name for name in held.coded("patient")[1] if name is not None)
    hashes = np.unique(held.contents)
    return [
        f"patient:{names[patient]}" if patient < len(names) else f"content:{hashes[content].decode()}"
        for patient, content in zip(least_patient.tolist(), least_content.tolist(), strict=True)
    ]
