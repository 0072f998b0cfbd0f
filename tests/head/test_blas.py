from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrfeat.head.blas import Matrix, add, add_product, product

SIDES = st.integers(1, 5)
ORDERS: st.SearchStrategy[Literal["C", "F"]] = st.sampled_from(["C", "F"])


def drawn(rows: int, columns: int, order: Literal["C", "F"]) -> Matrix:
    numbers = np.random.default_rng([rows, columns]).integers(-9, 9, (rows, columns))
    return np.array(numbers, np.float32, order=order)


@settings(deadline=None)  # the first loads SciPy
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
