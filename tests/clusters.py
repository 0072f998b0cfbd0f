"""Real Ray clusters of this machine, for tests: what is left of one, and one that does some things twice."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cxrfeat.system.team import Lost, Place, Start, Team


def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip where Ray is not installed; have its workers find the tests."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))


def left() -> set[str]:
    """Processes of all clusters of this machine, and the folders of those that cxrfeat starts."""
    said = subprocess.run(["ps", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    alive = [line for line in said.splitlines() if re.search("raylet|gcs_server|ray::", line) and " Z" not in line]
    return {*alive, *map(str, Path(tempfile.gettempdir()).glob("cxrfeat-*"))}


def beheaded(what: str, whom: str) -> subprocess.CompletedProcess[str]:
    """What becomes of work whose cluster dies of the death of one of its processes."""
    command = [sys.executable, "-m", "tests.beheaded", what, whom]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


class Killer:
    """Kills workers at random, one whenever it is told that something is done, so many in all."""

    def __init__(self, most: int) -> None:
        """Kill nobody yet."""
        self._most, self._chance = most, random.Random(0)
        self.killed: set[int] = set()

    def __call__(self, what: str, done: int, total: int) -> None:
        """As progress."""
        del what, total
        said = subprocess.run(["pgrep", "-f", "ray::_Worker"], capture_output=True, text=True, check=False).stdout
        alive = [int(one) for one in said.split() if int(one) not in self.killed]
        if done > 1 and alive and len(self.killed) < self._most:
            chosen = self._chance.choice(alive)
            try:
                os.kill(chosen, signal.SIGKILL)
            except ProcessLookupError:  # it ends by itself
                return
            self.killed.add(chosen)


EVERY = 5
"""Of so many things one is done twice."""


class Twice(Team[Any, Any]):
    """A team that does every fifth thing twice, and has its workers note each attempt at one."""

    notes: Path
    """Of attempts: one line each."""

    def __init__(self, place: Place, start: Start) -> None:
        """As a team."""
        super().__init__(place, partial(_noting, start, self.notes))

    def each(
        self, things: Sequence[Any], *, ready: Callable[[], object] | None = None
    ) -> Iterator[tuple[int, Any | Lost]]:
        """As a team; the second time under the same number."""
        numbers = [*range(len(things)), *range(0, len(things), EVERY)]
        numbered = [(place, things[number]) for place, number in enumerate(numbers)]
        for place, made in super().each(numbered, ready=ready):
            yield numbers[place], made

    @classmethod
    def attempts(cls) -> Counter[int]:
        """How often each thing was begun."""
        return Counter(map(int, cls.notes.read_text().split()))


def _noting(start: Start, notes: Path) -> Callable[[tuple[int, Any]], Any]:
    work = start()

    def noted(thing: tuple[int, Any]) -> Any:
        with notes.open("a") as file:
            file.write(f"{thing[0]}\n")
        return work(thing[1])

    return noted
