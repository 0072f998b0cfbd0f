"""Resampling: one result for every Pillow, against stored digests and against sums written out by hand."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.image.resample import Filter, Original, Region, fitted_in, resized
from tests.image.pattern import pattern

SHAPES = [(299, 299), (400, 230), (230, 400), (1000, 200), (97, 31), (31, 97)]
"""Square, tall, wide, very tall, and odd ones."""


def triangle(length: int, size: int, low: float, high: float) -> NDArray[np.float64]:
    """`(size, length)`: what each pixel of the result takes of each pixel of a line, by the formula alone."""
    low, high = float(np.float32(low)), float(np.float32(high))
    scale = float(np.float32(high) - np.float32(low)) / size
    support = max(scale, 1.0)
    weights = np.zeros((size, length))
    for place in range(size):
        centre = low + (place + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(length, int(centre + support + 0.5))
        line = [max(0.0, 1 - abs((at - centre + 0.5) / max(scale, 1.0))) for at in range(first, last)]
        weights[place, first:last] = np.array(line) / sum(line)
    return weights


def by_hand(image: NDArray[Any], height: int, width: int, region: Region) -> NDArray[np.uint8]:
    """Rows, rounded to 8 bits, then columns, rounded again: Pillow's fixed-point arithmetic of 22 bits."""

    def one_pass(weights: NDArray[np.float64], columns: NDArray[Any]) -> NDArray[np.int64]:
        fixed = np.trunc(weights * (1 << 22) + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
        rounded: NDArray[np.int64] = np.clip((fixed @ columns + (1 << 21)) >> 22, 0, 255)
        return rounded

    left, upper, right, lower = region
    across = one_pass(triangle(image.shape[1], width, left, right), image.T.astype(np.int64)).T
    return one_pass(triangle(image.shape[0], height, upper, lower), across).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("zoom", [1.0, 1.07, 1.2, 3.3])
def test_rows_go_first_whatever_the_form(shape: tuple[int, int], zoom: float) -> None:
    image = pattern(*shape)
    height, width = shape
    region = (width / 2 - width / 2 / zoom, height / 2 - height / 2 / zoom,
              width / 2 + width / 2 / zoom, height / 2 + height / 2 / zoom)  # fmt: skip
    made = Original(image).resized(64, 48, "bilinear", region)
    assert np.array_equal(made, by_hand(image, 64, 48, region))


@given(st.integers(2, 60), st.integers(2, 60), st.integers(1, 40), st.integers(1, 40), st.data())
def test_leaving_rows_out_changes_nothing(height: int, width: int, tall: int, wide: int, data: st.DataObject) -> None:
    """8-bit grey is resampled from a part of its rows; three channels of it from all of them."""
    image = pattern(height, width)
    upper = data.draw(st.floats(0, height - 1))
    left = data.draw(st.floats(0, width - 1))
    region = (left, upper, data.draw(st.floats(left + 0.5, width)), data.draw(st.floats(upper + 0.5, height)))
    how: Filter = data.draw(st.sampled_from(["box", "bilinear", "bicubic"]))
    part = Original(image).resized(tall, wide, how, region)
    whole = Original(np.dstack([image] * 3)).resized(tall, wide, how, region)
    assert np.array_equal(np.dstack([part] * 3), whole)


@pytest.mark.parametrize("shape", [(299, 299), (230, 400)])
@pytest.mark.parametrize("deep", [False, True])
def test_square_and_wide_images_have_the_pixels_of_one_call_of_pillow(shape: tuple[int, int], deep: bool) -> None:
    image = pattern(*shape, deep=deep)
    expected = np.asarray(Image.fromarray(image).resize((96, 80), Image.Resampling.BILINEAR))
    assert np.array_equal(resized(image, 80, 96, "bilinear"), expected)


# Equal with Pillow 12.3.0 and 13.0.0. Were one of them another, features of one fingerprint would no longer be.
DIGESTS = {
    ((299, 299), "box"): ("15ef6d192bd66c0b", "f8125b7437082135", "f53254880a9c34aa"),
    ((400, 230), "box"): ("f99960afa7dfc17e", "79bfeb3e38f085b4", "3817ce6b22878fbc"),
    ((230, 400), "box"): ("a1ec38bb8b5dc112", "64f61e76047d2391", "30b2bfd9d2b16b0c"),
    ((1000, 200), "box"): ("d0b816ab0664ec48", "d600f1bf147b3d1a", "f46673f947722cb3"),
    ((97, 31), "box"): ("435701701118e2f9", "b48998d7a3ee4d58", "429b0676acc9ea75"),
    ((31, 97), "box"): ("d17841f38e7e9c10", "7a680f71fee28dbe", "ceb81ec43f2b9fed"),
    ((299, 299), "bilinear"): ("abfb065502dc60bc", "3b2c720e9eb2fb4f", "8a9d808ce381caa8"),
    ((400, 230), "bilinear"): ("f8f625590811d4cd", "7ed18b1892d0a37a", "80abdcc9b1a8569b"),
    ((230, 400), "bilinear"): ("1fca74d06e8cd7d6", "ba288df8e9f533f5", "48821a582fb8b461"),
    ((1000, 200), "bilinear"): ("17f3bceda56d83be", "cbe8ca702f278aac", "f41e2154212b6a0d"),
    ((97, 31), "bilinear"): ("b64bacd5d2d00d32", "f9223482d2f1ef65", "0252b987cf1f0ce8"),
    ((31, 97), "bilinear"): ("f97a8f33331822a2", "45f6f05a01710056", "810a100130b75772"),
    ((299, 299), "bicubic"): ("91fd1ab47be20db7", "0c7c508a307565b7", "f543a4920d45fa25"),
    ((400, 230), "bicubic"): ("c674978849a9bcc5", "ba58b263a0ace077", "1982944bf5005d9b"),
    ((230, 400), "bicubic"): ("800aa2be3e0cb67a", "3fced1f4304b140b", "713c5434e839b050"),
    ((1000, 200), "bicubic"): ("45f8ff1a5dd5675c", "eec9e2c84596640e", "83427e9ab6cbf428"),
    ((97, 31), "bicubic"): ("9fc24176137766f1", "4e3fcefb85a2b81d", "ea8a75d8d1ba55cd"),
    ((31, 97), "bicubic"): ("63c0ecdec81b946c", "4520d44a78bee627", "074bdbfd66d8bbe2"),
}


def digest(pixels: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("how", ["box", "bilinear", "bicubic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_are_those_that_were_stored(shape: tuple[int, int], how: Filter) -> None:
    image = pattern(*shape)
    height, width = shape
    whole = resized(image, 64, 48, how)
    part = Original(image).resized(50, 60, how, (width / 7, height / 9, width * 0.8, height * 0.9))
    # Floats are rounded to thousandths: the last bit of a sum is the processor's.
    deep = np.rint(resized(pattern(*shape, deep=True), 64, 48, how).astype(np.float64) * 1000).astype("<i4")
    assert (digest(whole), digest(part), digest(deep)) == DIGESTS[(shape, how)]


@pytest.mark.parametrize("shape", [(500, 100), (100, 500), (333, 331), (1000, 999)])
def test_a_picture_fits_a_square_in_its_own_form(shape: tuple[int, int]) -> None:
    height, width = shape
    small = fitted_in(np.full(shape, 77, np.uint8), 90)
    assert max(small.shape) == 90
    assert small.shape[0] / small.shape[1] == pytest.approx(height / width, rel=1 / min(small.shape))
    assert (small == 77).all(), "edges are not darkened"
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), shape)
    expected = (np.arange(small.shape[1]) + 0.5) * 255 / small.shape[1]
    assert np.abs(fitted_in(ramp, 90).mean(axis=0) - expected).max() < 255 / small.shape[1]
    assert math.isclose(float(fitted_in(pattern(*shape), 90).mean()), float(pattern(*shape).mean()), abs_tol=1)


def test_a_small_picture_is_left_as_it_is() -> None:
    image = pattern(40, 60)
    assert fitted_in(image, 60) is image
