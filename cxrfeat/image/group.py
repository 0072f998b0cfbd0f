"""The only place that decides which images belong together, so that no split may divide them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Event

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.duplicate import find_duplicates
from cxrfeat.image.row import ImageRow
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
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(one: int, other: int) -> None:
        low, high = sorted((root(one), root(other)))
        parent[high] = low

    first: dict[tuple[str, str], int] = {}
    for index, row in enumerate(rows):
        join(index, first.setdefault(("content", row.content_sha256), index))
        if row.patient is not None:
            join(index, first.setdefault(("patient", row.patient), index))
    for one, other in also:
        join(one, other)

    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root(index), len(numbers)) for index in range(len(rows))], dtype=np.int64)


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
    members: dict[int, list[ImageRow]] = {}
    for index, row in zip(groups.tolist(), rows, strict=True):
        members.setdefault(index, []).append(row)
    return [_key(members[index]) for index in range(len(members))]


def _key(rows: list[ImageRow]) -> str:
    patients = [row.patient for row in rows if row.patient is not None]
    return f"patient:{min(patients)}" if patients else f"content:{min(row.content_sha256 for row in rows)}"
