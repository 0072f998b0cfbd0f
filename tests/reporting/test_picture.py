from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.reporting.picture import activity, cut_out, framed, overlay, reduced, sheet
from tests.image.pattern import pattern


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\tb", "a\x00\x1bb", "a\u2028b", "a\ud800b"])
def test_what_cannot_be_drawn_in_one_line_is_left_out(text: str) -> None:
    grey = np.zeros((64, 64), np.uint8)
    np.testing.assert_array_equal(framed(grey, [text]), framed(grey, ["a b"]))
    np.testing.assert_array_equal(
        sheet([grey], [text], columns=1, title=text), sheet([grey], ["a b"], columns=1, title="a b")
    )


@pytest.mark.parametrize("side", [24, 64, 128, 299, 512])
@pytest.mark.parametrize("word", ["WEIGHTS", "W" * 60])
def test_text_is_never_cut_off(side: int, word: str) -> None:
    """What is drawn of the last word stays clear of the right edge, however small the picture."""
    line = f"class activation map for Pneumonia and something else; research use only: RANDOM {word}"
    for picture in (
        framed(np.zeros((side, side), np.uint8), [line, "short"]),
        sheet([np.zeros((side, side), np.uint8)], [""], columns=1, title=line),
    ):
        ground = picture[-1, -1]
        assert (picture[:, -2:] == ground).all()
        assert (picture[-2:] == ground).all()
    small = framed(np.zeros((side, side), np.uint8), ["short"])
    assert small.shape[1] < side + 60


def digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def test_pictures_of_tall_images_have_the_stored_bits() -> None:
    tall = pattern(700, 150)
    assert digest(reduced(tall, 64)) == "e4cb78ee72e52460"
    assert digest(cut_out(tall, (10, 20, 110, 600), (30, 40, 60, 90), 64)) == "239623335e703756"


def test_a_map_is_dark_at_its_lowest_and_light_at_its_highest_cell() -> None:
    drawn = activity(np.array([[0.0, 1.0], [3.0, 4.0]]), low=0.0, high=4.0, side=8)
    assert drawn.shape == (8, 8, 3)
    assert (drawn[0, 0].tolist(), drawn[-1, -1].tolist()) == ([0x44, 0x01, 0x54], [0xFD, 0xE7, 0x24])
    assert (np.diff(drawn[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int).sum(axis=1)) > 0).all()
    np.testing.assert_array_equal(activity(np.ones((2, 2)), low=1.0, high=1.0, side=2)[0, 0], drawn[0, 0])


def test_heat_colours_what_is_hot_and_leaves_the_rest_as_it_was() -> None:
    image = np.full((1, 3), 100, np.uint8)
    laid = overlay(image, np.array([[0.0, 0.5, 1.0]]))
    np.testing.assert_array_equal(laid[0, 0], [100, 100, 100])
    np.testing.assert_array_equal(laid[0, 2], np.rint(0.4 * 100 + 0.6 * np.array([0x80, 0, 0x26])))
    assert laid[0, 1].tolist() != [100, 100, 100]
