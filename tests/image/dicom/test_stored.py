from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.element import PIXEL_DATA
from cxrfeat.image.dicom.header import read_header
from cxrfeat.image.dicom.stored import Layout, Words, check_layout, stored_words
from tests.dicoms import (
    BIG,
    DEFLATED,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    J2K,
    JPEG,
    JPEG_12,
    LOSSLESS,
    LS,
    RLE,
    dicom,
    frame,
    imagecodecs,
    pydicom,
)


def field(height: int, width: int, bits: int) -> NDArray[Any]:
    """Smooth with some noise, of all values."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(bits).normal(0, 0.01, (height, width))
    unit = (0.5 + 0.5 * np.sin(x / 9) * np.cos(y / 7) + noise).clip(0, 1)
    made: NDArray[Any] = np.rint(unit * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    return made


def words_of(content: bytes) -> Words:
    header = read_header(content)
    assert header.layout is not None
    assert header.pixels is not None
    check_layout(header.layout)
    return stored_words(header.layout, *header.pixels)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, RLE, LOSSLESS, LS, J2K, HTJ2K])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("size", [(33, 35), (64, 40)])
def test_what_is_stored_without_loss_comes_back(syntax: str, bits: int, size: tuple[int, int]) -> None:
    words = field(*size, bits)
    np.testing.assert_array_equal(words_of(dicom(words, syntax, stored=bits)), words)


@pytest.mark.parametrize(("syntax", "bits"), [(JPEG, 8), (JPEG_12, 12)])
def test_jpeg_of_either_depth_is_what_libjpeg_makes_of_it(syntax: str, bits: int) -> None:
    words = field(64, 48, bits)
    found = words_of(dicom(words, syntax, stored=bits))
    np.testing.assert_array_equal(found, imagecodecs.jpeg8_decode(frame(words, syntax, bits)))
    assert np.abs(found.astype(int) - words).max() <= 0.1 * 2**bits


def test_fragments_are_put_together() -> None:
    words = field(64, 48, 12)
    compressed = frame(words, LS, 12)
    content = dicom(words, LS, stored=12)
    split = pydicom.encaps.encapsulate([compressed], fragments_per_frame=5)
    start = read_header(content).pixels[1].start  # type: ignore[index]  # it has pixels, and fields go by name
    np.testing.assert_array_equal(words_of(content[:start] + split + b"\xfe\xff\xdd\xe0" + bytes(4)), words)


REFUSED = {
    # name: what the file says otherwise, why
    "colour": ({"samples": 3, "photometric": "RGB"}, "in colour"),
    "a palette": ({"photometric": "PALETTE COLOR"}, "in colour"),
    "one bit": ({"allocated": 1, "stored": 1, "high": 0}, "1 bits for a pixel"),
    "32 bits": ({"allocated": 32, "stored": 32, "high": 31}, "32 bits for a pixel"),
    "no bits": ({"stored": 0, "high": 0}, "more bits than room"),
    "more bits than room": ({"stored": 17}, "more bits than room"),
    "a high bit too low": ({"high": 3}, "more bits than room"),
    "a high bit too high": ({"high": 16}, "more bits than room"),
    "video": ({"syntax": "1.2.840.10008.1.2.4.102"}, "not read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_grey_picture_is_refused(name: str) -> None:
    changed, why = REFUSED[name]
    layout = read_header(dicom(field(33, 35, 12), stored=12)).layout
    assert layout is not None
    check_layout(layout)
    with pytest.raises(BadImageError, match=f"header: .*{why}"):
        check_layout(replace(layout, **changed))  # type: ignore[arg-type]  # it has pixels, and fields go by name


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, LOSSLESS, LS, J2K, HTJ2K, JPEG_12])
def test_pixels_cut_short_are_refused(syntax: str) -> None:
    content = dicom(field(64, 48, 12), syntax, stored=12)
    start = read_header(content).pixels[1].start  # type: ignore[index]  # it has pixels, and fields go by name
    for end in (start, start + 8, start + (len(content) - start) // 2, len(content) - 200):
        with pytest.raises(BadImageError, match=r"decode: (damaged|cut short)"):
            words_of(content[:end])


@pytest.mark.parametrize("syntax", [RLE, JPEG, JPEG_12, LOSSLESS, LS, J2K, HTJ2K])
def test_a_frame_of_another_size_is_refused_before_it_is_decoded(syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = field(64, 48, 8 if syntax == JPEG else 12)
    header = read_header(dicom(words, syntax, stored=8 if syntax == JPEG else 12))
    assert header.layout is not None
    if syntax != RLE:  # whose frame says no size: it is given room for what the header says
        for name in ("jpeg8", "jpegls", "jpeg2k"):
            monkeypatch.setattr(imagecodecs, f"{name}_decode", lambda _: pytest.fail("decoded"))
    for other in ({"rows": 63}, {"columns": 49}, {"rows": 48, "columns": 64} if syntax != RLE else {"rows": 65}):
        with pytest.raises(BadImageError, match="decode: "):
            stored_words(replace(header.layout, **other), *header.pixels)  # type: ignore[arg-type, misc]  # it has pixels, and fields go by name


def test_many_small_tiles_are_refused() -> None:
    content = dicom(field(64, 48, 12), J2K, stored=12)
    at = content.index(b"\xff\x4f\xff\x51")
    tiles = content[: at + 24] + (b"\0\0\0\1" * 2) + content[at + 32 :]
    with pytest.raises(BadImageError, match=r"damaged|not of the size"):
        words_of(tiles[: at + 8] + b"\0\0\xff\xff" * 2 + tiles[at + 16 :])


def test_of_what_is_not_compressed_nothing_is_copied() -> None:
    content = dicom(field(64, 48, 12), stored=12)
    words = words_of(content)
    assert not words.flags.writeable
    assert not words.flags.owndata
    assert PIXEL_DATA == 0x7FE00010


def test_the_words_of_decoders_have_no_bits_below_the_value() -> None:
    plain = {"rows": 1, "columns": 1, "samples": 1, "photometric": "MONOCHROME2", "allocated": 16, "stored": 12}
    plain |= {"high": 15, "signed": False, "little": True, "words": True}
    assert Layout(**plain, syntax=EXPLICIT).shift == 4  # type: ignore[arg-type]  # it has pixels, and fields go by name
    assert Layout(**plain, syntax=J2K).shift == 0  # type: ignore[arg-type]  # it has pixels, and fields go by name
