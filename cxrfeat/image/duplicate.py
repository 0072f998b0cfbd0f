"""The only place that finds copies: of the same bytes, of the same pixels, or the same picture after a small change.

Chest X-rays resemble each other, so 64 bits cannot tell a copy from another patient. Here the lowest frequencies of
the portraits only propose pairs, under all symmetries at once; their details, laid on each other as well as zoom and
shift allow, confirm or refuse.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.alignment import SYMMETRIES, Proposals, similarities
from cxrfeat.image.candidate import ByFeatures, Pictures, Strip, until
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.process import small_products
from cxrfeat.types import Features

Kind = Literal["bytes", "pixels", "near"]

SIMILAR = 0.87
"""The similarity from which two portraits are of one picture.

Measured on 1200 real X-rays (720,000 pairs) and 300 copies of each kind: re-encoded and resized copies have 0.95 or
more, those 15 % brighter (and clipped) or darker 0.93, those cropped by 3 % at a corner or all round 0.89. Of images of
different people the most similar have 0.67, and consecutive ones of one person 0.84; phantoms of different patients,
which are more alike, 0.84."""

_BLOCKS_AHEAD = 32
_LATEST = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images that are one picture."""

    one: int
    """Place among the images given."""
    other: int
    """Place among the images given, larger than `one`."""
    kind: Kind
    similarity: float
    """Correlation of the details once they are aligned, `SIMILAR` to 1; 1 where the pixels are the same."""
    change: str = ""
    """What makes the other of the one, besides zoom, shift, brightness and contrast: one of `SYMMETRIES`, `inverted`,
    both with a comma between, or nothing."""


class Search:
    """Copies among images that are told one after the other, of which those that came are compared as they come.

    What is found depends on the images and on their order, and not on when they came.
    """

    def __init__(self, stop: Event | None = None, folder: Path | None = None) -> None:
        """No image yet.

        Args:
            stop: Ends the search soon after it is set.
            folder: Where a temporary file goes if there are many images, 1.6 kB each; without it, where the system has
                such files.
        """
        self._stop = stop or Event()
        self._count = 0
        self._first = _First()
        self._same: list[tuple[int, int]] = []
        self._kept = array("q")
        self._pictures = Pictures(folder)
        self._near: list[tuple[Proposals, NDArray[np.float32]]] = []
        """What was confirmed, and how alike it is; a pair may be among it in several ways."""

    def add(self, looks: Iterable[tuple[NDArray[np.uint8], int]]) -> None:
        """Take more images.

        Args:
            looks: Portrait and pixel digest of each, as in `appearance.Look`.

        Raises:
            CancelledError: If it was stopped.
            StorageError: If there are many images, and the disk has no room for a temporary file.
        """
        for portrait, digest in looks:
            known = self._first.of(int(digest), self._count)
            if known != self._count:
                self._same.append((known, self._count))
            elif portrait.any():
                self._kept.append(self._count)
                self._pictures.add(portrait)
                if self._pictures.enough:
                    self._compare(last=False)
            self._count += 1

    def pairs(self, places: Sequence[int], features: Features | None = None) -> list[Pair]:
        """The copies among all images that were added; none can be added afterwards.

        Args:
            places: By which the pairs name the images, in the order in which these were added.
            features: `(images, dim)`, in that order, or nothing.

        Returns:
            Pairs of the same pixels and near ones, in no order.

        Raises:
            CancelledError: If it was stopped.
            StorageError: As `add`.
        """
        self._compare(last=True)
        if features is not None and len(self._kept) > 1:
            with small_products():
                by_features = ByFeatures(features[np.asarray(self._kept)], self._pictures, self._stop)
                self._confirm(by_features.propose, by_features.strips())
        self._pictures = Pictures()  # hundreds of MB of a million, and of no use any more
        return [
            *(_pair(places[one], places[other], "pixels", 1.0) for one, other in self._same),
            *(
                _pair(places[self._kept[one]], places[self._kept[other]], "near", similar, symmetry, sign)
                for (one, other, symmetry, sign), similar in self._best()
            ),
        ]

    def _best(self) -> Iterator[tuple[list[int], float]]:
        """Of each pair the way in which it is most alike: not inverted, or of the first symmetry, if several are."""
        if not self._near:
            return
        proposals, similar = (np.concatenate(part) for part in zip(*self._near, strict=True))
        one, other, symmetry, sign = proposals.T
        order = np.lexsort((symmetry, -sign, -similar, other, one))
        new = np.diff(proposals[order, :2], axis=0, prepend=-1).any(axis=1)
        best = order[new]
        yield from zip(proposals[best].tolist(), similar[best].tolist(), strict=True)

    def _compare(self, *, last: bool) -> None:
        """Compare the pictures that wait with those before them, and with each other."""
        if len(self._pictures) < 2:
            return
        with small_products():  # every core has strips of its own
            self._confirm(self._pictures.propose, self._pictures.prepare(self._stop, last=last))

    def _confirm(self, propose: Callable[[Strip], Proposals], strips: Sequence[Strip]) -> None:
        work = partial(_confirmed, self._pictures, propose)
        with Ahead(work, until(self._stop, strips), ahead=_BLOCKS_AHEAD) as confirmed:
            for proposals, similar in confirmed:
                if len(proposals):
                    self._near.append((proposals, similar))


class _First:
    """Which image had each pixel digest first: 16 bytes for each, where a dictionary would take 150."""

    def __init__(self) -> None:
        self._digests, self._images = np.empty(0, np.uint64), np.empty(0, np.int64)
        """In order of the digests; the latest ones are apart."""
        self._latest: dict[int, int] = {}

    def of(self, digest: int, image: int) -> int:
        """The first image with a digest: this one, unless another came before."""
        place = int(self._digests.searchsorted(np.uint64(digest)))
        if place < len(self._digests) and self._digests[place] == np.uint64(digest):
            return int(self._images[place])
        first = self._latest.setdefault(digest, image)
        if len(self._latest) >= _LATEST:
            digests = np.concatenate([self._digests, np.fromiter(self._latest, np.uint64)])
            images = np.concatenate([self._images, np.fromiter(self._latest.values(), np.int64)])
            order = digests.argsort()
            self._digests, self._images, self._latest = digests[order], images[order], {}
        return first


def find_duplicates(
    content_sha256: Sequence[str],
    portraits: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    pixel_digests: Sequence[int] | NDArray[np.uint64],
    features: Features | None = None,
    *,
    stop: Event | None = None,
) -> tuple[Pair, ...]:
    """Find the images that are copies of others.

    Of images with the same bytes, each is paired with the first; of different files with the same pixels, each with
    one, which alone is compared with other pictures. So many copies of one picture make few pairs, and the pairs, taken
    transitively, make the groups. Images of one value are copies of nothing but the same pixels.

    The order of the images decides nothing but which of identical files is named.

    Args:
        content_sha256: SHA-256 of each image's file.
        portraits: `(images, 40, 40)`, as in `appearance.Look`.
        pixel_digests: `(images,)`, as in `appearance.Look`.
        features: `(images, dim)`; pairs with nearly the same features are compared too, such as copies that were
            changed more than their lowest frequencies bear. The portraits still decide.
        stop: Ends the search soon after it is set.

    Returns:
        The pairs, in order of `one` and `other`.

    Raises:
        CancelledError: If it was stopped.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
        >>> (pair,) = find_duplicates("ab", np.stack([image, 255 - image[:, ::-1]]), np.array([1, 2], np.uint64))
        >>> pair.kind, pair.change
        ('near', 'mirrored left to right, inverted')
    """
    pairs = []
    first: dict[str, int] = {}
    for index, content in enumerate(content_sha256):
        if first.setdefault(content, index) != index:
            pairs.append(_pair(first[content], index, "bytes", 1.0))
    # In an order that is the pictures' own, so that no sum depends on the order of the images.
    places = [first[content] for content in sorted(first)]
    search = Search(stop)
    search.add((portraits[place], int(pixel_digests[place])) for place in places)
    pairs += search.pairs(places, None if features is None else features[places])
    return tuple(sorted(pairs, key=lambda pair: (pair.one, pair.other)))


def _confirmed(
    pictures: Pictures, propose: Callable[[Strip], Proposals], strip: Strip
) -> tuple[Proposals, NDArray[np.float32]]:
    """Those of a strip's proposals that are of one picture, and how alike they are."""
    proposals = propose(strip)
    if not len(proposals):
        return proposals, np.empty(0, np.float32)
    places, number = np.unique(proposals[:, :2], return_inverse=True)
    renumbered = np.concatenate([number.reshape(-1, 2), proposals[:, 2:]], axis=1)
    similar = similarities(pictures.portraits(places.tolist()), renumbered)
    alike = similar >= SIMILAR
    return proposals[alike], similar[alike]


def _pair(one: int, other: int, kind: Kind, similarity: float, symmetry: int = 0, sign: int = 1) -> Pair:
    if one > other:
        one, other, symmetry = other, one, _OPPOSITE[symmetry]
    change = ", ".join(filter(None, (SYMMETRIES[symmetry], "inverted" if sign < 0 else "")))
    return Pair(one=one, other=other, kind=kind, similarity=min(round(similarity, 4), 1.0), change=change)


_OPPOSITE = (0, 1, 2, 3, 4, 6, 5, 7)
"""What undoes each symmetry: itself, but for the quarter turns."""
