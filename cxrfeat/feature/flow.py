"""One network's views on their way: handed over in full batches, whatever shards they are of, and back by shard.

A network then never waits for the next shard to be begun, and only its very last batch is not full.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from cxrfeat.backbone.engine import Engine, Handing
from cxrfeat.types import Features, Undrawn, Views


class Rows:
    """The features of one shard, as they come."""

    def __init__(self, most: int, dim: int) -> None:
        """Make room.

        Args:
            most: Views that can be added, at most.
            dim: Numbers of a feature.
        """
        self._features: Features = np.empty((most, dim), dtype=np.float32)
        self._asked = self._there = 0

    def room(self, views: int) -> int:
        """The place of the first of some views that follow."""
        self._asked += views
        return self._asked - views

    def keep(self, start: int, features: Features) -> None:
        """Put features where they belong."""
        self._features[start : start + len(features)] = features
        self._there += len(features)

    @property
    def whole(self) -> bool:
        """Whether all that was asked for is there."""
        return self._there == self._asked

    @property
    def features(self) -> Features:
        """`(n, dim)`, in the order in which the views were added."""
        return self._features[: self._asked]


_Place = tuple[Rows, int, int]
"""Whose features some views of a batch are, from which row on, and how many."""


class _Waiting:
    """Views that do not fill a batch yet: all are drawn, or none is."""

    def __init__(self) -> None:
        self.parts: list[Views | Undrawn] = []
        self.places: list[_Place] = []
        self.count = 0

    def add(self, part: Views | Undrawn, place: _Place) -> None:
        self.parts.append(part)
        self.places.append(place)
        self.count += len(part)


def _part(views: Views | Undrawn, start: int, stop: int) -> Views | Undrawn:
    return views.part(start, stop) if isinstance(views, Undrawn) else views[start:stop]


def _together(parts: Sequence[Views | Undrawn]) -> Views | list[Undrawn]:
    undrawn = [one for one in parts if isinstance(one, Undrawn)]
    return undrawn or np.concatenate([one for one in parts if not isinstance(one, Undrawn)])


class Flow:
    """Hands the views of image after image to an engine; to be used in a `with` block."""

    def __init__(self, engine: Engine, tell: Callable[[int], None]) -> None:
        """Take an engine.

        Args:
            engine: Loaded and ready.
            tell: Called with the number of views that have features, whenever it has grown.
        """
        self._engine, self._tell, self._handing = engine, tell, Handing(engine)
        self._drawn, self._undrawn = _Waiting(), _Waiting()
        self._sent: deque[Sequence[_Place]] = deque()

    def __enter__(self) -> Self:
        """Begin."""
        self._handing.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self._handing.__exit__(kind, error, trace)

    def add(self, rows: Rows, views: Views | Undrawn) -> None:
        """Have the features of an image's views computed, soon, for these rows; the views must not change.

        Those that the engine draws itself are in batches of their own.
        """
        waiting = self._undrawn if isinstance(views, Undrawn) else self._drawn
        start = 0
        while start < len(views):
            stop = min(len(views), start + max(1, self._engine.batch - waiting.count))
            waiting.add(_part(views, start, stop), (rows, rows.room(stop - start), stop - start))
            if waiting.count >= self._engine.batch:  # more, where it was halved meanwhile
                self._hand_over(waiting)
            start = stop

    def finish(self) -> None:
        """Compute what no batch was filled with, and wait for everything."""
        for waiting in (self._drawn, self._undrawn):
            if waiting.count:
                self._hand_over(waiting)
        for features in self._handing.rest():
            self._keep(features)

    def _hand_over(self, waiting: _Waiting) -> None:
        self._sent.append(waiting.places)
        batch, waiting.parts, waiting.places, waiting.count = waiting.parts, [], [], 0
        for features in self._handing.begin(_together(batch)):
            self._keep(features)

    def _keep(self, features: Features) -> None:
        done = 0
        for rows, start, count in self._sent.popleft():
            rows.keep(start, features[done : done + count])
            done += count
        self._tell(done)
