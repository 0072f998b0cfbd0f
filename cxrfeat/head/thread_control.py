"""Whether the next step of a training has several threads or one, by how long the last ones took."""

from __future__ import annotations

import statistics
from collections import deque


class Pace:
    """As many threads as there are, until they lose time against one.

    The threads of BLAS meet in every product and wait there with their cores busy. On free cores that is the fastest
    way to wait. Where another program holds a core, each wait is a turn of the system, some milliseconds, and a step
    takes ten times as long as with one thread.

    Example:
        >>> pace = Pace(most=2)
        >>> for _ in range(8):
        ...     pace.took(0.001)
        >>> pace.threads
        2
        >>> for _ in range(4):  # one long step is chance; and the first after a change does not count
        ...     pace.took(0.020)
        >>> pace.threads
        1
    """

    LOST = 0.008
    """Seconds lost after which several threads are given up for a while."""

    SHORT, LONG = 64, 1024
    """Steps for which they are: so many at first, twice as many each time, and so many at most."""

    _LOOKED_AT = 8
    """Steps with one thread to compare with."""

    def __init__(self, most: int) -> None:
        """Begin with one thread, to know how fast that is.

        Args:
            most: How many threads there may be.
        """
        self.threads = 1
        self._most = most
        self._alone: deque[float] = deque(maxlen=self._LOOKED_AT)
        self._usual = 0.0
        self._left = self._LOOKED_AT
        self._rest = self.SHORT
        self._lost = 0.0
        self._steps = 0

    def took(self, seconds: float) -> None:
        """So long the last step took; settles `threads` for the next.

        Args:
            seconds: Of a step as long as all others.
        """
        if self._most == 1:
            return
        if self.threads == 1:
            self._alone.append(seconds)
            self._left -= 1
            if self._left <= 0:
                self.threads, self._lost, self._steps = self._most, 0.0, 0
                self._usual = statistics.median(self._alone)
            return
        self._steps += 1
        if self._steps == 1:  # threads are woken in it
            return
        lost = min(seconds - self._usual, self.LOST / 2)  # one long step is chance
        self._lost = max(0.0, self._lost + lost)
        if self._lost > self.LOST:
            self.threads, self._left = 1, self._rest
            self._rest = min(2 * self._rest, self.LONG)
        elif self._steps > self._rest:
            self._rest = self.SHORT
