"""Which rows to compute, cut into shards: arithmetic on values, no disk.

A plan is a pure function of what is to do and of the settings it pins, so a resumed run makes the same plan and needs
only to ask which shards are missing.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cxrfeat.errors import UsageError
from cxrfeat.feature.keys import Column, Keys, texts

SHARD_VIEWS = 256
"""Views per shard, about: what a kill can cost, 10 to 60 seconds on 2 cores."""


_HASHED_AT_ONCE = 1 << 16

_LEAST_VIEWS, _EACH = 32, 8
"""Views of a shard at least, and shards for each worker at least, where several compute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the last bits of the numbers beside the spec; a resume keeps them."""

    engine: str
    batch: int
    threads: int
    shard_views: int = 0
    """Views per shard, about; 0 is `SHARD_VIEWS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The contents to compute, in shards."""

    settings: Settings
    todo: Keys
    """Content hashes."""
    shard_images: int
    id: str = field(init=False)
    """Eight hexadecimal digits: equal for equal plans. Kept, for every shard's name asks for it."""

    def __post_init__(self) -> None:
        """Name the plan."""
        digest = hashlib.sha256(f"{self.settings} {self.shard_images} ".encode())
        for start in range(0, len(self.todo), _HASHED_AT_ONCE):
            some = self.todo.array[start : start + _HASHED_AT_ONCE].tolist()
            digest.update((b" " if start else b"") + b" ".join(some))
        object.__setattr__(self, "id", digest.hexdigest()[:8])

    @property
    def count(self) -> int:
        """Number of shards."""
        return math.ceil(len(self.todo) / self.shard_images)

    def images(self, index: int) -> int:
        """How many contents a shard has."""
        return max(0, min(self.shard_images, len(self.todo) - index * self.shard_images))

    def keys(self, index: int) -> Column:
        """The content hashes of one shard, as a part of `todo`."""
        return self.todo.array[index * self.shard_images : (index + 1) * self.shard_images]

    def shard(self, index: int) -> tuple[str, ...]:
        """The same as texts."""
        return texts(self.keys(index))


def make_plan(todo: Iterable[str], *, views: int, settings: Settings) -> Plan:
    """Cut the contents that no committed file has into shards of about `SHARD_VIEWS` views, in whole batches.

    Example:
        >>> plan = make_plan(["b", "a", "c", "a"], views=8, settings=Settings(engine="keras", batch=16, threads=2))
        >>> plan.shard(0), plan.shard_images, plan.count
        (('a', 'b', 'c'), 32, 1)
    """
    whole = settings.batch // math.gcd(settings.batch, views)  # this many images fill batches to the last row
    shard_images = max(1, round((settings.shard_views or SHARD_VIEWS) / views / whole)) * whole
    return Plan(settings=settings, todo=Keys(todo), shard_images=shard_images)


def shard_views(views: int, workers: int, most: int = SHARD_VIEWS) -> int:
    """Views per shard where so many workers share so many views, so that none is idle long while the last are computed.

    Args:
        views: All of them.
        workers: How many share them.
        most: In a shard.

    Example:
        >>> shard_views(1196, 2), shard_views(10**6, 2), shard_views(100, 8)
        (74, 256, 32)
    """
    return max(_LEAST_VIEWS, min(most, views // (_EACH * workers)))


@dataclass(frozen=True, slots=True)
class Share:
    """One of so many equal shares of a plan, as the processes of an array take them."""

    index: int
    """From 0."""
    count: int

    def of(self, shards: Sequence[int]) -> list[int]:
        """Its shards; those of all shares together are all of them, and none is in two.

        Example:
            >>> [Share(index, 3).of(range(7)) for index in range(3)]
            [[0, 3, 6], [1, 4], [2, 5]]
        """
        return [shard for shard in shards if shard % self.count == self.index]

    def __str__(self) -> str:
        """As `read_share` takes it, counted from 1."""
        return f"{self.index + 1}/{self.count}"


def read_share(text: str) -> Share:
    """What `2/7` says. Arrays count from 0 or from 1: the last of seven is `7/7`, or `0/7`.

    Raises:
        UsageError: If there is no such share.

    Example:
        >>> read_share("1/7"), read_share("7/7") == Share(6, 7), read_share("0/7") == Share(6, 7)
        (Share(index=0, count=7), True, True)
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", str(text))
    index, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not count or index > count:
        raise UsageError(f"`shard` is I/N, such as 2/7: the second of seven shares, I from 1 to N; got {text!r}.")
    return Share((index - 1) % count, count)
