"""The words that a DICOM file stores its pixels in, one for each, whatever they are packed by.

A word still holds what the file put above and below the bits of the value; `grey` makes values of words by one table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.element import Element
from cxrfeat.image.dicom.syntax import SYNTAXES, Codec, require_decoder, syntax_of

Words = NDArray[np.uint8] | NDArray[np.uint16]
"""`(h, w)`."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = 0xE000FFFE, 0xE0DDFFFE  # as a little-endian number
_MOST_TILES = 4096
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Markers that begin the header of a frame of JPEG (ITU-T T.81, table B.1) or of JPEG-LS (T.87)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pixels of one frame are stored; PS3.3, C.7.6.3, and PS3.5, section 8."""

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    """Bits of a word."""
    stored: int
    """Bits of a value."""
    high: int
    """Place of the value's highest bit in its word."""
    signed: bool
    syntax: str
    little: bool
    words: bool
    """Whether bytes that are not compressed come in pairs, whose order is the file's."""

    @property
    def shift(self) -> int:
        """Bits below the value in a word; the words of decoders have none."""
        return 0 if self.compressed else self.high + 1 - self.stored

    @property
    def compressed(self) -> bool:
        """Whether a decoder makes words of what is stored."""
        return bool(SYNTAXES[self.syntax].codec)


def check_layout(layout: Layout) -> None:
    """Refuse pixels that are no grey values of 1 to 16 bits, or that nothing here decodes.

    Raises:
        BadImageError: Stage `header`.
    """
    syntax = syntax_of(layout.syntax)
    if layout.samples != 1 or layout.photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise BadImageError("header", "DICOM in colour: a radiograph is MONOCHROME1 or MONOCHROME2")
    if layout.allocated not in (8, 16):
        raise BadImageError("header", f"DICOM with {layout.allocated} bits for a pixel; 8 and 16 are read")
    if not (1 <= layout.stored <= layout.allocated and layout.stored - 1 <= layout.high < layout.allocated):
        raise BadImageError("header", "damaged DICOM: its pixels have more bits than room for them")
    require_decoder(syntax)


def stored_words(layout: Layout, data: bytes, pixels: Element) -> Words:
    """Decode the pixels.

    Args:
        layout: Checked.
        data: What holds them.
        pixels: Their place in it.

    Returns:
        `(rows, columns)` in the machine's order; of what is not compressed a view of `data`, not to be written to.

    Raises:
        BadImageError: Stage `decode`: damaged, cut short, or not of the size that the header says.
    """
    if not layout.compressed:
        return _uncompressed(layout, data, pixels)
    codec = SYNTAXES[layout.syntax].codec
    frame = _frame(data, pixels)
    if codec != "dicomrle":
        _check_frame(frame, layout, codec)
    try:
        words = _decoded(frame, layout, codec)
    except BadImageError:
        raise
    except Exception as error:  # noqa: BLE001  # each codec has errors of its own, and none is worth more than a name
        raise BadImageError("decode", f"damaged ({type(error).__name__})") from None
    if words.shape != (layout.rows, layout.columns):
        raise BadImageError("decode", "the pixels are not of the size that the header says")
    return words


def _uncompressed(layout: Layout, data: bytes, pixels: Element) -> Words:
    count = layout.rows * layout.columns
    wide = layout.allocated == 16
    paired = not wide and not layout.little and layout.words
    needed = count * 2 if wide else count + count % 2 if paired else count
    if pixels.length == _UNDEFINED:
        raise BadImageError("decode", "damaged: pixels that are not compressed come in fragments")
    if min(pixels.length, len(data) - pixels.start) < needed:
        raise BadImageError("decode", "cut short: there are fewer pixels than the header says")
    order = "<" if layout.little else ">"
    words: NDArray[Any] = np.frombuffer(
        data, f"{order}u2" if wide else "u1", needed // (2 if wide else 1), pixels.start
    )
    if paired:
        words = words.view("<u2").byteswap().view("u1")[:count]
    return np.asarray(words, words.dtype.newbyteorder("=")).reshape(layout.rows, layout.columns)


def _frame(data: bytes, pixels: Element) -> bytes:
    """The fragments of the one frame, put together; PS3.5, section A.4."""
    if pixels.length != _UNDEFINED:
        raise BadImageError("decode", "damaged: compressed pixels do not come in fragments")
    parts: list[bytes] = []
    at = pixels.start
    while at + 8 <= len(data):
        tag, length = struct.unpack_from("<LL", data, at)
        if tag == _END:
            break
        if tag != _ITEM or at + 8 + length > len(data):
            raise BadImageError("decode", "damaged or cut short: a fragment of the pixels does not end where it should")
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    if len(parts) < 2:  # the first is the table of offsets
        raise BadImageError("decode", "cut short: there are no pixels")
    return parts[1] if len(parts) == 2 else b"".join(parts[1:])


def _check_frame(frame: bytes, layout: Layout, codec: Codec) -> None:
    """Refuse a frame of another size than the header says before a decoder takes memory for it."""
    size = _size_of_jpeg2000(frame) if codec == "jpeg2k" else _size_of_jpeg(frame)
    if size is None:
        raise BadImageError("decode", "damaged: the compressed pixels have no header")
    if size != (layout.rows, layout.columns, 1):
        raise BadImageError("decode", "the compressed pixels are not of the size that the header says")


def _size_of_jpeg(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of a JPEG or JPEG-LS; ITU-T T.81, B.2.2."""
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # filled up
            at += 1
        elif marker in _FRAME_HEADERS:
            rows, columns, components = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, components
        else:
            at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _size_of_jpeg2000(frame: bytes) -> tuple[int, int, int] | None:
    """The same of JPEG 2000, whose codestream may lie in a file of its own; ITU-T T.800, A.5.1."""
    at = 0 if frame[:4] == b"\xff\x4f\xff\x51" else frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if at < 0 or at + 42 > len(frame):
        return None
    right, bottom, left, top = struct.unpack_from(">LLLL", frame, at + 8)
    tile_width, tile_height = struct.unpack_from(">LL", frame, at + 24)
    (components,) = struct.unpack_from(">H", frame, at + 40)
    width, height = right - left, bottom - top
    tiles = -(-width // max(1, tile_width)) * -(-height // max(1, tile_height))
    if tiles > _MOST_TILES:  # each takes memory of its own, however small it is
        return None
    return height, width, components


def _decoded(frame: bytes, layout: Layout, codec: Codec) -> Words:
    import imagecodecs

    shape = layout.rows, layout.columns
    if codec == "dicomrle":
        kind = "<u2" if layout.allocated == 16 else "|u1"
        room = np.zeros(layout.rows * layout.columns * layout.allocated // 8, np.uint8)
        if len(imagecodecs.dicomrle_decode(frame, kind, out=room.data)) != room.size:
            raise BadImageError("decode", "cut short: there are fewer pixels than the header says")
        return room.view(kind).reshape(shape)
    found: NDArray[Any] = np.asarray(getattr(imagecodecs, f"{codec}_decode")(frame))
    if found.dtype.kind not in "iu" or found.dtype.itemsize > 2:
        raise BadImageError("decode", "the compressed pixels have more than 16 bits")
    words = found.view(f"u{found.dtype.itemsize}")  # two's complement: the bits of a value are the same
    return words if words.ndim == 2 else words.reshape(shape)
