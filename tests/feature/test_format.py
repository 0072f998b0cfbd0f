from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.feature import format as formats
from cxrfeat.feature.format import CODED, COLUMNS, Content, code, row_shape
from tests.feature.content import make_content


@given(st.permutations(range(5)))
def test_the_data_are_named_by_content_and_label_in_any_order(order: list[int]) -> None:
    content, _ = make_content()
    columns = {name: column[order] for name, column in content.columns.items()}
    assert dataclasses.replace(content, columns=columns).data_sha256 == content.data_sha256
    other = dataclasses.replace(content, columns={**columns, "label": (columns["label"] + 1) % 3})
    assert other.data_sha256 != content.data_sha256


@given(st.lists(st.sampled_from(["b", "a", "", None, "\u00fc"]), max_size=12))
def test_texts_come_back_from_their_numbers_and_unknown_is_minus_1(texts: list[str | None]) -> None:
    numbers, values = code(texts)
    assert numbers.dtype == np.int32
    assert values == sorted(set(values))
    assert [None if number < 0 else values[number] for number in numbers] == [text or None for text in texts]


def test_a_coded_column_is_a_column_of_small_numbers() -> None:
    assert {COLUMNS[name][0] for name in CODED} == {"<i4"}
    assert {name for name in CODED if COLUMNS[name][1]} == {"kept_texts"}


def test_a_row_is_as_long_as_there_are_names() -> None:
    content, _ = make_content(views=3)
    assert row_shape("findings", content.spec, content.names) == (2,)
    assert row_shape("view_params", content.spec, content.names) == (3, 3)
    assert row_shape("kept_numbers", content.spec, {**content.names, "kept_numbers": []}) == (0,)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: {"classes": ("A", "B", "C")},
        lambda content: {"quarantine": []},
        lambda content: {"columns": {**content.columns, "sex": content.columns["sex"][::-1].copy()}},
        lambda content: {"values": {**content.values, "source": ["elsewhere", "here"]}},
        lambda content: {"names": {**content.names, "findings": ["Mass", "Edema"]}},
        lambda content: {"columns": {**content.columns, "findings": content.columns["findings"][:, ::-1]}},
    ],
)
def test_contents_are_the_same_when_all_but_their_makers_is(change: Callable[[Content], dict[str, Any]]) -> None:
    content, _ = make_content()
    assert content.same(dataclasses.replace(content, engine="another", versions={}))
    other: Content = dataclasses.replace(content, **change(content))
    assert not content.same(other)
    assert not other.same(content)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("at_once", [1, 2, 4096])
def test_columns_are_compared_to_the_last_row(rows: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_ROWS_AT_ONCE", at_once)
    ages = np.full(rows, np.nan, np.float32)
    assert formats._same(ages, ages.copy(), nan=True)
    assert not formats._same(ages, ages.copy(), nan=False)
    assert not formats._same(ages, ages[1:], nan=True)
    other = ages.copy()
    other[-1] = 7
    assert not formats._same(ages, other, nan=True)
    portraits = np.zeros((rows, 2, 2), np.uint8)
    assert not formats._same(portraits, portraits.reshape(rows, 4), nan=False)
