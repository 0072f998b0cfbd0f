from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import decode
from cxrfeat.image.png import _unpacked_bytes, check_png, png_chunks
from tests.image.encode import HEIGHT, WIDTH, encode, noise, png, png_header, png_rows, ramp


def test_a_png_with_fewer_rows_than_it_declares_is_refused() -> None:
    content = png(png_header(WIDTH, HEIGHT), png_rows(ramp()[: HEIGHT // 2]), (b"IEND", b""))
    with pytest.raises(BadImageError, match="fewer rows"):
        decode(content)


def test_a_changed_byte_in_a_png_is_noticed() -> None:
    content = bytearray(encode(noise(), "PNG"))
    content[len(content) // 2] ^= 1
    with pytest.raises(BadImageError, match="damaged"):
        decode(bytes(content))


def test_an_interlaced_png_and_junk_after_the_end_are_fine() -> None:
    one_pass_each = png(
        (b"IHDR", struct.pack(">IIBBBBB", 33, 35, 8, 0, 0, 0, 1)),
        (
            b"IDAT",
            zlib.compress(bytes(_unpacked_bytes(png((b"IHDR", struct.pack(">IIBBBBB", 33, 35, 8, 0, 0, 0, 1)))))),
        ),
        (b"IEND", b""),
    )
    assert decode(one_pass_each).shape == (35, 33)
    for kind in ("PNG", "JPEG"):
        content = encode(ramp(), kind)
        np.testing.assert_array_equal(decode(content + b"junk" * 100), decode(content))


def test_a_whole_png_is_sound_and_one_cut_anywhere_is_not() -> None:
    content = encode(noise(), "PNG")
    check_png(content)
    for length in (len(content) - 1, len(content) - 12, len(content) // 2, 40):
        with pytest.raises(BadImageError, match="cut short"):
            check_png(content[:length])


def test_parts_are_named_with_their_bodies_and_their_soundness() -> None:
    content = bytearray(png(png_header(3, 2), (b"tEXt", b"a word"), (b"IEND", b"")))
    assert [(name, sound) for name, _, sound in png_chunks(bytes(content))] == [
        (b"IHDR", True), (b"tEXt", True), (b"IEND", True),
    ]  # fmt: skip
    content[content.index(b"word")] ^= 1
    assert [(name, body, sound) for name, body, sound in png_chunks(bytes(content))][1] == (b"tEXt", b"a vord", False)
