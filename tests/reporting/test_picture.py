from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.reporting.picture import HEAT, cut_out, framed, reduced, sheet
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


def test_heat_has_the_colours_of_matplotlib() -> None:
    from matplotlib import colormaps

    from cxrfeat.reporting.picture import _shades

    wanted = np.asarray(colormaps[HEAT](np.arange(256), bytes=True))[:, :3]
    np.testing.assert_array_equal(_shades(HEAT), wanted)


def digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def test_pictures_of_tall_images_have_the_stored_bits() -> None:
    tall = pattern(700, 150)
    assert digest(reduced(tall, 64)) == "e4cb78ee72e52460"
    assert digest(cut_out(tall, (10, 20, 110, 600), (30, 40, 60, 90), 64)) == "239623335e703756"
