"""The parts of a PNG file: what Pillow does not check, and what it would decode the whole image to find."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Iterator

from cxrfeat.errors import BadImageError

MAGIC = b"\x89PNG\r\n\x1a\n"

_MOST_UNPACKED = 16_000_000
"""Bytes of rows that may stand in memory next to the image."""

_PIECE = 2**20
"""Bytes that are unpacked together, at most."""

_BLOCK = 0xFFFF
"""Bytes of a stored block, at most."""


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name, body and soundness (whole, and with the right checksum) of each chunk, through `IEND`."""
    at = len(MAGIC)
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        name = content[at + 4 : at + 8]
        end = at + 8 + size
        whole = end + 4 <= len(content)
        sound = whole and zlib.crc32(content[at + 4 : end]) == int.from_bytes(content[end : end + 4], "big")
        yield name, content[at + 8 : end], sound
        if name == b"IEND" or not whole:
            return
        at = end + 4


def checked_png(content: bytes) -> bytes:
    """A PNG for Pillow to decode, with its rows unpacked already, since they had to be unpacked to be counted.

    Pillow fills missing rows with black, and reads on without the last chunks.

    Returns:
        The same image, quicker to read; `content` itself where the rows are many, or stored in an unusual way.

    Raises:
        BadImageError: If it is damaged or cut short.
    """
    name = b""
    packed, before, after, at = list[bytes](), 0, 0, len(MAGIC)
    for name, body, sound in png_chunks(content):
        if not sound:
            raise BadImageError("decode", f"damaged or cut short: part {name.decode('ascii', 'replace')!r} of the PNG")
        if name == b"IDAT":
            packed.append(body)
            before = before or at
            after = at + 12 + len(body) if after in (0, at) else -1  # -1: Pillow reads the first of the rows only
        elif name == b"acTL":
            after = -1
        at += 12 + len(body)
    if name != b"IEND":
        raise BadImageError("decode", "cut short: the PNG has no end")
    wanted, rows, pieces = _unpacked_bytes(content), 0, list[bytes]()
    for piece in _inflated(b"".join(packed)):  # together, since each part for itself takes longer
        if rows < wanted <= _MOST_UNPACKED:
            pieces.append(piece)
        rows += len(piece)
    if rows < wanted:
        raise BadImageError("decode", "cut short: the PNG holds fewer rows than its header says")
    if not pieces or after < 0:
        return content
    return b"".join([content[:before], *_stored(pieces), content[after:]])


def _stored(pieces: list[bytes]) -> list[bytes | memoryview]:
    """One chunk of rows as they are, in parts that copy none of them; RFC 1950, RFC 1951 section 3.2.4."""
    parts: list[bytes | memoryview] = [b"IDAT", b"\x78\x01"]
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK):
            block = memoryview(piece)[start : start + _BLOCK]
            parts += [struct.pack("<BHH", 0, len(block), len(block) ^ _BLOCK), block]
    adler = functools.reduce(lambda sum_, piece: zlib.adler32(piece, sum_), pieces, 1)
    parts += [struct.pack("<BHH", 1, 0, _BLOCK), struct.pack(">I", adler)]
    crc = functools.reduce(lambda sum_, part: zlib.crc32(part, sum_), parts, 0)
    return [struct.pack(">I", sum(map(len, parts[1:]))), *parts, struct.pack(">I", crc)]


def _inflated(data: bytes) -> Iterator[bytes]:
    """What `data` unpacks to, a piece at a time: the rows of a large image never stand in memory twice."""
    inflater = zlib.decompressobj()
    for start in range(0, len(data), _PIECE):  # what is not consumed is copied each time
        part: bytes | memoryview = memoryview(data)[start : start + _PIECE]
        while part and not inflater.eof:
            yield inflater.decompress(part, _PIECE)
            part = inflater.unconsumed_tail


def _unpacked_bytes(content: bytes) -> int:
    """Size of the unpacked pixel data, filter bytes included; PNG specification, sections 7.2 and 8."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    pixel_bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    total = 0
    for x, y, step_x, step_y in passes if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((x - width) // step_x), -((y - height) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * pixel_bits + 7) // 8)
    return total
