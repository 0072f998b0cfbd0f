"""Work done in threads, or by processes of theirs, ahead of whoever takes its results: in order, and none left over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar

from cxrfeat.system.crew import THREADS_EACH, Crew
from cxrfeat.system.process import keep_memory, threads

AHEAD = 64
"""Results that wait, or are on their way, while their taker is busy with the one before."""

_T = TypeVar("_T")
_R = TypeVar("_R")


class Ahead(Generic[_T, _R]):
    """A function's results of many things, in their order, to be iterated over in a `with` block.

    The first ones are begun when the block is entered, and another each time that one is taken. Whatever ends the
    block, an error and Ctrl-C too: what was not begun is dropped, what was is waited for.

    Example:
        >>> with Ahead(abs, [-1, 2, -3]) as numbers:
        ...     numbers.take(2), list(numbers)
        ([1, 2], [3])
    """

    def __init__(
        self,
        work: Callable[[_T], _R],
        things: Iterable[_T],
        *,
        ahead: int = AHEAD,
        workers: int | None = None,
        crew: Crew[_T, _R] | None = None,
    ) -> None:
        """Note what is to be done; nothing is begun yet.

        Args:
            work: Called in threads.
            things: What it is given, one at a time; taken from the calling thread, and no sooner than needed.
            ahead: Results that are begun and not yet taken, at most: they are all that is held of them.
            workers: Threads, or processes of the crew; as many as there are cores unless given.
            crew: Does the work in processes, and is closed at the end.
        """
        self._work, self._things, self._ahead = crew or work, iter(things), ahead
        self._workers, self._crew = workers or threads(), crew
        self._waiting: deque[Future[_R]] = deque()

    @property
    def workers(self) -> str:
        """Who does the work, such as `2 threads`."""
        one, many = ("thread", "threads") if self._crew is None else ("process", "processes")
        return f"{self._workers} {one if self._workers == 1 else many}"

    def __enter__(self) -> Self:
        """Begin."""
        keep_memory()
        count = self._workers * (1 if self._crew is None else THREADS_EACH)
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="ahead")
        try:
            self._begin(self._ahead)
        except BaseException:  # Ctrl-C too: no thread is left
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no thread behind."""
        self._close()

    def __iter__(self) -> Iterator[_R]:
        """The results that were not taken yet."""
        return self

    def __next__(self) -> _R:
        """The next result; what its work raised is raised here.

        Raises:
            StopIteration: After the last.
        """
        if not self._waiting:
            raise StopIteration
        result = self._waiting.popleft().result()
        self._begin(1)
        return result

    def take(self, count: int) -> list[_R]:
        """The next results, fewer at the end and none after it."""
        return list(islice(self, count))

    def _begin(self, count: int) -> None:
        self._waiting.extend(self._pool.submit(self._work, thing) for thing in islice(self._things, count))

    def _close(self) -> None:
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._crew is not None:
            self._crew.close()
