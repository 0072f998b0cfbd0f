"""Files as no camera writes them: damaged, cut, joined, misnamed, and bombs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.image.encode import encode, noise, png, png_header, png_rows, ramp, tiff

DEEP = np.linspace(0, 65535, 40 * 48).astype(np.uint16).reshape(40, 48)
COLOUR = np.stack([ramp(), noise(1), noise(2)], axis=-1)

SOUND: dict[str, list[bytes]] = {
    "png": [encode(ramp(), "PNG"), encode(COLOUR, "PNG")],
    "png16": [encode(DEEP, "PNG")],
    "jpg": [encode(ramp(), "JPEG"), encode(COLOUR, "JPEG", progressive=True)],
    "webp": [encode(COLOUR, "WEBP"), encode(COLOUR, "WEBP", lossless=True)],
    "bmp": [encode(ramp(), "BMP"), encode(COLOUR, "BMP")],
    "tiff": [tiff(ramp()), tiff(DEEP), encode(COLOUR, "TIFF", compression="tiff_lzw")],
}
"""A few files of each format."""

SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".tif")


def bombs() -> list[bytes]:
    """Small files that ask for much."""
    bmp, webp = bytearray(encode(ramp(), "BMP")), b"RIFF\0\0\1\0WEBPVP8X\x0a\0\0\0" + bytes(4)
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    wide = bytearray(encode(ramp(), "BMP"))
    wide[18:26] = struct.pack("<ii", 8000, 8000)  # within the limits, and not there
    return [
        png(png_header(14000, 14000), png_rows(noise()), (b"IEND", b"")),
        png(png_header(8000, 8000), png_rows(noise()), (b"IEND", b"")),
        png(png_header(2**31 - 1, 2**31 - 1), (b"IEND", b"")),
        bytes(bmp),
        bytes(wide),
        webp + b"\xff\xff\x00" * 2 + bytes(99),
        webp + b"\x3f\x1f\x00" * 2 + bytes(99),
        tiff(noise(), t256=2**31, t257=2**31),
        tiff(noise(), t256=8000, t257=8000),
    ]


def mutations(kind: str, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Suffix and content of `count` files made from sound ones of a format; some of them are still sound."""
    rng = np.random.default_rng([seed, *kind.encode()])
    others = [content for contents in SOUND.values() for content in contents]
    for number in range(count):
        sound = SOUND[kind][number % len(SOUND[kind])]
        content = bytearray(sound)
        reach = len(content) if rng.random() < 0.5 else min(len(content), 200)  # half of them in the headers
        way = rng.integers(6)
        if way == 0:
            for place in rng.integers(0, reach, rng.integers(1, 9)):
                content[place] ^= 1 << int(rng.integers(8))
        elif way == 1:
            content = content[: rng.integers(reach)]
        elif way == 2:
            start, size = rng.integers(0, reach, 2)
            content[start : start + size] = rng.bytes(int(rng.integers(64)))
        elif way == 3:
            other = others[rng.integers(len(others))]
            content = content[: rng.integers(reach)] + other[rng.integers(len(other)) :]
        elif way == 4:
            content += rng.bytes(8)  # after the end, where nobody looks
        else:
            start, size = int(rng.integers(max(1, reach - 4))), 4
            content[start : start + size] = b"\xff" * size
        yield SUFFIXES[rng.integers(len(SUFFIXES))], bytes(content)


def write_all(folder: Path, count: int, seed: int = 0) -> list[str]:
    """Mutated files of every format and the bombs, in two classes; their paths."""
    contents = [one for kind in SOUND for one in mutations(kind, count, seed)]
    contents += [(SUFFIXES[number % len(SUFFIXES)], content) for number, content in enumerate(bombs())]
    for name in ("A", "B"):
        (folder / name).mkdir(parents=True)
    paths = []
    for number, (suffix, content) in enumerate(contents):
        paths.append(f"{'AB'[number % 2]}/{number:05d}{suffix}")
        (folder / paths[-1]).write_bytes(content)
    return paths
