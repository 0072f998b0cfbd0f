"""The search for copies, next to the network: images are compared as they are looked at, before there are features.

What it finds is what it would find at the end, since it is taken only if the images are still the same then.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.image.duplicate import Pair, Search
from cxrfeat.image.group import Looks, group, group_copies
from cxrfeat.image.row import ImageRow
from cxrfeat.system.process import small_products
from cxrfeat.types import Groups

Told = tuple[NDArray[np.uint8], int] | None
"""As in `Looks`; `None` of an image that cannot be used."""


class Copies:
    """Which images belong together, found in a thread of its own; to be used in a `with` block.

    Images are compared in the order of their content hashes, by which extraction goes too: so one is as soon as all
    before it are known.
    """

    def __init__(self, rows: Sequence[ImageRow]) -> None:
        """Take the images.

        Args:
            rows: Rows of the data set.
        """
        self._rows, self._stop = rows, threading.Event()
        self._places: dict[str, int] = {}
        for place, row in enumerate(rows):
            self._places.setdefault(row.content_sha256, place)
        self._order = sorted(self._places)
        self._next = 0
        self._early: dict[str, Told] = {}
        """What was told of images before which another is not known yet."""
        self._given: dict[str, int] = {}
        """Pixel digests of those that were given to the search, in their order."""
        self._search = Search(self._stop)
        self._begun: list[Future[None]] = []
        self._found: Future[list[Pair]] | None = None
        """The pairs, from when all images are known."""
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copies")
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """No image is known yet."""
        self._held.enter_context(small_products())  # here, for this thread may load libraries while the search goes on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the search where it is, and leave no thread behind."""
        self._stop.set()
        with self._held:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def tell(self, looks: Mapping[str, Told]) -> None:
        """Say how some more images look, by content hash; what is told of an image first counts.

        Args:
            looks: They must not change.
        """
        for sha, told in looks.items():
            if sha in self._places and self._next < len(self._order) and sha >= self._order[self._next]:
                self._early.setdefault(sha, told)
        known = []
        while self._next < len(self._order) and (sha := self._order[self._next]) in self._early:
            self._next += 1
            if (told := self._early.pop(sha)) is not None:
                self._given[sha] = told[1]
                known.append(told)
        if known:
            self._begun = [one for one in self._begun if not one.done() or one.exception()]
            self._begun.append(self._pool.submit(self._search.add, known))
        if self._found is None and self._next == len(self._order):
            self._found = self._pool.submit(self._search.pairs, [self._places[sha] for sha in self._given])

    def groups(self, looks: Looks) -> Groups:
        """As `group_copies`: what the search found as images were told, if they are the same.

        Args:
            looks: Those of the images that turned out usable; nothing can be told any more.
        """
        self.tell({**dict.fromkeys(self._order[self._next :]), **looks})
        with self._held:
            if self._given == {sha: int(digest) for sha, (_, digest) in looks.items()}:
                assert self._found is not None  # all were told
                for one in self._begun:
                    one.result()
                pairs = self._found.result()
                return group(self._rows, also=[(pair.one, pair.other) for pair in pairs])
            self._stop.set()
        return group_copies(self._rows, looks)
