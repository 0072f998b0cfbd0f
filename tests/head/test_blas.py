from __future__ import annotations

import threading
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import ThreadpoolController, threadpool_limits

from cxrfeat.head.blas import Matrix, add, add_product, halves, product

SIDES = st.integers(1, 5)
ORDERS: st.SearchStrategy[Literal["C", "F"]] = st.sampled_from(["C", "F"])


def drawn(rows: int, columns: int, order: Literal["C", "F"]) -> Matrix:
    numbers = np.random.default_rng([rows, columns]).integers(-9, 9, (rows, columns))
    return np.array(numbers, np.float32, order=order)


@given(rows=SIDES, inner=SIDES, columns=SIDES, first=ORDERS, second=ORDERS, third=ORDERS, keep=st.integers(0, 2))
def test_products_are_numpys_in_every_order_of_memory(
    rows: int,
    inner: int,
    columns: int,
    first: Literal["C", "F"],
    second: Literal["C", "F"],
    third: Literal["C", "F"],
    keep: int,
) -> None:
    a, b, out = drawn(rows, inner, first), drawn(inner, columns, second), drawn(rows, columns, third)
    before = out.copy()
    np.testing.assert_array_equal(product(a, b), a @ b)
    add_product(out, a, b, -2, keep=keep)
    np.testing.assert_array_equal(out, keep * before - 2 * (a @ b))  # in place: `out` itself


def test_long_sums_are_numpys() -> None:
    a, b = drawn(3, 700, "F"), drawn(700, 4, "C")
    np.testing.assert_array_equal(product(a, b), a @ b)


def test_sums_are_added_where_they_lie() -> None:
    out, array = drawn(1, 7, "C")[0], drawn(2, 7, "C")[1]
    expected = out + 3 * array
    add(out, array, 3)
    np.testing.assert_array_equal(out, expected)


def test_what_would_be_copied_is_refused() -> None:
    whole, by_rows = drawn(4, 4, "F"), drawn(4, 3, "C")
    with pytest.raises(AssertionError):
        product(whole[::2], by_rows)
    with pytest.raises(AssertionError):
        add_product(whole[:2], by_rows[:2], by_rows.T, 1)
    with pytest.raises(AssertionError):
        add(whole[0], by_rows[0], 1)


def test_what_does_not_fit_together_is_refused() -> None:
    """BLAS is given addresses: it would read and write beyond the arrays."""
    with pytest.raises(AssertionError):
        product(drawn(2, 3, "F"), drawn(4, 2, "F"))
    with pytest.raises(AssertionError):
        add_product(drawn(2, 2, "F"), drawn(2, 3, "F"), drawn(3, 3, "F"), 1)
    with pytest.raises(AssertionError):
        add_product(drawn(2, 2, "F"), drawn(2, 3, "F"), drawn(3, 2, "F").astype(np.float64), 1)
    with pytest.raises(AssertionError):
        add(drawn(1, 7, "C")[0], drawn(1, 6, "C")[0], 1)


def threads_of_blas() -> set[int]:
    return {one["num_threads"] for one in ThreadpoolController().select(user_api="blas").info()}


@pytest.mark.parametrize("several", [True, False])
def test_halves_are_done_at_once_where_blas_has_several_threads(several: bool) -> None:
    here, meet = threading.get_ident(), threading.Barrier(2 if several else 1)
    seen: list[tuple[int, bool]] = []

    def work(half: int) -> None:
        meet.wait(timeout=30)  # each waits for the other
        seen.append((half, threading.get_ident() == here))

    with threadpool_limits(2 if several else 1, user_api="blas"):
        with halves() as both:
            assert threads_of_blas() == {1}
            both(work, (0, 1))
        assert threads_of_blas() == {2 if several else 1}
    assert sorted(seen) == [(0, not several), (1, True)]


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_in_either_half_arrives(bad: int) -> None:
    def work(half: int) -> None:
        if half == bad:
            raise ValueError("half")

    with threadpool_limits(2, user_api="blas"), halves() as both:
        with pytest.raises(ValueError, match="half"):
            both(work, (0, 1))
        both(print, ("", ""))  # and it goes on


def test_numbers_that_overflow_are_no_warning_in_either_half() -> None:
    def work(half: int) -> None:
        assert np.isinf(np.float32(1e38) * np.full(2, 10, np.float32)).all()

    with threadpool_limits(2, user_api="blas"), halves() as both:
        both(work, (0, 1))
