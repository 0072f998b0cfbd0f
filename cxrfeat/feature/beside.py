"""The search for copies, next to the network: images are compared as they are looked at, before there are features.

What it finds is what it would find at the end, since it is taken only if the images are still the same then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.keys import Keys, column
from cxrfeat.image.duplicate import Pair, Search
from cxrfeat.image.group import group
from cxrfeat.image.row import ImageRow, ImageRows
from cxrfeat.system.process import give_back, small_products
from cxrfeat.types import Groups

Told = tuple[NDArray[np.uint8], int] | None
"""As in `Looks`; `None` of an image that cannot be used."""

_WAITING = 1 << 14
"""Images that wait for the search at most, 1.7 kB each: whoever tells of more waits until it has some of them."""


class Copies:
    """Which images belong together, found in a thread of its own; to be used in a `with` block.

    Images are compared in the order of their content hashes, by which extraction goes too: so one is as soon as all
    before it are known.
    """

    def __init__(self, rows: Sequence[ImageRow], folder: Path | None = None, known: Keys | None = None) -> None:
        """Take the images.

        Args:
            rows: Rows of the data set.
            folder: As in `Search`.
            known: Contents, which are shared if they are those of the rows.
        """
        self._rows, self._folder, self._stop = rows, folder, threading.Event()
        contents = rows.contents if isinstance(rows, ImageRows) else column(row.content_sha256 for row in rows)
        self.contents = Keys(contents) if known is None else known.again(contents)
        """Of whose images is to be said how they look, in the order in which they are compared."""
        self._places = np.empty(len(self.contents), np.intp)
        self._places[self.contents.places(contents)[::-1]] = np.arange(len(contents))[::-1]
        """Where in the rows each is first."""
        self._next = 0
        self._early: dict[int, Told] = {}
        """What was said of images before which another is not known yet, by their places in that order."""
        self._usable = np.zeros(len(self.contents), bool)
        self._digests = np.zeros(len(self.contents), np.uint64)
        """Which were given to the search, and their pixel digests."""
        self._search = Search(self._stop, folder)
        self._begun: list[tuple[Future[None], int]] = []
        """Parts of the search that are on their way, and how many images each has."""
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
        """Say how some more images look, by content hash; what is said of an image first counts.

        Args:
            looks: They must not change.
        """
        known = []
        for place, told in zip(self.contents.places(column(looks)).tolist(), looks.values(), strict=True):
            if place >= self._next:
                self._early.setdefault(place, told)
        while self._next in self._early:
            if (told := self._early.pop(self._next)) is not None:
                self._usable[self._next], self._digests[self._next] = True, told[1]
                known.append(told)
            self._next += 1
        if known:
            self._begun = [(one, images) for one, images in self._begun if not one.done() or one.exception()]
            while self._begun and sum(images for one, images in self._begun if not one.done()) > _WAITING:
                wait([next(one for one, _ in self._begun if not one.done())])
            self._begun.append((self._pool.submit(self._search.add, known), len(known)))
        if self._found is None and self._next == len(self.contents):
            self._found = self._pool.submit(self._search.pairs, self._places[self._usable].tolist())

    def groups(self, looks: Callable[[], Iterable[Mapping[str, Told]]]) -> Groups:
        """As `image.group.group_copies`: what the search found as images came in, if they are the same; else again.

        Args:
            looks: How the images look in the end, some at a time; those that turned out unusable are `None`, or not
                among them. Nothing can be added any more.
        """
        usable, digests = np.zeros_like(self._usable), np.zeros_like(self._digests)
        for some in looks():
            self.tell(some)
            for place, told in zip(self.contents.places(column(some)).tolist(), some.values(), strict=True):
                if told is not None and place >= 0:
                    usable[place], digests[place] = True, told[1]
        self.tell(dict.fromkeys(self.contents.part(slice(self._next, None))))
        with self._held:
            if np.array_equal(usable, self._usable) and np.array_equal(digests, self._digests):
                assert self._found is not None  # all were told
                for one, _ in self._begun:
                    one.result()
                pairs = [(pair.one, pair.other) for pair in self._found.result()]
                self._pool.shutdown(wait=True)  # its thread lets go of the search too
                self._search, self._found = Search(), None  # hundreds of MB of a million
                give_back()
                return group(self._rows, also=pairs)
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._search, self._early = Search(), {}
        with Copies(self._rows, self._folder, self.contents) as again:  # as nothing was told before, no third time
            return again.groups(looks)
