"""Workers that keep what they have loaded, and can fail or die: who does what, and what is done again.

Whatever a worker dies of, another takes its place and its work. Where the workers are, a place knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from cxrfeat.errors import CxrFeatError, InputError, StorageError
from cxrfeat.system.attempt import Attempts
from cxrfeat.system.joining import first_line
from cxrfeat.version import __version__

_STARTS = 3
"""Times that as many workers as there are may die before one is ready, until no more are started."""

_T = TypeVar("_T")
_R = TypeVar("_R")

Start = Callable[..., Callable[[Any], Any]]
"""Called once in each worker, with what its place has for all of them; loads what the work takes, and gives what does
it. Of a module that the workers have, or a `partial` of such a function."""


class DeadError(Exception):
    """A worker is gone."""


class Place(Protocol):
    """Where there are workers: a cluster, or the devices of this machine. What is begun there is known by a mark."""

    workers: int

    @property
    def described(self) -> str:
        """Who works, in words."""
        ...

    def hire(self, start: Start) -> tuple[Any, Any]:
        """A new worker, and the mark of its loading, which gives the version that it has."""
        ...

    def give(self, worker: Any, thing: Any) -> Any:  # noqa: ANN401  # whatever there is to do
        """Have it do a thing; the mark."""
        ...

    def wait(self, marks: Sequence[Any]) -> Any:  # noqa: ANN401  # a mark
        """One of these that is done."""
        ...

    def take(self, mark: Any) -> Any:  # noqa: ANN401  # whatever was made
        """What was made.

        Raises:
            DeadError: If the worker is gone.
            Exception: What the work raised.
        """
        ...

    def end(self, worker: Any) -> None:  # noqa: ANN401  # a worker
        """Let a worker go at once, though it be gone or at work."""
        ...


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of a thing that is set aside."""

    why: str


def load_here(start: Start, shared: Sequence[object]) -> tuple[Callable[[Any], Any], str]:
    """In a worker: what does the work, and which version of cxrfeat does it."""
    return start(*shared), __version__


class Team(Generic[_T, _R]):
    """Workers of one place that do one kind of work; use it as a context manager, at whose end they are let go."""

    def __init__(self, place: Place, start: Start) -> None:
        """Note who works; nobody does yet.

        Args:
            place: Where, entered.
            start: What they do.
        """
        self._place, self._start = place, start
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        """What is on its way, by mark: the worker, and the number of the thing, `None` while it gets ready."""
        self._idle: list[Any] = []

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let all of them go."""
        self._end([worker for worker, _ in self._busy.values()])
        self._busy.clear()
        self._end(self._idle)
        self._idle.clear()

    def _end(self, workers: Sequence[Any]) -> None:
        for worker in workers:
            self._place.end(worker)

    def each(
        self, things: Sequence[_T], *, ready: Callable[[], object] | None = None
    ) -> Iterator[tuple[int, _R | Lost]]:
        """Have things done, in no order. Workers stay for more of them.

        Args:
            things: Each is given to one worker, and to another where that fails.
            ready: Called here whenever a worker has started.

        Yields:
            The number of a thing, and what was made of it; or why it is set aside.

        Raises:
            InputError: If no worker gets ready; or whatever the work says is wrong with what it was given.
        """
        attempts, unready, why = Attempts(len(things)), 0, "no worker is there"
        try:
            while True:
                while self._idle and (following := attempts.next()) is not None:
                    worker = self._idle.pop()
                    self._busy[self._place.give(worker, things[following])] = (worker, following)
                while self._lacks(attempts.waiting) and unready < _STARTS * self._place.workers:
                    worker, mark = self._place.hire(self._start)
                    self._busy[mark] = (worker, None)
                if not self._busy or not (attempts.waiting or self._working):
                    break
                mark = self._place.wait(list(self._busy))
                worker, thing = self._busy.pop(mark)
                try:
                    made = self._place.take(mark)
                except Exception as error:  # whatever a worker raised, which is sorted here
                    if isinstance(error, CxrFeatError) and not isinstance(error, StorageError):
                        self._place.end(worker)
                        raise  # what is wrong is wrong everywhere; one machine's disk is not
                    why, dead = first_line(error), isinstance(error, DeadError)
                    if thing is None:
                        unready += 1
                    elif attempts.died(thing) if dead else attempts.failed(thing):
                        yield thing, Lost(why)
                    if dead or thing is None:
                        self._place.end(worker)
                    else:
                        self._idle.append(worker)
                    continue
                self._idle.append(worker)
                if thing is not None:
                    yield thing, made
                    continue
                if made != __version__:
                    raise InputError(
                        f"The workers have cxrfeat {made}, and this is {__version__}: features would be of two "
                        "versions. Install the same one everywhere."
                    )
                unready = 0
                if ready is not None:
                    ready()
        finally:  # whoever is still at work is at what nobody wants
            self._end([worker for worker, _ in self._busy.values()])
            self._busy.clear()
        if attempts.waiting:
            raise InputError(
                f"The workers end before they are ready ({why}). They need cxrfeat, the data and the network in the "
                "same places as here, and the memory for it."
            )

    @property
    def _working(self) -> bool:
        return any(thing is not None for _, thing in self._busy.values())

    def _lacks(self, waiting: int) -> bool:
        """Whether one more worker would have something to do."""
        coming = sum(thing is None for _, thing in self._busy.values())
        return waiting > coming and len(self._busy) + len(self._idle) < self._place.workers
