"""Which decoder reads which transfer syntax: a table of our own, not what happens to be installed.

Decoders differ by a level on lossy files, so the choice is part of what the features are. All are of one package, which
releases the interpreter's lock while it decodes: imagecodecs, of permissive licence with everything that it holds
(libjpeg-turbo for JPEG of 8 and 12 bits and for JPEG Lossless, CharLS, OpenJPEG). Its OpenJPH decodes HTJ2K twice as
fast as its OpenJPEG, and hands a damaged file over as an image.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import Literal

from cxrfeat.errors import BadImageError
from cxrfeat.image.dicom.element import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT

Codec = Literal["", "dicomrle", "jpeg8", "jpegls", "jpeg2k"]
"""Of imagecodecs; empty for what is not compressed."""

PACKAGE = "imagecodecs"


@dataclass(frozen=True, slots=True)
class Syntax:
    """One transfer syntax that is read."""

    name: str
    codec: Codec


_JPEG = "1.2.840.10008.1.2.4."
SYNTAXES = {
    IMPLICIT: Syntax("uncompressed", ""),
    EXPLICIT_LITTLE: Syntax("uncompressed", ""),
    EXPLICIT_BIG: Syntax("uncompressed", ""),
    DEFLATED: Syntax("deflated", ""),
    "1.2.840.10008.1.2.5": Syntax("RLE", "dicomrle"),
    f"{_JPEG}50": Syntax("JPEG", "jpeg8"),
    f"{_JPEG}51": Syntax("JPEG Extended", "jpeg8"),
    f"{_JPEG}57": Syntax("JPEG Lossless", "jpeg8"),
    f"{_JPEG}70": Syntax("JPEG Lossless", "jpeg8"),
    f"{_JPEG}80": Syntax("JPEG-LS", "jpegls"),
    f"{_JPEG}81": Syntax("JPEG-LS near-lossless", "jpegls"),
    f"{_JPEG}90": Syntax("JPEG 2000 lossless", "jpeg2k"),
    f"{_JPEG}91": Syntax("JPEG 2000", "jpeg2k"),
    f"{_JPEG}201": Syntax("HTJ2K lossless", "jpeg2k"),
    f"{_JPEG}202": Syntax("HTJ2K lossless", "jpeg2k"),
    f"{_JPEG}203": Syntax("HTJ2K", "jpeg2k"),
}
"""By UID; PS3.6, table A-1. What is not here (video, JPIP, JPEG XL, ...) is refused."""


def syntax_of(uid: str) -> Syntax:
    """The row of a transfer syntax.

    Raises:
        BadImageError: Stage `header`, if it is not read here.
    """
    found = SYNTAXES.get(uid)
    if found is None:
        raise BadImageError("header", "DICOM whose pixels are compressed in a way that is not read (transfer syntax)")
    return found


def require_decoder(syntax: Syntax) -> None:
    """Refuse a compressed file where the package that decodes it is missing.

    Raises:
        BadImageError: Stage `header`; it names the extra.
    """
    if syntax.codec and not decoder_version():
        raise BadImageError(
            "header",
            f"DICOM of {syntax.name}, whose decoder ({PACKAGE}) is not installed: pip install 'cxrfeat[dicom]'",
        )


def decoder_version() -> str:
    """The version of the package, as it is recorded; empty where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""
