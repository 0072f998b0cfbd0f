"""Grey values against the formulas of the standard, written out pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.grey import LINEAR, LINEAR_EXACT, SIGMOID, Lut, Shown, Window, grey_of, how_shown
from cxrfeat.image.dicom.stored import Layout

LAYOUT = Layout(rows=64, columns=64, samples=1, photometric="MONOCHROME2", allocated=16, stored=12, high=11,
                signed=False, syntax="1.2.840.10008.1.2.1", little=True, words=True)  # fmt: skip
EVERY = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""Each stored value of 12 bits once."""


def linear(x: float, c: float, w: float) -> float:
    """PS3.3, C.11.2.1.2.1, with an output of 0 to 255."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    return 255.0 if x > c - 0.5 + (w - 1) / 2 else ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


def exact(x: float, c: float, w: float) -> float:
    """PS3.3, C.11.2.1.3.2."""
    if x <= c - w / 2:
        return 0.0
    return 255.0 if x > c + w / 2 else ((x - c) / w + 0.5) * 255


def sigmoid(x: float, c: float, w: float) -> float:
    """PS3.3, C.11.2.1.3.1."""
    return 255 / (1 + math.exp(min(-4 * (x - c) / w, 700)))


@pytest.mark.parametrize("formula", [linear, exact, sigmoid])
@pytest.mark.parametrize(
    ("centre", "width"), [(2048.0, 4096.0), (1000.5, 1.0), (300.0, 2.0), (-50.0, 900.0), (9e4, 5.0)]
)
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (-2.5, 1024.0), (0.25, -7.5)])
def test_windows_follow_their_formulas(
    formula: object, centre: float, width: float, slope: float, intercept: float
) -> None:
    function = {linear: LINEAR, exact: LINEAR_EXACT, sigmoid: SIGMOID}[formula]  # type: ignore[index]  # of one kind of function
    shown = Shown(slope=slope, intercept=intercept, windows=(Window(centre, width, function),))
    expected = [formula(x * slope + intercept, centre, width) for x in range(4096)]  # type: ignore[operator]  # of one kind of function
    grey = grey_of(EVERY, LAYOUT, shown)
    np.testing.assert_allclose(grey.ravel(), expected, atol=1e-4 if grey.dtype == np.float32 else 0.05)


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("<u2", 8), ("<u2", 10), (">u2", 12), ("<u2", 16)])
@pytest.mark.parametrize("first", [0, 500])
def test_a_lookup_table_is_looked_up(kind: str, bits: int, first: int) -> None:
    """Also of 4096 entries of 8 bits, the usual one, which pydicom's own function reads at `value mod 256`."""
    entries = np.rint(np.linspace(0, 2**bits - 1, 3000)).astype(kind)
    shown = Shown(luts=(Lut(entries.tobytes(), kind, first, bits),))
    expected = [int(entries[min(max(x - first, 0), 2999)]) / (2**bits - 1) * 255 for x in range(4096)]
    np.testing.assert_allclose(grey_of(EVERY, LAYOUT, shown).ravel(), expected, atol=1e-4)


def test_the_modality_goes_before_what_is_shown() -> None:
    modality = Lut(np.arange(4096, dtype="<u2")[::-1].tobytes(), "<u2", 0, 12)
    window = Shown(modality=modality, slope=7.0, windows=(Window(1000, 500, LINEAR),))
    expected = [linear(4095 - x, 1000, 500) for x in range(4096)]
    np.testing.assert_allclose(grey_of(EVERY, LAYOUT, window).ravel(), expected, atol=1e-4)
    whole = grey_of(EVERY, LAYOUT, Shown(modality=modality))
    np.testing.assert_allclose(whole.ravel(), (4095 - np.arange(4096)) / 4095 * 255, atol=1e-4)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", "", False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "", True),
        ("MONOCHROME1", "INVERSE", True),  # the two say one thing, as DX demands
        ("MONOCHROME1", "IDENTITY", True),
    ],
)
def test_low_is_white_if_either_says_so(photometric: str, shape: str, inverted: bool) -> None:
    grey = grey_of(
        EVERY // 2, LAYOUT, Shown(photometric=photometric, shape=shape)
    )  # of what the bits hold, not of what is there
    straight = (np.arange(4096) // 2) / 4095 * 255
    np.testing.assert_allclose(grey.ravel(), 255 - straight if inverted else straight, atol=1e-4)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("high", [11, 13, 15])
def test_bits_beside_the_value_are_cleared_and_signs_extended(signed: bool, high: int) -> None:
    shift, rng = high - 11, np.random.default_rng(high)
    beside = rng.integers(0, 65536, EVERY.shape).astype(np.uint16) & ~np.uint16(4095 << shift)
    words = ((EVERY << shift) | beside).astype(np.uint16)
    values = np.where(EVERY >= 2048, EVERY.astype(int) - 4096, EVERY) if signed else EVERY
    shown = Shown(windows=(Window(0, 4096, LINEAR_EXACT),))
    expected = [exact(x, 0, 4096) for x in values.ravel().tolist()]
    grey = grey_of(words, replace(LAYOUT, signed=signed, high=high), shown)
    np.testing.assert_allclose(grey.ravel(), expected, atol=1e-4)
    whole = grey_of(words, replace(LAYOUT, signed=signed, high=high), Shown())
    low = -2048 if signed else 0
    np.testing.assert_allclose(whole.ravel(), (values.ravel() - low) / 4095 * 255, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "stored", "signed", "black", "white"),
    [
        ((0, 65535), 16, False, 0, 65535),
        ((10, 9000), 16, False, 0, 65535),  # 14 bits: a dark image of 16 may be one
        ((10, 8191), 16, False, 0, 8191),
        ((10, 4095), 16, False, 0, 4095),  # 12 bits that are called 16
        ((10, 200), 16, False, 0, 255),
        ((10, 200), 12, False, 0, 255),
        ((10, 600), 12, False, 0, 4095),
        ((-5, 100), 16, True, -32768, 32767),
        ((5, 30000), 16, True, 0, 32767),  # never negative
        ((5, 3000), 16, True, 0, 4095),
    ],
)
def test_without_a_window_the_range_is_that_of_the_bits_that_are_used(
    values: tuple[int, int], stored: int, signed: bool, black: int, white: int
) -> None:
    words = np.array([values], np.int64).astype(np.uint16)
    layout = replace(LAYOUT, stored=stored, high=stored - 1, signed=signed)
    expected = (np.array([values]) - black) / (white - black) * 255
    np.testing.assert_allclose(grey_of(words, layout, Shown()), expected, atol=0.05)
    rescaled = grey_of(words, layout, Shown(slope=3.0, intercept=-1000.0))
    np.testing.assert_allclose(rescaled, expected, atol=0.05)
    falling = grey_of(words, layout, Shown(slope=-1.0, intercept=4095.0))
    np.testing.assert_allclose(falling, 255 - expected, atol=0.05)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_plays_no_part_in_the_range(photometric: str) -> None:
    words = np.array([[0, 100, 200, 4000, 4095]], np.uint16)
    grey = grey_of(words, LAYOUT, Shown(photometric=photometric, padding=(4000, 4095)))
    expected = [[255, 155, 55, 0, 0]] if photometric == "MONOCHROME1" else [[0, 100, 200, 0, 0]]
    np.testing.assert_array_equal(grey, expected)
    nothing_else = grey_of(np.full((1, 3), 7, np.uint16), LAYOUT, Shown(padding=(7, 7)))
    assert nothing_else.max() == 0


def test_up_to_8_bits_the_grey_is_rounded_once() -> None:
    words = np.arange(256, dtype=np.uint8).reshape(16, 16)
    layout = replace(LAYOUT, allocated=8, stored=8, high=7)
    np.testing.assert_array_equal(grey_of(words, layout, Shown()), words)
    six = grey_of(words, replace(layout, stored=6, high=5), Shown())
    np.testing.assert_array_equal(six, np.rint((words & 63) / 63 * 255).astype(np.uint8))


def test_an_image_of_8_bits_in_more_is_what_it_was() -> None:
    """And one value between them makes it one of more bits."""
    image = np.random.default_rng(0).integers(0, 256, (300, 300)).astype(np.uint16)
    sixteen = replace(LAYOUT, stored=16, high=15)
    twelve = np.rint(image * (4095 / 255)).astype(np.uint16)
    for words, layout in ((image * 257, sixteen), (twelve, LAYOUT)):
        whole = grey_of(words, layout, Shown())
        assert whole.dtype == np.uint8
        np.testing.assert_array_equal(whole, image)
        words[211, 7] = 1000
        deep = grey_of(words, layout, Shown())
        assert deep.dtype == np.float32
        assert np.abs(deep - image)[:200].max() < 0.04


def test_the_first_that_is_one_is_taken_and_said() -> None:
    lut = Lut(bytes(range(256)), "u1", 0, 8)
    windows = (Window(1, 0, LINEAR), Window(1, 0.5, LINEAR), Window(9, 300, LINEAR), Window(5, 5, LINEAR))
    assert how_shown(Shown(luts=(lut, lut), windows=windows)) == "VOI LUT 1 of 2"
    assert how_shown(Shown(luts=(lut,))) == "VOI LUT"
    assert how_shown(Shown(windows=windows)) == "window 3 of 4"
    assert how_shown(Shown(windows=windows[2:3])) == "window"
    assert how_shown(Shown(windows=(Window(1, 0.5, SIGMOID),))) == "window (SIGMOID)"
    assert how_shown(Shown(windows=windows[:2])) == how_shown(Shown()) == "whole range"
    both = grey_of(EVERY, LAYOUT, Shown(windows=windows))
    np.testing.assert_array_equal(both, grey_of(EVERY, LAYOUT, Shown(windows=windows[2:3])))


def test_a_slope_of_nothing_is_refused() -> None:
    with pytest.raises(BadImageError, match="slope is 0"):
        grey_of(EVERY, LAYOUT, Shown(slope=0.0))
