from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import decode
from cxrfeat.image.png import _unpacked_bytes, checked_png, png_chunks
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
    checked_png(content)
    for length in (len(content) - 1, len(content) - 12, len(content) // 2, 40):
        with pytest.raises(BadImageError, match="cut short"):
            checked_png(content[:length])


def shown(content: bytes) -> tuple[str, dict[Any, Any], bytes]:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.mode, image.info, image.tobytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillow_sees_the_same_image_where_the_rows_are_unpacked_already(mode: str) -> None:
    grey = Image.fromarray(noise().astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(noise())
    image = grey if mode in ("L", "I;16") else grey.convert("RGB").convert(mode)
    content = encode(image, "PNG", **({"transparency": 3} if mode in ("L", "P") else {}), dpi=(72, 72))
    whole = next(body for name, body, _ in png_chunks(content) if name == b"IDAT")
    place = content.index(whole) - 8
    halves = [(b"IDAT", whole[:50]), (b"IDAT", b""), (b"IDAT", whole[50:])]
    in_three = content[:place] + png(*halves)[8:] + content[place + 12 + len(whole) :]
    for one in (content, in_three):
        unpacked = checked_png(one)
        assert unpacked != one
        assert [sound for _, _, sound in png_chunks(unpacked)].count(False) == 0
        assert shown(unpacked) == shown(one) == shown(content)
        assert checked_png(unpacked) == unpacked


def test_what_is_stored_in_an_unusual_way_is_left_as_it_is() -> None:
    header, (_, rows), end = png_header(WIDTH, HEIGHT), png_rows(ramp()), (b"IEND", b"")
    apart = png(header, (b"IDAT", rows[:20]), (b"tEXt", b"a\0b"), (b"IDAT", rows[20:]), end)
    moving = encode(ramp(), "PNG", save_all=True, append_images=[Image.fromarray(noise())])
    for content in (apart, moving):
        assert checked_png(content) is content
    with pytest.raises(BadImageError, match="truncated"):
        decode(apart)  # Pillow takes the first of its rows only


def test_rows_beyond_what_the_header_says_are_not_kept() -> None:
    twice = np.vstack([ramp(), noise()])
    content = png(png_header(WIDTH, HEIGHT), png_rows(twice), (b"IEND", b""))
    np.testing.assert_array_equal(decode(content), ramp())


def test_parts_are_named_with_their_bodies_and_their_soundness() -> None:
    content = bytearray(png(png_header(3, 2), (b"tEXt", b"a word"), (b"IEND", b"")))
    assert [(name, sound) for name, _, sound in png_chunks(bytes(content))] == [
        (b"IHDR", True), (b"tEXt", True), (b"IEND", True),
    ]  # fmt: skip
    content[content.index(b"word")] ^= 1
    assert [(name, body, sound) for name, body, sound in png_chunks(bytes(content))][1] == (b"tEXt", b"a vord", False)
