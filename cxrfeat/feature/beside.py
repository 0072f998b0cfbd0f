"""The search for copies, beside the network: begun once all images were looked at, while features are on their way.

What it finds is what it would find at the end, since it is taken only if the images are still the same then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from cxrfeat.image.group import Looks, group_copies
from cxrfeat.image.row import ImageRow
from cxrfeat.system.process import small_products
from cxrfeat.types import Groups


class Copies:
    """Which images belong together, found in a thread of its own; to be used in a `with` block."""

    def __init__(self, rows: Sequence[ImageRow]) -> None:
        """Take the images.

        Args:
            rows: Of the data set.
        """
        self._rows, self._stop = rows, threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copies")
        self._held = ExitStack()
        self._begun: tuple[dict[str, int], Future[Groups]] | None = None

    def __enter__(self) -> Self:
        """Nothing is begun yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the search where it is, and leave no thread behind."""
        self._stop.set()
        with self._held:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, looks: Looks) -> None:
        """Look for copies among images that are all known by now; the first time counts.

        Args:
            looks: As for `group_copies`; they must not change.
        """
        if self._begun is not None:
            return
        self._held.enter_context(small_products())  # here, for this thread may load libraries while the search goes on
        self._begun = _digests(looks), self._pool.submit(group_copies, self._rows, looks, self._stop)

    def groups(self, looks: Looks) -> Groups:
        """As `group_copies`: what the search that was begun found, if it was among the same images.

        Args:
            looks: Those of the images that turned out usable.
        """
        with self._held:
            if self._begun is not None and self._begun[0] == _digests(looks):
                return self._begun[1].result()
        return group_copies(self._rows, looks)


def _digests(looks: Looks) -> dict[str, int]:
    return {sha: int(digest) for sha, (_, digest) in looks.items()}
