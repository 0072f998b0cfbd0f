"""Work ahead of whoever takes it: the order of things for any number of threads, a bound, and no thread left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.system.ahead import Ahead


def slow_first(number: int) -> int:
    """The earlier ones take longest."""
    time.sleep(max(0, 5 - number) / 1000)
    return -number


def workers_gone() -> bool:
    return not [one for one in threading.enumerate() if one.name.startswith("ahead")]


@given(count=st.integers(0, 20), ahead=st.integers(1, 8), workers=st.integers(1, 5), together=st.integers(1, 9))
def test_results_keep_the_order_of_things(count: int, ahead: int, workers: int, together: int) -> None:
    with Ahead(slow_first, range(count), ahead=ahead, workers=workers) as results:
        parts = []
        while part := results.take(together):
            parts.append(part)
        assert list(results) == [], "nothing after the last"
    assert [one for part in parts for one in part] == [-number for number in range(count)]
    assert all(len(part) == together for part in parts[:-1])


@given(ahead=st.integers(1, 8), workers=st.integers(1, 5), taken=st.integers(0, 12))
def test_no_more_is_begun_than_may_wait(ahead: int, workers: int, taken: int) -> None:
    begun: list[int] = []

    def things() -> Iterator[int]:
        for number in range(100):
            begun.append(number)
            yield number

    with Ahead(lambda number: number, things(), ahead=ahead, workers=workers) as results:
        assert results.take(taken) == list(range(taken))
        assert len(begun) == taken + ahead
    assert workers_gone()


def test_work_goes_on_while_the_taker_is_busy() -> None:
    with Ahead(slow_first, range(10), ahead=4, workers=2) as results:
        results.take(1)
        deadline = time.monotonic() + 5
        while not all(one.done() for one in results._waiting) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert [one.result() for one in results._waiting] == [[-1], [-2], [-3], [-4]]


def broken(number: int) -> int:
    if number == 3:
        raise ZeroDivisionError(f"of {number}")
    return number


def test_what_work_raises_is_raised_in_its_place_and_ends_it() -> None:
    with Ahead(broken, range(100), ahead=5) as results:
        assert results.take(3) == [0, 1, 2]
        with pytest.raises(ZeroDivisionError, match="of 3"):
            next(results)
    with pytest.raises(ZeroDivisionError, match="of 3"), Ahead(broken, range(100), ahead=5) as results:
        list(results)
    assert workers_gone()


@pytest.mark.parametrize("at", [0, 2, 9])
def test_what_the_things_raise_is_raised_and_leaves_no_thread(at: int) -> None:
    def things() -> Iterator[int]:
        yield from range(at)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"), Ahead(slow_first, things(), ahead=5) as results:
        list(results)
    assert workers_gone()


def test_an_early_stop_drops_what_was_not_begun() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.01)
        done.append(number)
        return number

    with Ahead(work, range(1000), ahead=500, workers=2) as results:
        assert next(results) == 0
    assert len(done) < 20
    assert workers_gone()


def test_ctrl_c_ends_it_at_once_and_leaves_no_thread() -> None:
    def work(number: int) -> int:
        if number == 5:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.02)
        return number

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Ahead(work, range(10_000), ahead=1000, workers=2) as results:
        list(results)
    assert time.monotonic() - start < 5
    assert workers_gone()
