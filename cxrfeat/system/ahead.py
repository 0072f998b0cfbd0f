"""Work done in threads, or by processes of theirs, ahead of whoever takes its results: in order, and none left over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Generic, Self, TypeVar

from cxrfeat.system.crew import THREADS_EACH, Crew
from cxrfeat.system.process import keep_memory, threads

AHEAD = 64
"""Results that wait, or are on their way, while their taker is busy with the one before."""

_TOGETHER = 8
"""Things that a process is given at a time: what goes to and fro takes half a millisecond of the processor, and an
image a few."""

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
        processes: bool = False,
    ) -> None:
        """Note what is to be done; nothing is begun yet.

        Args:
            work: Called in threads, or in processes if so wanted: then it is of a module, or a `partial` of such a
                function, and it, what it is given and what it returns go to and fro between processes.
            things: What it is given, one at a time; taken from the calling thread, and no sooner than needed.
            ahead: Results that are begun and not yet taken, at most: they are all that is held of them.
            workers: Threads or processes; as many as there are cores unless given.
            processes: Whether each worker is a process of its own, not a thread.
        """
        self._workers, self._things = workers or threads(), iter(things)
        self._callers = self._workers * (THREADS_EACH if processes else 1)
        self._together = max(1, min(_TOGETHER, ahead // self._callers)) if processes else 1
        self._ahead = max(1, ahead // self._together)
        each = partial(_each, work)
        self._crew: Crew[Sequence[_T], list[_R]] | None = Crew(each, self._workers) if processes else None
        self._work: Callable[[Sequence[_T]], list[_R]] = self._crew or each
        self._waiting: deque[Future[list[_R]]] = deque()
        self._ready: deque[_R] = deque()

    @property
    def workers(self) -> str:
        """Who does the work, such as `2 threads`."""
        one, many = ("thread", "threads") if self._crew is None else ("process", "processes")
        return f"{self._workers} {one if self._workers == 1 else many}"

    def __enter__(self) -> Self:
        """Begin."""
        keep_memory()
        self._pool = ThreadPoolExecutor(max_workers=self._callers, thread_name_prefix="ahead")
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
        if not self._ready:
            if not self._waiting:
                raise StopIteration
            self._ready.extend(self._waiting.popleft().result())
            self._begin(1)
        return self._ready.popleft()

    def take(self, count: int) -> list[_R]:
        """The next results, fewer at the end and none after it."""
        return list(islice(self, count))

    def _begin(self, count: int) -> None:
        for _ in range(count):
            if not (part := list(islice(self._things, self._together))):
                return
            self._waiting.append(self._pool.submit(self._work, part))

    def _close(self) -> None:
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._crew is not None:
            self._crew.close()


def _each(work: Callable[[_T], _R], things: Sequence[_T]) -> list[_R]:
    return [work(thing) for thing in things]
