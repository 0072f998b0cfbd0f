"""Findings stand with the worst first, and progress has the name of what is done."""

from __future__ import annotations

import itertools

import pytest

from cxrfeat.types import Finding, Status, failed_first, named


def finding(check: str, status: Status, *, strict: bool = False) -> Finding:
    return Finding(check=check, status=status, why="so", strict=strict)


def test_failed_checks_come_first_and_the_others_keep_their_order() -> None:
    found = [finding("a", Status.PASS), finding("b", Status.WARN), finding("c", Status.FAIL), finding("d", Status.WARN)]
    for order in itertools.permutations(found):
        told = [one.status for one in failed_first(order)]
        assert told == [Status.FAIL, Status.WARN, Status.WARN, Status.PASS]
        warned = [one for one in order if one.status == Status.WARN]
        assert failed_first(order)[1:3] == warned


def test_verdicts_are_ranked_from_the_best_to_the_worst() -> None:
    assert [status.rank for status in (Status.PASS, Status.WARN, Status.FAIL)] == [0, 1, 2]
    assert tuple(Status) == (Status.PASS, Status.WARN, Status.FAIL)


@pytest.mark.parametrize(
    ("status", "strict", "refused"),
    [
        (Status.PASS, False, False), (Status.WARN, False, False), (Status.FAIL, False, True),
        (Status.WARN, True, True), (Status.FAIL, True, True),
    ],
)  # fmt: skip
def test_strict_reading_refuses_what_failed_and_what_was_lost(status: Status, strict: bool, refused: bool) -> None:
    assert finding("a", status, strict=strict).refused is refused


def test_whoever_counts_is_told_under_a_name() -> None:
    told: list[tuple[str, int, int]] = []
    count = named(lambda *said: told.append(said), "reading")
    assert count is not None
    count(1, 2)
    count(2, 2)
    assert told == [("reading", 1, 2), ("reading", 2, 2)]
    assert named(None, "reading") is None
