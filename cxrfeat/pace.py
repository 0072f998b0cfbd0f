"""How fast long work goes, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


def duration(seconds: float) -> str:
    """How long that is, as exactly as an estimate may be.

    Example:
        >>> [duration(seconds) for seconds in (8.2, 89.0, 480.0, 21268.0)]
        ['8 s', '89 s', '8 min', '5.9 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Pace:
    """How fast one thing goes and how long it will take, once that means something.

    The rate is that of the last half minute. What came before the first count is no part of it: a network was loaded
    meanwhile, or rows existed already. Nothing is said before some seconds, some counts and some share of the whole
    have passed.
    """

    WINDOW, SECONDS, COUNTS, SHARE = 30.0, 5.0, 3, 0.01

    def __init__(self, unit: str, now: Callable[[], float] = time.monotonic) -> None:
        """What is counted, and by which clock."""
        self.unit = unit
        self.done = self.total = self._counts = 0
        self._now = now
        self._seen: deque[tuple[float, int]] = deque()
        self._began = self._at = 0.0, 0

    def tell(self, done: int, total: int) -> None:
        """Take a count."""
        at, before, self.done, self.total = self._now(), self.done, done, total
        self._at = at, done
        if not self._seen or done < before:  # the first, or all over again
            self._began, self._counts = self._at, 0
            self._seen = deque([self._at])
        elif done > before:
            self._counts += 1
            if at - self._seen[-1][0] >= self.WINDOW / 60:  # thousands of counts a second are not all kept
                self._seen.append(self._at)
            while len(self._seen) > self.COUNTS + 1 and at - self._seen[1][0] >= self.WINDOW:
                self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Units per second; `None` where it is not known yet."""
        (began, first), (at, done) = self._began, self._at
        passed, share = at - began, (done - first) / max(self.total - first, 1)
        if self._counts < self.COUNTS or passed < self.SECONDS or (share < self.SHARE and passed < self.WINDOW):
            return None
        since, before = self._seen[0]
        return (done - before) / (at - since)

    @property
    def words(self) -> str:
        """The rate and the time left, as far as they are known.

        Example:
            >>> seconds = iter(range(0, 100, 2))
            >>> pace = Pace("images", lambda: next(seconds))
            >>> for done in range(5):
            ...     pace.tell(done, 300)
            >>> pace.words
            '0.5 images/s, 10 min left'
        """
        rate, left = self.rate, self.total - self.done
        if rate is None:
            return ""
        speed = f"{rate:.1f} {self.unit}/s" if rate >= 0.1 else f"{1 / rate:.0f} s each"
        return f"{speed}, {duration(left / rate)} left" if left else speed
