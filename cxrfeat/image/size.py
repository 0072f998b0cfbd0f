"""How large an image may be, whatever format it comes in; judged by what its header says, before it is decoded."""

from __future__ import annotations

from cxrfeat.errors import BadImageError

MAX_PIXELS = 64_000_000
"""Images of more pixels are refused before they are decoded."""

MIN_SIDE = 32
"""Images with a shorter side, in pixels, are refused: no chest X-ray is so small."""


def check_size(width: int, height: int) -> None:
    """Refuse an image that is too large or too small.

    Raises:
        BadImageError: Stage `header`.
    """
    if width * height > MAX_PIXELS:
        raise BadImageError(
            "header",
            f"{width} x {height} is {width * height / 1e6:.0f} megapixels; "
            f"this program reads up to {MAX_PIXELS / 1e6:.0f}",
        )
    if min(width, height) < MIN_SIDE:
        raise BadImageError("header", f"{width} x {height} is too small: a side needs at least {MIN_SIDE} pixels")
