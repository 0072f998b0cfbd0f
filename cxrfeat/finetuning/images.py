"""The images of a training run: kept in memory as far as a budget goes, drawn from anew in every epoch.

A view depends on the image, the seed and the epoch alone: never on the batch, on a thread, or on what is kept.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Counted, Views
from cxrfeat.view.apply import drawn
from cxrfeat.view.draw import draw, view_rng
from cxrfeat.view.prepare import prepare, prepare_copy

AHEAD = 3
"""Batches that are prepared while one is computed."""

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
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """How many decoded images are in memory."""
        return len(self._kept)

    def plain(self, images: Indices, progress: Counted | None = None) -> Views:
        """The plain views, those of stage one: `(n, size, size)` uint8.

        Raises:
            InputError: If an image can no longer be used.
        """
        plain = replace(self._view, count=1)
        views = np.empty((len(images), plain.size, plain.size), np.uint8)

        def make(place: int) -> None:
            row = self._rows[images[place]]
            with _named(row):
                views[place] = prepare(
                    self._root / row.path, row.content_sha256, [plain], self._masks.get(row.content_sha256)
                ).of(plain)[0]

        with ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="decode") as pool:
            for done, _ in enumerate(pool.map(make, range(len(images))), start=1):
                if progress:
                    progress(done, len(images))
        return views

    def batches(self, order: Indices, epoch: int, size: int) -> Generator[Views]:
        """Drawn views of images in this order, so many at a time, prepared ahead of whoever takes them.

        Args:
            order: Places of images.
            epoch: Counted from 0; each has views of its own. The first ones are those that stage one draws.
            size: Images per batch; the last one may be smaller.

        Yields:
            `(n, size, size)` uint8.

        Raises:
            InputError: If an image can no longer be used.
        """
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        waiting: deque[list[Future[Views]]] = deque()
        pool = ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="views")
        try:
            for number in range(len(parts) + AHEAD):
                if number < len(parts):
                    waiting.append([pool.submit(self._draw, int(image), epoch) for image in parts[number]])
                if number >= AHEAD:
                    yield np.stack([each.result() for each in waiting.popleft()])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _draw(self, image: int, epoch: int) -> Views:
        params = draw(self._view, view_rng(self._view.seed, self._rows[image].content_sha256, 1 + epoch))
        views = drawn(self._view, self._copy(image), [params])
        return views.reshape(views.shape[1:])

    def _copy(self, image: int) -> Views:
        kept = self._kept.get(image)
        if kept is not None:
            return kept
        row = self._rows[image]
        with _named(row):
            copy = prepare_copy(
                self._root / row.path, row.content_sha256, self._view, self._masks.get(row.content_sha256)
            )
        with self._lock:
            if copy.nbytes <= self._left and image not in self._kept:
                self._kept[image] = copy
                self._left -= copy.nbytes
        return copy


@contextlib.contextmanager
def _named(row: ImageRow) -> Iterator[None]:
    """Tell a user which image it was."""
    try:
        yield
    except BadImageError as error:
        raise InputError(
            f"{row.path} can no longer be used ({error.stage}: {error.reason}), and training needs every image. "
            "Bring it back as it was, or extract features again without it."
        ) from error
