"""What an image file says of itself: the only place that opens files with Pillow.

Everything here takes bytes that nobody has checked. Whatever is wrong with them ends as `BadImageError` with a stage
and a reason that holds no path, so that the caller can write it down and continue. No function changes global state:
all of them may run in several threads at once.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import warnings

from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.element import is_dicom
from cxrfeat.image.dicom.image import probe_dicom
from cxrfeat.image.png import MAGIC as PNG_MAGIC
from cxrfeat.image.png import png_chunks
from cxrfeat.image.row import Header
from cxrfeat.image.size import check_size

_TIFF_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
_ORIENTATION = 0x0112

EXIF_SWAPS_SIDES = (5, 6, 7, 8)
"""EXIF orientations in which the image lies on its side."""

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
        cxrfeat.errors.BadImageError: header: not an image this program reads (PNG, JPEG, WebP, BMP, TIFF, DICOM): \
the content is text
    """
    if is_dicom(content[:256]):
        return probe_dicom(content, suffix)
    kind = _kind(content)
    try:
        with open_image(kind, content) as image:
            width, height = image.size
            # Pillow already turns the size of a TIFF.
            if kind != "TIFF" and orientation_of(kind, image, content) in EXIF_SWAPS_SIDES:
                width, height = height, width
            bits, mode, tables = _bits(kind, image, content), image.mode, _jpeg_tables(image)
    except BadImageError:
        raise
    except Exception as error:  # noqa: BLE001  # Pillow raises nearly anything on rubbish, and one bad image is no reason to stop
        raise BadImageError("header", pillow_reason(error)) from None
    check_size(width, height)
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


def open_image(kind: str, content: bytes) -> ImageFile.ImageFile:
    """A file of the format that `probe` found, opened by that format's decoder alone; no pixel is decoded yet."""
    if kind == "WEBP":  # its decoder takes memory for the whole canvas when it is made
        check_size(*_webp_size(content))
    return _PLUGINS[kind](io.BytesIO(content))


def orientation_of(kind: str, image: ImageFile.ImageFile, content: bytes) -> int:
    """EXIF orientation, 1 to 8. Pillow's own `getexif` would decode a whole PNG to look for one behind the pixels."""
    if kind == "PNG":
        data = next((body for name, body, _ in png_chunks(content) if name == b"eXIf"), b"")
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


def tags_of(image: ImageFile.ImageFile) -> TiffImagePlugin.ImageFileDirectory_v2 | dict[int, tuple[int, ...]]:
    """The tags of a TIFF, and none of any other file."""
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def pillow_reason(error: Exception) -> str:
    """What to write down for an error of Pillow's: one line, printable, and short."""
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
    if content.startswith(PNG_MAGIC):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith(_TIFF_MAGIC):
        return "TIFF"
    if content.startswith(b"BM"):
        return "BMP"
    # What the file begins with is not quoted: the reason is stored, and a file can begin with a name.
    kind = "text" if content[:512].isascii() and b"\0" not in content[:512] else "something else"
    reason = f"not an image this program reads (PNG, JPEG, WebP, BMP, TIFF, DICOM): the content is {kind}"
    raise BadImageError("header", reason)


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
        return int(max(tags_of(image).get(TiffImagePlugin.BITSPERSAMPLE, (1,))))
    if kind == "BMP" and image.mode in ("1", "P", "L"):
        offset = 24 if content[14] == 12 else 28
        return int(min(8, struct.unpack_from("<H", content, offset)[0]))
    return 8


def _jpeg_tables(image: Image.Image) -> str:
    tables = getattr(image, "quantization", None)
    if not tables:
        return ""
    told = json.dumps([[int(value) for value in tables[number]] for number in sorted(tables)])
    return hashlib.sha256(told.encode()).hexdigest()[:8]
