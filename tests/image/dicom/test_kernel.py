from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrfeat.image.dicom import grey
from cxrfeat.image.dicom.grey import LINEAR, Shown, Window, grey_of
from cxrfeat.system.compiled import Compiled
from tests.image.dicom.test_grey import LAYOUT


@pytest.fixture(scope="module")
def kernel() -> Compiled:
    kernel = Compiled("cxrfeat.image.dicom.kernel")
    kernel.load()
    return kernel


@pytest.mark.few(37)
@pytest.mark.parametrize(
    ("words", "stored"), [("uint16", 16), ("uint16", 12), ("uint16", 8), ("uint8", 12), ("uint8", 8), ("uint8", 5)]
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "shown",
    [
        Shown(windows=(Window(100, 300, LINEAR),), photometric="MONOCHROME1", padding=(3, 4)),
        Shown(windows=(Window(128, 256, LINEAR),)),
        Shown(padding=(3, 4)),
        Shown(photometric="MONOCHROME1"),
    ],
)
@pytest.mark.parametrize("shape", [(50, 61), (48, 64), (3, 1)])
def test_compiled_loops_give_the_same_bits(
    words: str, stored: int, signed: bool, shown: Shown, shape: tuple[int, int], kernel: Compiled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    image = np.random.default_rng(1).integers(0, 2 ** min(stored, 8 * np.dtype(words).itemsize), shape).astype(words)
    layout = replace(LAYOUT, allocated=8 * image.itemsize, stored=stored, high=stored - 1, signed=signed)
    plain = grey_of(image, layout, shown)
    monkeypatch.setattr(grey, "KERNEL", kernel)
    compiled = grey_of(image, layout, shown)
    assert compiled.dtype == plain.dtype
    assert compiled.flags.writeable
    np.testing.assert_array_equal(compiled, plain)


@pytest.mark.parametrize("words", ["uint8", "uint16"])
@pytest.mark.parametrize("table", ["uint8", "float32"])
def test_every_word_is_looked_up_wherever_rows_begin_and_end(words: str, table: str, kernel: Compiled) -> None:
    look_up = getattr(kernel.load(), f"look_up_{words}_{table}")
    rng = np.random.default_rng(2)
    every = rng.integers(0, np.iinfo(words).max, 200, words, endpoint=True)
    entries = rng.integers(0, 255, np.iinfo(words).max + 1).astype(table)
    for start in (0, 1, 5, 15):
        for count in (0, 1, 15, 16, 17, 33, 100):
            room = np.full(200, 255, table)
            look_up(every[start : start + count], entries, room[start : start + count])
            expected = np.full(200, 255, table)
            expected[start : start + count] = entries[every[start : start + count]]
            np.testing.assert_array_equal(room, expected)


def test_pixels_may_begin_at_an_odd_place(kernel: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they do in a file that has an element of an odd length, against the standard."""
    image = np.random.default_rng(3).integers(0, 256, (64, 64)).astype(np.uint8)
    odd = np.frombuffer(b"x" + image.tobytes(), np.uint8, image.size, 1).reshape(image.shape)
    deep = np.frombuffer(b"x" + image.tobytes(), np.uint16, image.size // 2, 1).reshape(64, 32)
    monkeypatch.setattr(grey, "KERNEL", kernel)
    shown = Shown(windows=(Window(100, 180, LINEAR),))
    narrow = replace(LAYOUT, allocated=8, stored=8, high=7)
    np.testing.assert_array_equal(grey_of(odd, narrow, shown), grey_of(image, narrow, shown))
    whole = replace(LAYOUT, stored=16, high=15)
    np.testing.assert_array_equal(grey_of(deep, whole, shown), grey_of(deep.copy(), whole, shown))
