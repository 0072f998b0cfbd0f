"""Content hashes side by side are a set of texts in every way that is asked of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.feature import keys
from cxrfeat.feature.keys import Keys, column, texts

SOME = st.sets(st.text("abcdef0123456789", min_size=1, max_size=64), max_size=20)


@given(SOME, SOME)
def test_they_are_a_set(ours: set[str], theirs: set[str]) -> None:
    one, other = Keys(ours), Keys(theirs)
    assert one == ours
    assert (one == other) == (ours == theirs)
    assert list(one) == sorted(ours)
    assert one.part(slice(1, 3)) == tuple(sorted(ours)[1:3])
    assert one - other == ours - theirs
    assert one & other == ours & theirs
    assert one | other == ours | theirs
    assert one - theirs == ours - theirs
    assert all((sha in one) == (sha in ours) for sha in theirs)
    assert {hash(Keys(order)) for order in (ours, sorted(ours), sorted(ours)[::-1])} == {hash(one)}


@given(SOME, st.lists(st.text("abc", min_size=1, max_size=3)))
def test_places_are_those_of_the_order(ours: set[str], asked: list[str]) -> None:
    order = sorted(ours)
    places = Keys(ours).places(column(asked)).tolist()
    assert places == [order.index(sha) if sha in ours else -1 for sha in asked]


def test_many_are_found_where_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some begin with the same eight digits, and some are not there, of which a few begin as others do."""
    draw = np.random.default_rng(0)
    every = [f"{draw.integers(0, 40):08x}" + draw.bytes(28).hex() for _ in range(600)]
    some = Keys(every[::2])
    few = [int(some.places(column([sha]))[0]) for sha in every]
    monkeypatch.setattr(keys, "_MANY", 1)
    monkeypatch.setattr(keys, "_AT_ONCE", 100)
    assert some.places(column(every)).tolist() == few
    assert few.count(-1) == 300
    assert some.places(column(["", "0" * 8, "g" * 64])).tolist() == [-1, -1, -1]
    assert Keys().places(column(every)).tolist() == [-1] * 600


def test_of_the_same_set_there_is_no_second_copy() -> None:
    some = Keys("abc")
    assert some.again(column("cabca")).array is some.array
    assert some.again(column("ab")) == {"a", "b"}
    assert some.again(column("abcd")) == {"a", "b", "c", "d"}
    assert (some | Keys("ca")).array is some.array
    assert (Keys("ca") | some).array is some.array
    assert (Keys() | some).array is some.array
    assert (some | Keys()).array is some.array
    assert (Keys() | Keys()) == set()
    assert Keys().again(column(())) == set()


def test_an_empty_text_is_no_hash_and_columns_keep_their_order() -> None:
    assert Keys(["b", "", "a", "b"]) == {"a", "b"}
    assert texts(column(["b", "a", "b"])) == ("b", "a", "b")
