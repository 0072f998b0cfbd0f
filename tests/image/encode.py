"""Small image files for the tests: written with Pillow, or byte by byte where Pillow would not."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 40, 48


def ramp() -> NDArray[np.uint8]:
    """A picture in which every corner and side differs, so that a wrong turn shows."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    values: NDArray[np.int64] = rows * 5 + columns // 2
    return values.astype(np.uint8)


def noise(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def encode(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, body in chunks:
        parts += [struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(name + body))]
    return b"".join(parts)


def png_header(width: int, height: int, depth: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def png_rows(rows: NDArray[Any]) -> tuple[bytes, bytes]:
    return b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))


def tiff(values: NDArray[Any], *, bits: int | None = None, photometric: int = 1, **tags: int) -> bytes:
    """An uncompressed little-endian grey TIFF; `tags` are further ones, such as `t281=4095`."""
    kinds = {"u": 1, "i": 2, "f": 3}
    bits = bits or values.dtype.itemsize * 8
    data = _pack12(values) if bits == 12 else values.astype(values.dtype.newbyteorder("<")).tobytes()
    entries = {256: values.shape[1], 257: values.shape[0], 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    entries |= {278: values.shape[0], 279: len(data), 339: kinds[values.dtype.kind]}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    folder = struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        folder += struct.pack("<HHII", tag, 4, 1, value)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + folder + struct.pack("<I", 0)


def _pack12(values: NDArray[Any]) -> bytes:
    packed = bytearray()
    for row in values.astype(int).tolist():
        for left, right in zip(row[::2], row[1::2], strict=True):
            packed += bytes((left >> 4, (left & 15) << 4 | right >> 8, right & 255))
    return bytes(packed)
