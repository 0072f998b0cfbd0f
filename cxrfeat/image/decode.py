"""The only place that knows Pillow's decoders: bytes of a file in, one grey image out.

Everything here takes bytes that nobody has checked. Whatever is wrong with them ends as `BadImageError` with a stage
and a reason that holds no path, so that the caller can write it down and go on. No function changes global state: all
of them may run in several threads at once.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    Image,
    ImageChops,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from cxrfeat.errors import BadImageError
from cxrfeat.image.row import Header
from cxrfeat.types import Grey, Views

MAX_BYTES = 256_000_000
"""Larger files are refused unread."""

MAX_PIXELS = 64_000_000
"""Images of more pixels are refused before they are decoded."""

MIN_SIDE = 32
"""Images with a shorter side, in pixels, are refused: no chest X-ray is so small."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_TIFF_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_ORIENTATION = 0x0112
_EXIF_SWAPS_SIDES = (5, 6, 7, 8)

# The plugin classes are called directly, not through `Image.open`: no other plugin can ever see the bytes, and the size
# is judged by our own limit instead of by Pillow's warning.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}

# Set once, at import: another library in the process may have asked Pillow to fill what is missing with grey.
ImageFile.LOAD_TRUNCATED_IMAGES = False
# Pillow warns of odd metadata (EXIF, TIFF tags) in images that are otherwise fine. Silenced once, at import, because
# `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def read_file(path: Path) -> bytes:
    """The bytes of a regular file, never blocking on a pipe or a device.

    Raises:
        BadImageError: Stage `open`: not there, not readable, not a regular file, or over 256 MB.
    """
    try:
        _refuse_irregular(path.stat())  # before opening: opening a device may already do something
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  # pathlib cannot open without blocking
            _refuse_irregular(os.fstat(file.fileno()))  # again: it may have been replaced in between
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadImageError("open", _os_reason(error)) from None
    except ValueError:  # a NUL in the name
        raise BadImageError("open", "the name is not a file name on this system") from None
    if len(content) > MAX_BYTES:
        raise BadImageError("open", _too_large(len(content)))
    return content


def probe(content: bytes, suffix: str) -> Header:
    """What the container says of itself, without decoding the pixels.

    Args:
        content: The whole file.
        suffix: The file name's suffix, with its dot; recorded, never believed.

    Raises:
        BadImageError: Stage `header`: not an image this program reads, or outside its limits.

    Example:
        >>> probe(b"hello, world", ".png")
        Traceback (most recent call last):
        ...
        cxrfeat.errors.BadImageError: header: not an image this program reads (PNG, JPEG, WebP, BMP, TIFF): \
the content is text
    """
    kind = _kind(content)
    try:
        with _open(kind, content) as image:
            width, height = image.size
            # Pillow already turns the size of a TIFF.
            if kind != "TIFF" and _orientation(kind, image, content) in _EXIF_SWAPS_SIDES:
                width, height = height, width
            bits, mode, tables = _bits(kind, image, content), image.mode, _jpeg_tables(image)
    except BadImageError:
        raise
    except Exception as error:  # noqa: BLE001  # Pillow raises nearly anything on rubbish, and one bad image is no reason to stop
        raise BadImageError("header", _pillow_reason(error)) from None
    _check_size(width, height)
    return Header(
        format=kind,
        suffix=suffix.lower(),
        width=width,
        height=height,
        bits=bits,
        mode=mode,
        file_bytes=len(content),
        jpeg_tables=tables,
    )


def _jpeg_tables(image: Image.Image) -> str:
    tables = getattr(image, "quantization", None)
    if not tables:
        return ""
    told = json.dumps([[int(value) for value in tables[number]] for number in sorted(tables)])
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def decode(content: bytes) -> Grey:
    """The luminance of an image, upright.

    Colour becomes luminance as Pillow's `convert("L")` defines it (ITU-R 601-2); transparency is laid on black; the
    EXIF orientation is applied; of several frames the first is taken.

    More than 8 bits are kept, as float32, unrounded, scaled to [0, 255] by the range that the file declares: the TIFF
    tags MinSampleValue/MaxSampleValue (or SMin/SMax) where they cover the values found, else by the range of the stored
    type: 65535 for 16 bits, 4095 for 12. Where that is far wider than the values, they tell the depth: integers up to
    255 count as 8 bits in whatever type they are stored, and in 32 bits those up to 65535 as 16 (with a sign, -32768 to
    32767). Signed integers without a negative value count from 0. Floats count as 0 to 1, 0 to 255 or 0 to 65535, the
    first that covers them; beyond that, and just above 1 or 255, they are refused, since nothing says what is white.
    Pillow reads 16-bit *colour* at 8 bits, so that stays uint8.

    Args:
        content: The whole file.

    Returns:
        `(h, w)` uint8, or float32 in [0, 255] where the original has more than 8 bits. The caller owns it.

    Raises:
        BadImageError: Stage `header` as in `probe`; stage `decode` where the pixels are damaged or cut short.
    """
    return _decode(content, _plain)


def decode_with_colour(content: bytes) -> tuple[Grey, float]:
    """`decode`, and how far the image is from grey: the largest mean difference between two of its channels.

    A picture of a grey image in colour has 0; one that JPEG kept in colour has up to about 1. Transparency is laid on
    black, as `decode` does.

    Args:
        content: The whole file.

    Returns:
        What `decode` gives, and 0 to 255: the means over all pixels of |red - green|, |green - blue| and |blue - red|,
        the largest of them; 0 for what is stored as grey.

    Raises:
        BadImageError: As `decode`.
    """
    colour = 0.0

    def both(image: Image.Image, luminance: Callable[[], Grey]) -> Grey:
        nonlocal colour
        colour = _colour(image)
        return luminance()

    return _decode(content, both), colour


def decode_opacity(content: bytes) -> Views:
    """How opaque an image is, upright: `(h, w)` uint8, 0 where nothing is seen and 255 all over if it has no alpha.

    Raises:
        BadImageError: As `decode`.
    """

    def opacity(image: Image.Image, _luminance: Callable[[], Grey]) -> Views:
        return np.array(image.convert("RGBA").getchannel("A"))

    return _decode(content, opacity)  # type: ignore[return-value]  # turned, it is still what `opacity` gives


def _plain(_image: Image.Image, luminance: Callable[[], Grey]) -> Grey:
    return luminance()


def _decode(content: bytes, take: Callable[[Image.Image, Callable[[], Grey]], Grey]) -> Grey:
    """What `take` makes of the loaded image, or of its luminance, upright."""
    header = probe(content, "")
    try:
        if header.format == "PNG":
            _check_png(content)
        with _open(header.format, content) as image:
            orientation = 1 if header.format == "TIFF" else _orientation(header.format, image, content)
            # Pillow forgets these two once the pixels are loaded.
            declared = _declared_range(image)
            inverted = _is_min_is_white(image)
            image.load()
            grey = take(image, lambda: _luminance(image, header, declared, inverted=inverted))
    except BadImageError:
        raise
    except Exception as error:  # noqa: BLE001  # as in `probe`
        raise BadImageError("decode", _pillow_reason(error)) from None
    grey = _upright(grey, orientation)
    if grey.shape != (header.height, header.width):
        raise BadImageError("decode", "the pixels are not of the size that the header says")
    return np.require(grey, requirements="C")


def decoders() -> dict[str, str]:
    """Versions of the libraries that turn a file's bytes into pixels, by name; without those Pillow was built without.

    All files tried so far come out the same with each (`tests/image/test_decode.py`), but nothing promises that: lossy
    JPEG and WebP may be decoded a level apart, and damaged files refused by one and not by another.
    """
    known = {"libjpeg-turbo": "libjpeg_turbo", "libwebp": "webp", "libtiff": "libtiff"}
    found = {"pillow": PIL.__version__}
    found |= {name: version for name, asked in known.items() if (version := features.version(asked))}
    if "libjpeg-turbo" not in found and (version := features.version("jpg")):
        found["libjpeg"] = version
    return found


def _refuse_irregular(status: os.stat_result) -> None:
    mode = status.st_mode
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        what = next((name for test, name in kinds if test(mode)), "a device")
        raise BadImageError("open", f"not a regular file but {what}")
    if status.st_size > MAX_BYTES:
        raise BadImageError("open", _too_large(status.st_size))


def _too_large(size: int) -> str:
    return f"{size / 1e6:.0f} MB; this program reads files up to {MAX_BYTES / 1e6:.0f} MB"


def _os_reason(error: OSError) -> str:
    reasons = {
        errno.ENOENT: "the file is not there",
        errno.ENOTDIR: "the file is not there",
        errno.EACCES: "no permission to read it",
        errno.EPERM: "no permission to read it",
        errno.ELOOP: "symbolic links that lead in a circle",
        errno.ENAMETOOLONG: "the name is too long for this system",
    }
    code = error.errno or 0
    return reasons.get(code) or (os.strerror(code) if code else type(error).__name__)


def _pillow_reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for what the file asks for"
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    text = " ".join(text.split())[:120]
    if text and isinstance(error, OSError | SyntaxError | ValueError):  # what Pillow raises in words
        return text
    return f"damaged ({type(error).__name__}: {text})" if text else f"damaged ({type(error).__name__})"


def _kind(content: bytes) -> str:
    if not content:
        raise BadImageError("header", "the file is empty")
    if content.startswith(_PNG_MAGIC):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith(_TIFF_MAGIC):
        return "TIFF"
    if content[128:132] == b"DICM":
        raise BadImageError("header", "DICOM, which this version cannot read yet: export it as PNG or TIFF")
    if content.startswith(b"BM"):
        return "BMP"
    # What the file begins with is not quoted: the reason is stored, and a file can begin with a name.
    kind = "text" if content[:512].isascii() and b"\0" not in content[:512] else "something else"
    reason = f"not an image this program reads (PNG, JPEG, WebP, BMP, TIFF): the content is {kind}"
    raise BadImageError("header", reason)


def _open(kind: str, content: bytes) -> ImageFile.ImageFile:
    if kind == "WEBP":  # its decoder takes memory for the whole canvas when it is made
        _check_size(*_webp_size(content))
    return _PLUGINS[kind](io.BytesIO(content))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImageError(
            "header",
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels; "
            f"this program reads up to {MAX_PIXELS / 1e6:.0f}",
        )
    if min(width, height) < MIN_SIDE:
        raise BadImageError("header", f"{width} x {height} is too small: a side needs at least {MIN_SIDE} pixels")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height of the canvas; RFC 9649, sections 2.5 to 2.7."""
    head = content[12:30].ljust(18, b"\0")
    if head[:4] == b"VP8X":
        return int.from_bytes(head[12:15], "little") + 1, int.from_bytes(head[15:18], "little") + 1
    if head[:4] == b"VP8L":
        packed = int.from_bytes(head[9:13], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if head[:4] == b"VP8 ":
        width, height = struct.unpack("<HH", head[14:18])
        return width & 0x3FFF, height & 0x3FFF
    raise BadImageError("header", "damaged: the first part of the WebP file is of no known kind")


def _bits(kind: str, image: ImageFile.ImageFile, content: bytes) -> int:
    if kind == "PNG":
        return content[24]
    if kind == "TIFF":
        return int(max(_tags(image).get(TiffImagePlugin.BITSPERSAMPLE, (1,))))
    if kind == "BMP" and image.mode in ("1", "P", "L"):
        offset = 24 if content[14] == 12 else 28
        return int(min(8, struct.unpack_from("<H", content, offset)[0]))
    return 8


def _orientation(kind: str, image: ImageFile.ImageFile, content: bytes) -> int:
    """EXIF orientation, 1 to 8. Pillow's own `getexif` would decode a whole PNG to look for one behind the pixels."""
    if kind == "PNG":
        data = next((body for name, body, _ in _png_chunks(content) if name == b"eXIf"), b"")
    else:
        data = image.info.get("exif", b"")
    if not data:
        return 1
    try:
        exif = Image.Exif()
        exif.load(data)
        value = exif.get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # damaged metadata beside sound pixels: show them as they lie, as viewers do
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(grey: Grey, orientation: int) -> Grey:
    """Turn what lies as EXIF `orientation` says; Exif 2.3, table 6."""
    turned: Grey = grey.T if orientation in _EXIF_SWAPS_SIDES else grey
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name, body and soundness (whole, and with the right checksum) of each chunk, through `IEND`."""
    at = len(_PNG_MAGIC)
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


def _check_png(content: bytes) -> None:
    """Refuse a PNG that is cut short. Pillow fills missing rows with black, and reads on without the last chunks."""
    name = b""
    inflater = zlib.decompressobj()
    rows = 0
    for name, body, sound in _png_chunks(content):
        if not sound:
            raise BadImageError("decode", f"damaged or cut short: part {name.decode('ascii', 'replace')!r} of the PNG")
        if name == b"IDAT":
            rows += _inflated(inflater, body)
    if name != b"IEND":
        raise BadImageError("decode", "cut short: the PNG has no end")
    if rows < _png_bytes(content):
        raise BadImageError("decode", "cut short: the PNG holds fewer rows than its header says")


def _inflated(inflater: zlib._Decompress, data: bytes) -> int:
    """How many bytes `data` unpacks to, a piece at a time, so that the rows never stand in memory twice."""
    count = 0
    while data and not inflater.eof:
        count += len(inflater.decompress(data, 1 << 20))
        data = inflater.unconsumed_tail
    return count


def _png_bytes(content: bytes) -> int:
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


def _tags(image: ImageFile.ImageFile) -> TiffImagePlugin.ImageFileDirectory_v2 | dict[int, tuple[int, ...]]:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _declared_range(image: ImageFile.ImageFile) -> tuple[float, float] | None:
    """Smallest and largest value that a TIFF says its samples have: tags 280, 281 or, for other types, 340, 341."""
    tags = _tags(image)

    def number(*names: int) -> float | None:
        for name in names:
            value = tags.get(name)
            value = value[0] if isinstance(value, tuple) and value else value
            try:
                found = float(value)  # type: ignore[arg-type]  # a hostile file may hold anything here
            except (TypeError, ValueError, OverflowError, ZeroDivisionError):
                continue
            if np.isfinite(found):
                return found
        return None

    high = number(341, 281)
    low = min(0.0, number(340, 280) or 0.0)  # scanners write the darkest pixel there; it is not what black is
    return None if high is None or high <= low else (low, high)


def _is_min_is_white(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow hands over a TIFF whose low values are white; up to 8 bits it turns them itself."""
    deep = image.mode.startswith("I") or image.mode == "F"
    return deep and _tags(image).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _luminance(image: Image.Image, header: Header, declared: tuple[float, float] | None, *, inverted: bool) -> Grey:
    mode = image.mode
    transparent = image.info.get("transparency") if header.format in ("PNG", "WEBP") else None
    if mode.startswith("I") or mode == "F":
        grey: Grey = _scaled(_samples(image, header), header, declared, inverted=inverted)
        if isinstance(transparent, int):
            grey[np.asarray(image) == transparent] = 0.0
        return grey
    if mode in ("1", "L"):
        grey = np.array(image.convert("L"))
        if isinstance(transparent, int):  # stored at the file's depth, which Pillow has spread over 0-255
            grey[grey == transparent * 255 // (2 ** min(header.bits, 8) - 1)] = 0
        return grey
    if header.bits > 8:
        transparent = None  # one 16-bit colour cannot be found again among 8-bit ones
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or (mode in ("P", "RGB") and transparent is not None):
        image = image.convert("LA") if mode == "La" else image
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
    elif mode not in ("RGB", "P"):
        image = image.convert("RGB")  # CMYK, YCbCr: Pillow goes to grey by way of RGB
    return np.array(image.convert("L"))


def _colour(image: Image.Image) -> float:
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        return 0.0
    if image.mode in ("RGBA", "RGBa", "PA") or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    channels = image.convert("RGB").split()
    differences = (ImageChops.difference(one, channels[place - 1]) for place, one in enumerate(channels))
    return max(float(np.dot(each.histogram(), np.arange(256))) for each in differences) / (image.width * image.height)


def _samples(image: Image.Image, header: Header) -> NDArray[np.float64]:
    values = np.asarray(image)
    if image.mode == "I" and header.bits == 32 and isinstance(image, TiffImagePlugin.TiffImageFile):
        signed = 2 in np.atleast_1d(image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,)))
        values = values if signed else values.view(np.uint32)  # Pillow has no unsigned 32-bit mode, so it wraps them
    return values.astype(np.float64)


def _scaled(
    values: NDArray[np.float64], header: Header, declared: tuple[float, float] | None, *, inverted: bool
) -> NDArray[np.float32]:
    found_low, found_high = float(values.min()), float(values.max())
    if not np.isfinite(found_low) or not np.isfinite(found_high):  # a NaN makes both NaN
        raise BadImageError("decode", "some pixels are not numbers (NaN or infinite)")
    if declared is not None and declared[0] <= found_low and found_high <= declared[1]:
        low, high = declared
    else:
        low, high = (_float_range if header.mode == "F" else _integer_range)(found_low, found_high, header)
    grey = (values - low) * (255.0 / (high - low))
    return (255.0 - grey if inverted else grey).clip(0.0, 255.0).astype(np.float32)


def _integer_range(found_low: float, found_high: float, header: Header) -> tuple[float, float]:
    """Black and white of integers that declare no range: their type's, or what a much narrower type would have."""
    signed, full = header.mode == "I", float(2**header.bits - 1)
    if found_low < 0:
        half = 2.0**15 if found_low >= -(2**15) and found_high < 2**15 else 2.0 ** (header.bits - 1)
        return -half, half - 1
    if found_high <= 255:
        return 0.0, 255.0
    if header.bits > 16 and found_high <= 65535:
        return 0.0, 65535.0
    return 0.0, float(2 ** (header.bits - 1) - 1) if signed and found_high < 2 ** (header.bits - 1) else full


def _float_range(found_low: float, found_high: float, _header: Header) -> tuple[float, float]:
    """Black and white of floats that declare no range.

    What ends a little above 1 or 255 has most likely been resampled, which overshoots. By the next wider range it would
    be black, and cut off at 1 or 255 the brightest would be lost.
    """
    high = next((top for top in (1.0, 255.0, 65535.0) if found_high <= top), 0.0)
    overshot = any(top < found_high <= 2 * top for top in (1.0, 255.0))
    if found_low < 0 or not high or overshot:
        raise BadImageError(
            "decode",
            f"floats from {found_low:g} to {found_high:g} without a declared range (TIFF tags SMinSampleValue, "
            "SMaxSampleValue), so nothing says what is white",
        )
    return 0.0, high
