"""Content hashes side by side are a set of texts in every way that is asked of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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


def test_an_empty_text_is_no_hash_and_columns_keep_their_order() -> None:
    assert Keys(["b", "", "a", "b"]) == {"a", "b"}
    assert texts(column(["b", "a", "b"])) == ("b", "a", "b")
