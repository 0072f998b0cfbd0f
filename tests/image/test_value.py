from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.image.value import (
    LABEL_PLACEHOLDERS,
    PLACEHOLDERS,
    age_of,
    dates_of,
    differ_by_zeros,
    part_of,
    restored,
    scientific,
    unknown,
    words,
)
from cxrfeat.types import Part


def test_what_stands_for_unknown_is_so_in_any_case_and_any_space() -> None:
    for text in PLACEHOLDERS:
        assert unknown(text.upper())
        assert unknown(f" {text} ".replace(" ", "  "))
    assert LABEL_PLACEHOLDERS < PLACEHOLDERS
    assert not unknown("COVID")


@given(st.lists(st.sampled_from(["7", "07", "7.0", "007.00", "p1", "-3.0", "8"]), max_size=8))
def test_restoring_twice_is_restoring_once(values: list[str]) -> None:
    once, changed, _ = restored(values)
    assert len(once) == len(values)
    assert changed == sum(a != b for a, b in zip(once, values, strict=True))
    assert restored(once)[0] == once


def test_numbers_that_differ_by_zeros_are_one_only_where_a_spreadsheet_was() -> None:
    assert differ_by_zeros(["0", "00", "7", "x7"]) == [("0", "00")]
    assert restored(["0123", "123", "5.0"]) == (["123", "123", "5"], 2, True)
    assert restored(["0123", "123"]) == (["0123", "123"], 0, False)


def test_numbers_cut_to_a_few_digits_are_named_once() -> None:
    assert scientific(["1.2E+11", "1.2E+11", "3e5", "123", "E5", "p1.2E+11"]) == ["1.2E+11", "3e5"]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("58", 58.0), ("58.5", 58.5), ("58,5", 58.5), ("058Y", 58.0), ("018M", 1.5), ("6 months", 0.5),
        ("90+", 90.0), (">89", 89.0), ("over 89 years", 89.0), ("3 y old", 3.0), ("365.25 d", 1.0), ("0", 0.0),
        ("120", 120.0), ("121", None), ("-3", None), ("20s", None), ("", None), ("old", None), ("1e2", None),
    ],
)  # fmt: skip
def test_ages_in_the_forms_that_people_write_them(text: str, years: float | None) -> None:
    assert age_of(text) == (years if years is None else pytest.approx(years))


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2020-03-31", "2020-03-31"), ("2020/3/1", "2020-03-01"), ("20200331", "2020-03-31"),
        ("20200331.0", "2020-03-31"), ("31.3.2020", "2020-03-31"), ("March 31, 2020", "2020-03-31"),
        ("31 Mar 2020", "2020-03-31"), ("2020-03-31T10:00:00Z", "2020-03-31"), ("2020-03-31 10:00 PM", "2020-03-31"),
        ("2020", "2020"), ("2020-03", "2020-03"), ("2020.0", "2020"), ("2020-13", None), ("1492", None),
        ("2020-02-30", None), ("30.2.2020", None), ("soon", None), ("", None), ("43921", None),
    ],
)  # fmt: skip
def test_dates_in_the_forms_that_people_write_them(text: str, date: str | None) -> None:
    assert dates_of([text]) == [date]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["03/04/2020", "1/22/2020"], ["2020-03-04", "2020-01-22"]),
        (["03/04/2020", "22/1/2020"], ["2020-04-03", "2020-01-22"]),
        (["03/04/2020"], [None]),
        (["03/04/2020", "1/22/2020", "22/1/2020"], [None, None, None]),  # it holds both: none is sure
    ],
)
def test_the_column_decides_between_day_and_month(column: list[str], expected: list[str | None]) -> None:
    assert dates_of(column) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("train", Part.TRAIN), ("trainImages", Part.TRAIN), ("stage_2_train", Part.TRAIN), ("VAL", Part.VALIDATION),
        ("dev", Part.VALIDATION), ("test-set", Part.TEST), ("Testing", Part.TEST), ("train test", None),
        ("test results", None), ("holdout", None), ("training-free", None), ("", None),
    ],
)  # fmt: skip
def test_a_part_is_named_alone_or_beside_words_of_data(text: str, part: Part | None) -> None:
    assert part_of(text) is part


def test_words_part_at_signs_digits_and_capitals() -> None:
    assert words("CXRImages_v2-final") == ("cxr", "images", "v", "2", "final")
    assert words("") == ()
