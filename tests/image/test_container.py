from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.decode import decode
from tests.image.encode import encode, noise, png, png_header, png_rows, ramp

REFUSED = {
    # name: content, reason
    "nothing": (b"", "the file is empty"),
    "text": (b"hello, this is text", r"not an image .*PNG, JPEG, WebP, BMP, TIFF, DICOM.* the content is text"),
    "rubbish": (b"\x00\x01\x02" * 50, "the content is something else"),
    "DICOM": (bytes(128) + b"DICM" + bytes(99), "damaged DICOM: it is cut short"),
    "GIF": (encode(ramp(), "GIF"), "not an image"),
    "a side under 32": (encode(noise(height=31), "PNG"), "48 x 31 is too small.*at least 32"),
    "a bomb": (png(png_header(14000, 14000), png_rows(noise()), (b"IEND", b"")), "196 megapixels.*up to 64"),
    "a bigger bomb": (png(png_header(2**31 - 1, 2**31 - 1), (b"IEND", b"")), "megapixels"),
    "a BMP bomb": (
        encode(ramp(), "BMP")[:18] + struct.pack("<ii", 60000, 60000) + encode(ramp(), "BMP")[26:],
        "megapixels",
    ),
    "a WebP bomb": (b"RIFF\0\0\1\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\x00" * 2 + bytes(99), "megapixels"),
    "a WebP of no kind": (b"RIFF\0\0\0\0WEBPabcd" + bytes(30), "damaged"),
    "text that unpacks to 100 MB": (
        png(png_header(64, 64), (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), (b"IEND", b"")),
        "too large",
    ),
    "a start only": (b"\x89PNG\r\n\x1a\n", "."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_usable_image_is_refused_by_its_header(name: str) -> None:
    content, reason = REFUSED[name]
    with pytest.raises(BadImageError, match=reason) as probed:
        probe(content, ".png")
    with pytest.raises(BadImageError) as decoded:
        decode(content)
    assert probed.value.stage == decoded.value.stage == "header"
    assert probed.value.reason == decoded.value.reason
    assert probed.value.reason.isprintable()
    assert len(probed.value.reason) < 200


def test_a_webp_named_jpg_is_read_and_told_apart() -> None:
    header = probe(encode(np.stack([noise(1), noise(2), noise(3)], axis=-1), "WEBP"), ".jpg")
    assert (header.format, header.suffix) == ("WEBP", ".jpg")


def test_the_tables_of_a_jpeg_name_its_quality_and_other_formats_have_none() -> None:
    tables = [probe(encode(ramp(), "JPEG", quality=quality), ".jpg").jpeg_tables for quality in (60, 60, 90)]
    assert tables[0] == tables[1] != tables[2]
    assert all(len(one) == 8 for one in tables)
    assert probe(encode(ramp(), "PNG"), ".png").jpeg_tables == ""
