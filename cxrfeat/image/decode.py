"""Bytes of an image file in, one grey image out.

Whatever is wrong with the bytes ends as `BadImageError`, as in `container`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL
from PIL import Image, ImageChops, features

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import EXIF_SWAPS_SIDES, open_image, orientation_of, pillow_reason, probe
from cxrfeat.image.deep import declared_range, deep_grey, is_deep, is_min_is_white
from cxrfeat.image.dicom.element import is_dicom
from cxrfeat.image.dicom.image import decode_dicom
from cxrfeat.image.dicom.syntax import PACKAGE, decoder_version
from cxrfeat.image.png import checked_png
from cxrfeat.image.row import Header
from cxrfeat.types import Grey, Views

DECODE_STEPS = 3
"""How long an image takes to be read and decoded, about as many times what one view takes."""


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
    Pillow reads 16-bit *colour* at 8 bits, so that stays uint8. DICOM is shown as its file says: `image.dicom`.

    Args:
        content: The whole file.

    Returns:
        `(h, w)` uint8, or float32 in [0, 255] where the original has more than 8 bits. The caller owns it.

    Raises:
        BadImageError: Stage `header` as in `probe`; stage `decode` where the pixels are damaged or cut short.
    """
    return decode_dicom(content) if is_dicom(content[:256]) else _decode(content, _plain)


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
    if is_dicom(content[:256]):
        return decode_dicom(content), 0.0
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
    if is_dicom(content[:256]):
        return np.full(decode_dicom(content).shape, 255, np.uint8)

    def opacity(image: Image.Image, _luminance: Callable[[], Grey]) -> Views:
        return np.array(image.convert("RGBA").getchannel("A"))

    return _decode(content, opacity)  # type: ignore[return-value]  # turned, it is still what `opacity` gives


def _plain(_image: Image.Image, luminance: Callable[[], Grey]) -> Grey:
    return luminance()


def _decode(content: bytes, take: Callable[[Image.Image, Callable[[], Grey]], Grey]) -> Grey:
    """What `take` makes of the loaded image, or of its luminance, upright."""
    header = probe(content, "")
    try:
        readable = checked_png(content) if header.format == "PNG" else content
        with open_image(header.format, readable) as image:
            orientation = 1 if header.format == "TIFF" else orientation_of(header.format, image, content)
            # Pillow forgets these two once the pixels are loaded.
            declared = declared_range(image)
            inverted = is_min_is_white(image)
            image.load()
            grey = take(image, lambda: _luminance(image, header, declared, inverted=inverted))
    except BadImageError:
        raise
    except Exception as error:  # noqa: BLE001  # as in `probe`
        raise BadImageError("decode", pillow_reason(error)) from None
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
    if version := decoder_version():
        found[PACKAGE] = version
    return found


def _upright(grey: Grey, orientation: int) -> Grey:
    """Turn what lies as EXIF `orientation` says; Exif 2.3, table 6."""
    turned: Grey = grey.T if orientation in EXIF_SWAPS_SIDES else grey
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return turned


def _luminance(image: Image.Image, header: Header, declared: tuple[float, float] | None, *, inverted: bool) -> Grey:
    mode = image.mode
    transparent = image.info.get("transparency") if header.format in ("PNG", "WEBP") else None
    if is_deep(image):
        grey: Grey = deep_grey(image, header, declared, inverted=inverted)
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
    if image.mode in ("1", "L", "LA", "La") or is_deep(image):
        return 0.0
    if image.mode in ("RGBA", "RGBa", "PA") or (image.mode in ("P", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    channels = image.convert("RGB").split()
    differences = (ImageChops.difference(one, channels[place - 1]) for place, one in enumerate(channels))
    return max(float(np.dot(each.histogram(), np.arange(256))) for each in differences) / (image.width * image.height)
