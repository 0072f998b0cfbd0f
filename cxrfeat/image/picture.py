"""Small pictures of images, to be looked at: the only place that encodes pixels for a page."""

from __future__ import annotations

import io
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrfeat.types import Grey


def jpeg_address(image: Image.Image) -> str:
    """A picture as a small `data:` address, where fine shades do not matter."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + b64encode(content.getvalue()).decode()


def smaller(picture: bytes, side: int = 420) -> str:
    """An encoded picture of our own, made to fit a page.

    Args:
        picture: As PNG.
        side: Height and width, at most, in pixels.

    Returns:
        A `data:` address.
    """
    with Image.open(io.BytesIO(picture), formats=["PNG"]) as opened:
        small = opened.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return jpeg_address(small)


def contact_sheet(images: NDArray[np.uint8], columns: int) -> str:
    """Small pictures, row by row, in one: far fewer bytes than each alone.

    Args:
        images: `(n, side, side)`, at least one; sides of whole JPEG blocks (8) keep neighbours from running over.
        columns: In a row.

    Returns:
        A `data:` address.

    Example:
        >>> contact_sheet(np.zeros((3, 8, 8), np.uint8), columns=2)[:23]
        'data:image/jpeg;base64,'
    """
    side, rows = images.shape[1], -(-len(images) // columns)
    sheet = np.zeros((rows * columns, side, side), np.uint8)
    sheet[: len(images)] = images
    whole = sheet.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)
    return jpeg_address(Image.fromarray(whole))


def data_address(image: Grey, side: int = 240) -> str:
    """A picture as a `data:` address, which a page can hold.

    Args:
        image: `(h, w)` uint8, or float32 in [0, 255].
        side: Height and width, at most, in pixels.

    Example:
        >>> data_address(np.zeros((400, 300), np.uint8))[:22]
        'data:image/png;base64,'
    """
    small = Image.fromarray(np.rint(image).astype(np.uint8))
    small.thumbnail((side, side))
    content = io.BytesIO()
    small.save(content, "PNG")
    return "data:image/png;base64," + b64encode(content.getvalue()).decode()
