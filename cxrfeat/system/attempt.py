"""How often a thing may be tried by workers that can fail or die, and which is tried next: counting and no more."""

from __future__ import annotations

from collections import Counter, deque

FAILURES = 2
"""Times that the work on one thing may fail by itself before it is set aside."""

DEATHS = 4
"""Times that its worker may die at it: whoever kills workers, or takes their machine away, does not mean the thing.
Work that brings its worker down each time ends here too."""


class Attempts:
    """Things by number, each to be done once.

    Example:
        >>> attempts = Attempts(2)
        >>> first, second = attempts.next(), attempts.next()
        >>> attempts.failed(first), attempts.next(), attempts.failed(first), attempts.next()
        (False, 0, True, None)
    """

    def __init__(self, count: int) -> None:
        """Nothing is done yet."""
        self._waiting = deque(range(count))
        self._failures: Counter[int] = Counter()
        self._deaths: Counter[int] = Counter()

    @property
    def waiting(self) -> int:
        """How many are to be begun, or begun again."""
        return len(self._waiting)

    def next(self) -> int | None:
        """What to begin now; `None` if nothing waits."""
        return self._waiting.popleft() if self._waiting else None

    def failed(self, thing: int) -> bool:
        """Note that work on it failed; whether it is set aside by that."""
        self._failures[thing] += 1
        return self._again(thing, self._failures[thing] < FAILURES)

    def died(self, thing: int) -> bool:
        """Note that its worker died; whether it is set aside by that."""
        self._deaths[thing] += 1
        return self._again(thing, self._deaths[thing] < DEATHS)

    def _again(self, thing: int, allowed: bool) -> bool:  # noqa: FBT001  # of this class alone
        if allowed:
            self._waiting.append(thing)
        return not allowed
