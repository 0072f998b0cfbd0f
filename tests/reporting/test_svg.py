from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrfeat.reporting.svg import Frame, element, path, picture, ticks

EVIL = "</title><script>alert(1)</script>\"'&"


def test_texts_and_attributes_are_escaped() -> None:
    drawn = picture("k", EVIL, EVIL, 10, 20.5, element("text", EVIL, data_name=EVIL))
    root = ElementTree.fromstring(drawn)
    assert [child.tag for child in root] == ["title", "desc", "text"]
    assert {child.text for child in root} == {EVIL}
    assert root[2].attrib == {"data-name": EVIL}
    assert root.attrib["viewBox"] == "0 0 10 20.5"
    assert root.attrib["aria-labelledby"] == root[0].attrib["id"]


def test_what_is_none_is_left_out_and_nothing_inside_closes_the_element() -> None:
    assert element("path", d="M0 0", class_=None) == '<path d="M0 0"/>'


def test_a_frame_puts_its_corners_where_they_belong() -> None:
    frame = Frame(width=100, height=80, left=10, right=20, top=5, bottom=15, x=(2, 4), y=(-1, 1))
    assert frame.at(2, -1) == (10, 65)
    assert frame.at(4, 1) == (80, 5)
    assert Frame(x=(3, 3), y=(0, 0)).at(3, 0) == (46 + (360 - 46 - 22) / 2, 270 - 42 - (270 - 28 - 42) / 2)


def test_a_band_is_closed_and_goes_forth_on_top_and_back_below() -> None:
    frame = Frame(width=12, height=12, left=1, right=1, top=1, bottom=1)
    drawn = frame.band([0, 1], [0, 0], [1, 1], "c0")
    assert 'd="M1 1L11 1L11 11L1 11Z"' in drawn


@given(
    st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(3, 8)
)  # fmt: skip
def test_ticks_are_few_round_and_within(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert len(found) <= most
    slack = 1e-6 * max(span, abs(low), 1)
    assert all(low - slack <= value <= low + span + slack for value, _ in found)
    steps = {round((b - a) / span, 3) for (a, _), (b, _) in itertools.pairwise(found)}
    assert len(steps) <= 1


def test_ticks_of_one_value_are_that_value() -> None:
    assert ticks(2.5, 2.5) == [(2.5, "2.5")]
    assert [text for _, text in ticks(0, 0.7)] == ["0", "0.2", "0.4", "0.6"]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-9, 1234567.891])
def test_numbers_are_short(value: float) -> None:
    assert re.fullmatch(r"M[\d.e+]{1,12} 0", path([(value, 0.0)]))
