"""Which rows to compute, cut into shards: arithmetic on values, no disk.

A plan is a pure function of what is to do and of the settings it pins, so a resumed run makes the same plan and needs
only to ask which shards are missing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

SHARD_VIEWS = 256
"""Views per shard, about: what a kill can cost, 10 to 60 seconds on 2 cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What decides the last bits of the numbers beside the spec; a resume keeps them."""

    engine: str
    batch: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The contents to compute, in shards."""

    settings: Settings
    todo: tuple[str, ...]
    """Content hashes, sorted, each once."""
    shard_images: int
    id: str = field(init=False)
    """Eight hexadecimal digits: equal for equal plans. Kept, for every shard's name asks for it."""

    def __post_init__(self) -> None:
        """Name the plan."""
        text = f"{self.settings} {self.shard_images} {' '.join(self.todo)}"
        object.__setattr__(self, "id", hashlib.sha256(text.encode()).hexdigest()[:8])

    @property
    def count(self) -> int:
        """Number of shards."""
        return math.ceil(len(self.todo) / self.shard_images)

    def shard(self, index: int) -> tuple[str, ...]:
        """The content hashes of one shard."""
        return self.todo[index * self.shard_images : (index + 1) * self.shard_images]


def make_plan(todo: Iterable[str], *, views: int, settings: Settings) -> Plan:
    """Cut the contents that no committed file has into shards of about `SHARD_VIEWS` views, in whole batches.

    Example:
        >>> plan = make_plan(["b", "a", "c", "a"], views=8, settings=Settings(engine="keras", batch=16, threads=2))
        >>> plan.todo, plan.shard_images, plan.count
        (('a', 'b', 'c'), 32, 1)
    """
    whole = settings.batch // math.gcd(settings.batch, views)  # this many images fill batches to the last row
    shard_images = max(1, round(SHARD_VIEWS / views / whole)) * whole
    return Plan(settings=settings, todo=tuple(sorted(set(todo))), shard_images=shard_images)
