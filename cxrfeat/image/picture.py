"""Small pictures of images, to be looked at: the only place that encodes pixels for a page."""

from __future__ import annotations

import io
from base64 import b64encode

import numpy as np
from PIL import Image

from cxrfeat.types import Grey


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
