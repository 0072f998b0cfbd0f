"""What is done again, and by whom, with workers that are called here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cxrfeat.errors import InputError, StorageError
from cxrfeat.system.attempt import DEATHS, FAILURES
from cxrfeat.system.team import Lost, Team
from tests.places import DIES, Here


def doubling(place: Here, bad: dict[int, list[Any]]) -> Callable[[], Callable[[int], int]]:
    """Work that doubles, but does what is told of a number first, each time something else."""

    def start() -> Callable[[int], int]:
        def work(number: int) -> int:
            if bad.get(number):
                raise bad[number].pop(0)
            return 2 * number

        return work

    return start


def test_what_fails_or_dies_is_done_again_and_set_aside_at_last() -> None:
    place = Here(2)
    fault = ValueError("no")
    bad: dict[int, list[Any]] = {
        1: [fault],
        2: [DIES] * (DEATHS - 1),
        3: [fault] * FAILURES,
        4: [DIES] * DEATHS,
        5: [StorageError("full")],
    }
    with Team[int, int](place, doubling(place, bad)) as team:
        made = dict(team.each(range(8)))
        assert {number: one for number, one in made.items() if not isinstance(one, Lost)} == {
            0: 0, 1: 2, 2: 4, 5: 10, 6: 12, 7: 14,
        }  # fmt: skip
        assert made[3] == Lost("no")
        assert isinstance(made[4], Lost)
        deaths = DEATHS - 1 + DEATHS
        assert len(place.hired) in (deaths + 1, deaths + 2), "whoever dies is replaced, as far as there is work"
        assert dict(team.each([9])) == {0: 18}
        hired = len(place.hired)
        assert dict(team.each([5])) == {0: 10}
        assert len(place.hired) == hired, "they stay for more"
    assert not place.alive


def test_what_is_wrong_with_the_work_is_said_at_once_and_nobody_is_left() -> None:
    place = Here(2)
    work = doubling(place, {3: [InputError("No class.")]})
    with pytest.raises(InputError, match=r"^No class\.$"), Team[int, int](place, work) as team:
        list(team.each(range(8)))
    assert not place.alive
    with Team[int, int](place, doubling(place, {})) as team:
        for _ in team.each(range(8)):
            break
    assert not place.alive


def test_workers_that_never_get_ready_are_given_up_unless_others_are_at_work() -> None:
    place = Here(2, unready=99)
    with (
        pytest.raises(InputError, match=r"end before they are ready \(it fell over\)"),
        Team[int, int](place, doubling(place, {})) as team,
    ):
        list(team.each(range(3)))
    assert len(place.hired) in (6, 7)
    place = Here(2, unready=1)
    told: list[int] = []
    with Team[int, int](place, doubling(place, {})) as team:
        assert dict(team.each(range(3), ready=lambda: told.append(1))) == {0: 0, 1: 2, 2: 4}
    assert told


def test_a_worker_of_another_version_is_refused() -> None:
    place = Here(1, version="0.0")
    with (
        pytest.raises(InputError, match=r"have cxrfeat 0\.0, and this is"),
        Team[int, int](place, doubling(place, {})) as team,
    ):
        list(team.each([1]))
