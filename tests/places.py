"""A place whose workers are called in this process, and fail or die as they are told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from cxrfeat.system.cluster import ClusterSpec
from cxrfeat.system.team import DeadError, Start
from cxrfeat.version import __version__

DIES = DeadError("it fell over")
"""Raised by work whose worker dies at it."""


class Here:
    """Workers by number."""

    described = "1 worker of 1 core on a cluster"

    def __init__(
        self, workers: int = 1, *, unready: int = 0, version: str = __version__, shared: Sequence[Any] = ()
    ) -> None:
        """Nobody works yet.

        Args:
            workers: How many.
            unready: So many of them die before they are ready.
            version: Which they have.
            shared: What all of them start with.
        """
        self.workers, self._unready, self._version, self._shared = workers, unready, version, shared
        self.hired: list[int] = []
        self.alive: dict[int, Callable[[Any], Any]] = {}
        self._numbers = itertools.count()
        self._coming: dict[int, Callable[[], Any]] = {}

    def __enter__(self) -> Here:
        """Nothing begins."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing ends."""

    def _mark(self, made: Callable[[], Any]) -> int:
        mark = next(self._numbers)
        self._coming[mark] = made
        return mark

    def hire(self, start: Start) -> tuple[int, int]:
        """A worker; the mark of its loading."""
        number = len(self.hired)
        self.hired.append(number)
        dies = number < self._unready

        def load() -> str:
            if dies:
                raise DIES
            self.alive[number] = start(*self._shared)
            return self._version

        return number, self._mark(load)

    def give(self, worker: int, thing: Any) -> int:
        """Have it do a thing; the mark."""
        return self._mark(lambda: self.alive[worker](thing))

    def wait(self, marks: Sequence[int]) -> int:
        """The last of these."""
        return marks[-1]

    def take(self, mark: int) -> Any:
        """What was made."""
        return self._coming.pop(mark)()

    def end(self, worker: int) -> None:
        """Let it go."""
        self.alive.pop(worker, None)


class HereCluster(Here):
    """In place of a cluster whose workers have one core each."""

    shares = 0

    def __init__(self, spec: ClusterSpec, cores: int) -> None:
        """As many workers as are asked for, or one."""
        assert cores == 1
        super().__init__(spec.workers or 1)

    def share(self, value: NDArray[Any]) -> None:
        """Count it, and give it to whoever starts later."""
        type(self).shares += 1
        value.flags.writeable = False
        self._shared = [value]
