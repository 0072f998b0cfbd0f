from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from cxrfeat.run.record import FLAT, OMITTED, DamagedError, beside, from_json, to_json
from cxrfeat.spec import HeadSpec, to_dict
from cxrfeat.types import Status


@dataclass(frozen=True, kw_only=True)
class Inner:
    number: float
    words: tuple[str, ...] = field(default=(), metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    pair: tuple[int, str]
    shares: Mapping[str, Inner | None]
    mode: Literal["fast", "slow"]
    status: Status
    sure: bool
    head: HeadSpec = field(metadata=FLAT)
    note: str | None = field(default=None, metadata=OMITTED)
    of_note: int | None = field(default=None, metadata=beside("note"))


OUTER = Outer(
    inner=Inner(number=1), pair=(3, "x"), shares={"a": Inner(number=0.5, words=("b",)), "c": None}, mode="slow",
    status=Status.WARN, sure=True, head=HeadSpec(kind="knn"),
)  # fmt: skip
STORED: dict[str, Any] = {
    "inner": {"number": 1}, "pair": [3, "x"], "shares": {"a": {"number": 0.5, "words": ["b"]}, "c": None},
    "mode": "slow", "status": "warn", "sure": True, **to_dict(HeadSpec(kind="knn")),
}  # fmt: skip


def test_fields_stand_in_json_by_name() -> None:
    assert to_json(OUTER) == STORED
    assert from_json(Outer, STORED) == OUTER


def test_what_stands_beside_a_field_is_there_exactly_where_that_is() -> None:
    with_note = Outer(**{**vars(OUTER), "note": "so"})
    stored = to_json(with_note)
    assert stored == {**STORED, "note": "so", "of_note": None}
    assert from_json(Outer, stored) == with_note
    del stored["of_note"]
    with pytest.raises(DamagedError, match=r"^it lacks of_note$"):
        from_json(Outer, stored)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner": None}, r"^inner is None, not an object$"),
        ({"inner": {}}, r"^it lacks inner.number$"),
        ({"inner": {"number": "7"}}, r'^inner.number is "7", not a number$'),
        ({"inner": {"number": True}}, r"^inner.number is True, not a number$"),
        ({"inner": {"number": float("inf")}}, r"^inner.number is inf, not a number$"),
        ({"inner": {"number": 10**400}}, r"^inner.number is 10{39}\.\.\., not a number$"),
        ({"inner": {"number": 1, "words": ["a", 2]}}, r"^inner.words\[1\] is 2, not a text$"),
        ({"pair": [3]}, r"^pair is \[3\], not a list of 2$"),
        ({"pair": [3.5, "x"]}, r"^pair\[0\] is 3.5, not a whole number$"),
        ({"pair": "3x"}, r'^pair is "3x", not a list$'),
        ({"shares": [1]}, r"^shares is \[1\], not an object$"),
        ({"shares": {"a": {}}}, r"^it lacks shares.a.number$"),
        ({"mode": "faster"}, r'^mode is "faster", not one of fast, slow$'),
        ({"mode": ["fast"]}, r"^mode is \['fast'\], not one of fast, slow$"),
        ({"status": "good"}, r'^status is "good", not one of pass, warn, fail$'),
        ({"pair": [True, "x"]}, r"^pair\[0\] is True, not a whole number$"),
        ({"sure": 1}, r"^sure is 1, not true or false$"),
        ({"note": 5}, r"^note is 5, not a text$"),
        ({"note": None}, r"^note is None, not left out$"),
        ({"of_note": 5}, r"^of_note is 5, not left out$"),
        ({"note": "n" * 50, "of_note": "m" * 50}, r'^of_note is "m{39}\.\.\., not a whole number$'),
        ({"kind": "forest"}, r"There is no head 'forest'"),
        ({"later": 1}, r"not the description of a head .*later"),
    ],
)
def test_damage_is_said_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        from_json(Outer, {**STORED, **changes})
    with pytest.raises(DamagedError, match=r"^it is \[\], not an object$"):
        from_json(Outer, [])
