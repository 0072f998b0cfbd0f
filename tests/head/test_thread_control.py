from __future__ import annotations

import pytest

from cxrfeat.head.thread_control import Pace

ALONE, TOGETHER = 0.0013, 0.0008


def went(pace: Pace, steps: int, *, together: float = TOGETHER) -> int:
    """How many of so many steps had several threads, each taking so long."""
    several = 0
    for _ in range(steps):
        several += pace.threads > 1
        pace.took(together if pace.threads > 1 else ALONE)
    return several


def test_on_free_cores_all_threads_are_used() -> None:
    assert went(Pace(2), 1000) == 992


def test_one_thread_stays_one() -> None:
    assert went(Pace(1), 1000) == 0


def test_where_threads_lose_they_are_tried_ever_more_rarely() -> None:
    pace = Pace(2)
    assert went(pace, 5000, together=0.012) < 50
    assert went(pace, 5000) > 3500  # the cores are free again


def test_it_costs_little_where_threads_lose_a_little() -> None:
    """A step of 2 ms against 1.3: given up when 8 ms are lost."""
    assert went(Pace(2), 5000, together=0.002) < 150


@pytest.mark.parametrize("every", [10, 50])
def test_single_long_steps_are_chance(every: int) -> None:
    pace = Pace(2)
    several = 0
    for step in range(1000):
        several += pace.threads > 1
        pace.took(0.030 if step % every == every - 1 else TOGETHER if pace.threads > 1 else ALONE)
    assert several > 900
