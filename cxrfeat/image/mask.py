"""The only place that knows lung masks: their files, and the template that stands in where an image has none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.decode import decode, read_file
from cxrfeat.image.row import ImageRow

Lungs = NDArray[np.bool_]
"""`(h, w)`, true in the lungs."""

ASPECT = 0.02
"""By how much the ratio of width to height of a mask may differ from the image's: rounding a side costs less than this
from 50 pixels on."""

_WHITE = 255.0

# The template's left ellipse, in parts of width and height; the right one is its mirror image.
_CENTRE = (0.30, 0.45)
_RADII = (0.25, 0.42)
_LEAN = math.radians(14)


@dataclass(frozen=True, slots=True)
class MaskFile:
    """The file of a lung mask, as it was when the run began."""

    path: Path
    sha256: str | None
    """Of its bytes, 64 hexadecimal digits; `None` if they could not be read."""


Masks = Mapping[str, MaskFile]
"""The mask files of the images that have one, by the image's content hash."""

NO_MASKS: Masks = MappingProxyType({})


def find_masks(rows: Iterable[ImageRow], root: Path) -> Masks:
    """The mask file of each image that has one, by the image's content hash.

    Copies of one image may have different masks: the first that has one counts, in the order of `rows`.

    Args:
        rows: Of a manifest.
        root: Its data folder.
    """
    masks: dict[str, MaskFile] = {}
    for row in rows:
        if row.mask is None or row.content_sha256 in masks:
            continue
        path = root / row.mask
        try:
            digest = hashlib.sha256(read_file(path)).hexdigest()
        except BadImageError:  # told when the image is computed, under its name
            digest = None
        masks[row.content_sha256] = MaskFile(path, digest)
    return masks


def masks_digest(masks: Masks) -> str:
    """SHA-256 over the pairs of image and mask, 64 hexadecimal digits: names the masks, whatever their order or place.

    Example:
        >>> masks_digest({})[:8]
        '4f53cda1'
    """
    pairs = sorted((content, mask.sha256) for content, mask in masks.items())
    return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()


def read_mask(mask: MaskFile, shape: tuple[int, ...]) -> Lungs:
    """The lungs as a mask file marks them: what is brighter than half of white.

    Args:
        mask: The file.
        shape: Height and width of the image it belongs to.

    Returns:
        `(h, w)` bool, of the mask's own size.

    Raises:
        BadImageError: If the file cannot be read or is another than it was, marks nothing or everything, or is not of
            the image's form. The reason says that it is the mask's.
    """
    try:
        content = read_file(mask.path)
        if hashlib.sha256(content).hexdigest() != mask.sha256:
            raise BadImageError("open", "the file changed while the run went on")
        grey = decode(content)
    except BadImageError as error:
        raise BadImageError(error.stage, f"its lung mask: {error.reason}") from None
    lungs: Lungs = grey > _WHITE / 2
    if lungs.all() or not lungs.any():
        what = "everything is" if lungs.all() else "nothing is"
        raise BadImageError("decode", f"its lung mask: blank, since {what} brighter than half of white")
    (height, width), (image_height, image_width) = lungs.shape, shape
    if abs(width * image_height / (height * image_width) - 1) > ASPECT:
        raise BadImageError(
            "decode", f"its lung mask: {width} x {height}, another form than the image's {image_width} x {image_height}"
        )
    return lungs


def fitted(lungs: Lungs, shape: tuple[int, ...]) -> Lungs:
    """A mask at the size of its image: each pixel as the nearest of the mask.

    Args:
        lungs: `(h, w)`.
        shape: Height and width wanted.
    """
    if lungs.shape == shape:
        return lungs
    rows, columns = (
        ((np.arange(wanted) + 0.5) * (given / wanted)).astype(np.intp)
        for wanted, given in zip(shape, lungs.shape, strict=True)
    )
    large: Lungs = lungs[:, columns][rows]  # rows last: each is copied whole
    return large


def template(shape: tuple[int, ...]) -> Lungs:
    """Where lungs are in most frontal chest X-rays: two wide ellipses that lean together at the top, and overlap.

    Too wide rather than too narrow, for it takes the lungs out: what it leaves of them would look as though the class
    could be told without. Laid over the mean of 1,200 real images (400 each of COVID, normal and pneumonia; the widest
    lungs, COVID's, too) and over 27 single ones, it covers the lungs but for some lower corners; of 60 phantoms' lungs
    it covers 97 to 100 %. It leaves 38 % of the picture: neck, shoulders, sides and abdomen. Narrower ones (21 % of the
    width instead of 25) left lung beside the heart in many images.

    Args:
        shape: Height and width of the image.

    Returns:
        `(h, w)` bool, true in the lungs.

    Example:
        >>> lungs = template((100, 100))
        >>> lungs[45, 30], lungs[45, 70], lungs[0, 0], float(lungs.mean().round(2))
        (np.True_, np.True_, np.False_, 0.61)
    """
    height, width = shape
    down = (np.arange(height)[:, None] + 0.5) / height - _CENTRE[1]
    across = (np.arange(width) + 0.5) / width
    # The ellipse is a x^2 + 2 b x y + c y^2 < 1: in each row, what lies about a middle and within a reach of it.
    cosine, sine = math.cos(_LEAN), math.sin(_LEAN)
    a = (cosine / _RADII[0]) ** 2 + (sine / _RADII[1]) ** 2
    b = cosine * sine * (_RADII[0] ** -2 - _RADII[1] ** -2)
    c = (sine / _RADII[0]) ** 2 + (cosine / _RADII[1]) ** 2
    middle = _CENTRE[0] - b / a * down
    reach = np.sqrt(np.maximum((b * down) ** 2 - a * (c * down**2 - 1), 0)) / a
    left = (across > middle - reach) & (across < middle + reach)
    lungs: Lungs = left | left[:, ::-1]
    return lungs
