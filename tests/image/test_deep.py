from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.decode import decode
from tests.image.encode import HEIGHT, WIDTH, encode, tiff

DEEP = np.linspace(0, 65535, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
DEEP_FILES: dict[str, tuple[bytes, NDArray[Any], int]] = {
    # name: file, what each pixel should be, bits
    "16-bit grey PNG": (encode(DEEP, "PNG"), DEEP / 65535 * 255, 16),
    "16-bit TIFF": (tiff(DEEP), DEEP / 65535 * 255, 16),
    "big-endian 16-bit TIFF": (encode(Image.fromarray(DEEP.astype(">u2")), "TIFF"), DEEP / 65535 * 255, 16),
    "compressed 16-bit TIFF": (encode(DEEP, "TIFF", compression="tiff_deflate"), DEEP / 65535 * 255, 16),
    "16-bit TIFF, low is white": (tiff(DEEP, photometric=0), 255 - DEEP / 65535 * 255, 16),
    "12-bit TIFF": (tiff(DEEP >> 4, bits=12), (DEEP >> 4) / 4095 * 255, 12),
    "12 bits in 16, declared": (tiff(DEEP >> 4, t281=4095), (DEEP >> 4) / 4095 * 255, 16),
    "declared too low to be true": (tiff(DEEP, t281=4095), DEEP / 65535 * 255, 16),
    "darkest pixel is not black": (tiff(np.maximum(DEEP, 999), t280=999), np.maximum(DEEP, 999) / 65535 * 255, 16),
    "signed 16-bit, none negative": (tiff((DEEP // 2).astype(np.int16)), DEEP // 2 / 32767 * 255, 16),
    "signed 16-bit": (tiff((DEEP.astype(int) - 32768).astype(np.int16)), DEEP / 65535 * 255, 16),
    "unsigned 32-bit": (tiff(DEEP.astype(np.uint32) * 65537), DEEP / 65535 * 255, 32),
    "floats to 1": (tiff((DEEP / 65535).astype(np.float32)), DEEP / 65535 * 255, 32),
    "floats to 255": (tiff((DEEP / 257).astype(np.float32)), DEEP / 65535 * 255, 32),
    "floats to 65535": (tiff(DEEP.astype(np.float32)), DEEP / 65535 * 255, 32),
    "floats, low is white": (tiff((DEEP / 65535).astype(np.float32), photometric=0), 255 - DEEP / 65535 * 255, 32),
    "8 bits in signed 32": (tiff((DEEP >> 8).astype(np.int32)), DEEP >> 8, 32),
    "8 bits in unsigned 32": (tiff((DEEP >> 8).astype(np.uint32)), DEEP >> 8, 32),
    "8 bits in signed 16": (tiff((DEEP >> 8).astype(np.int16)), DEEP >> 8, 16),
    "8 bits in a 16-bit PNG": (encode(DEEP >> 8, "PNG"), DEEP >> 8, 16),
    "16 bits in signed 32": (tiff(DEEP.astype(np.int32)), DEEP / 65535 * 255, 32),
    "16 bits in unsigned 32": (tiff(DEEP.astype(np.uint32)), DEEP / 65535 * 255, 32),
    "signed 16 bits in 32": (tiff(DEEP.astype(np.int32) - 32768), DEEP / 65535 * 255, 32),
    "12 bits in 32, declared": (tiff((DEEP >> 4).astype(np.int32), t281=4095), (DEEP >> 4) / 4095 * 255, 32),
    "signed 32-bit": (
        tiff(((DEEP.astype(np.int64) << 16) - 2**31).astype(np.int32)),
        DEEP.astype(float) * 65536 / (2**32 - 1) * 255,
        32,
    ),
    "12 bits in a 16-bit PNG, which stays dark": (encode(DEEP >> 4, "PNG"), (DEEP >> 4) / 65535 * 255, 16),
    "one value throughout": (tiff(np.full((32, 32), 0.5, np.float32)), np.full((32, 32), 127.5), 32),
}


@pytest.mark.parametrize("name", DEEP_FILES)
def test_more_than_eight_bits_are_scaled_by_the_declared_range_and_not_rounded(name: str) -> None:
    content, expected, bits = DEEP_FILES[name]
    grey = decode(content)
    assert grey.dtype == np.float32
    assert grey.min() >= 0
    assert grey.max() <= 255
    np.testing.assert_allclose(grey, expected, atol=2e-3)
    assert probe(content, ".png").bits == bits


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((32, 32), np.nan, np.float32), "not numbers"),
        (np.full((32, 32), np.inf, np.float32), "not numbers"),
        (np.linspace(-1024, 3071, 1024, dtype=np.float32).reshape(32, 32), "floats from -1024 to 3071 without"),
        (np.linspace(0, 1.03, 1024, dtype=np.float32).reshape(32, 32), "floats from 0 to 1.03 without"),
        (np.linspace(0, 258, 1024, dtype=np.float32).reshape(32, 32), "floats from 0 to 258 without"),
    ],
)
def test_floats_without_a_meaning_are_refused(values: NDArray[np.float32], reason: str) -> None:
    with pytest.raises(BadImageError, match=reason) as caught:
        decode(tiff(values))
    assert caught.value.stage == "decode"
