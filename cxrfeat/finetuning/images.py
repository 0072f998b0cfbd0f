"""The images of a training run: kept in memory as far as a budget goes, drawn from anew in every epoch.

A view depends on the image, the seed and the epoch alone: never on the batch, on a thread, or on what is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Counted, Views
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import Outcome, stream, usable

AHEAD = 3
"""Batches that are prepared while one is computed."""

_TOLD = 64
"""Images between two words of progress."""

Indices = NDArray[np.int64]
"""Places of images among those given."""


class Images:
    """Images whose views are drawn over and over."""

    def __init__(
        self, rows: Sequence[ImageRow], root: Path, view: ViewSpec, *, masks: Masks = NO_MASKS, budget: int
    ) -> None:
        """Note where the images are; nothing is read yet.

        Args:
            rows: The images.
            root: Their data folder.
            view: How views are drawn; its count plays no part.
            masks: Mask files by content, for views that use them.
            budget: Bytes of decoded images to keep; those beyond are decoded again in every epoch.
        """
        self._rows, self._root, self._view, self._masks = list(rows), root, view, masks
        self._kept: dict[int, Views] = {}
        self._left = budget

    @property
    def kept(self) -> int:
        """How many decoded images are in memory."""
        return len(self._kept)

    def plain(self, images: Indices, progress: Counted | None = None) -> Views:
        """The plain views, those of stage one: `(n, size, size)` uint8.

        Raises:
            InputError: If an image can no longer be used.
        """
        views, done = np.empty((len(images), self._view.size, self._view.size), np.uint8), 0
        for part in self.plain_parts(images, _TOLD):
            views[done : done + len(part)] = part
            done += len(part)
            if progress:
                progress(done, len(images))
        return views

    def plain_parts(self, images: Indices, size: int) -> Generator[Views]:
        """The same, this many at a time, prepared ahead of whoever takes them.

        Raises:
            InputError: If an image can no longer be used.
        """
        plain = replace(self._view, count=1)
        files = [self._file(image) for image in images.tolist()]
        with stream(files, Wanted(views=(plain,)), ahead=size) as made:
            for start in range(0, len(images), size):
                part = images[start : start + size].tolist()
                together = zip(part, made.take(size), strict=True)
                yield np.concatenate([self._plain_of(image, one, plain) for image, one in together])

    def batches(self, order: Indices, epoch: int, size: int) -> Generator[Views]:
        """Drawn views of images in this order, this many at a time, prepared ahead of whoever takes them.

        Args:
            order: Places of images.
            epoch: Counted from 0; each has views of its own. The first ones are those that stage one draws.
            size: Images per batch; the last one may be smaller.

        Yields:
            `(n, size, size)` uint8.

        Raises:
            InputError: If an image can no longer be used.
        """
        wanted = Wanted(copy=self._view, drawn=(1 + epoch,))
        files = (self._file(image, self._kept.get(image)) for image in order.tolist())
        with stream(files, wanted, ahead=AHEAD * size) as made:
            for start in range(0, len(order), size):
                part = order[start : start + size].tolist()
                yield np.concatenate(
                    [self._drawn(image, one) for image, one in zip(part, made.take(size), strict=True)]
                )

    def _file(self, image: int, copy: Views | None = None) -> ImageFile:
        row = self._rows[image]
        mask = self._masks.get(row.content_sha256)
        return ImageFile(path=self._root / row.path, content_sha256=row.content_sha256, mask=mask, copy=copy)

    def _plain_of(self, image: int, one: Outcome, plain: ViewSpec) -> Views:
        with self._named(image):
            return usable(one).of(plain)

    def _drawn(self, image: int, one: Outcome) -> Views:
        with self._named(image):
            prepared = usable(one)
        assert prepared.copy is not None
        assert prepared.drawn is not None
        if image not in self._kept and prepared.copy.nbytes <= self._left:
            self._kept[image] = prepared.copy
            self._left -= prepared.copy.nbytes
        return prepared.drawn

    @contextlib.contextmanager
    def _named(self, image: int) -> Iterator[None]:
        """Say which image it was."""
        try:
            yield
        except BadImageError as error:
            raise InputError(
                f"{self._rows[image].path!r} can no longer be used ({error.stage}: {error.reason}), and training needs "
                "every image. Bring it back as it was, or extract features again without it."
            ) from error
