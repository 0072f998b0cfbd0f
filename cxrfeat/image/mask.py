"""The only place that knows lung masks: their files, and the template that stands in where an image has none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import probe
from cxrfeat.image.decode import decode, decode_opacity
from cxrfeat.image.mask_kept import digest_of, read_kept, unpacked
from cxrfeat.image.mask_place import Form, MaskPlace, kept_at
from cxrfeat.image.row import ImageRow
from cxrfeat.system.ahead import Ahead
from cxrfeat.types import Grey

Lungs = NDArray[np.bool_]
"""`(h, w)`, true in the lungs."""

ASPECT = 0.02
"""By how much the ratio of width to height of a mask may differ from the image's: rounding a side costs less than this
from 50 pixels on."""

LABELS = 16
"""Values of a label map, at most: background, lungs, lobes, heart. Soft edges have more."""

_FLAT = 0.5
"""Share of the pixels between darkest and brightest whose neighbours all have their value: more where these are labels,
less where they are soft edges."""
_OUTSIDE, _TOUCHING = 0.9, 0.5
"""Share of the border that is bright in a mask turned round, at least; and in one that is not, at most."""
_LEAST, _MOST = 0.01, 0.95
"""Share of the area that lungs take."""

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
    image: str = ""
    """Path of the image it belongs to, relative to the data root."""
    problem: tuple[str, str] | None = None
    """Stage and reason why it cannot be used."""
    inverted: bool = False
    """Whether it is bright outside the lungs, and so was turned round."""
    place: MaskPlace | None = None
    """Where it is, if it is not the whole file and nothing else."""


Masks = Mapping[str, MaskFile]
"""The mask files of the images that have one, by the image's content hash."""

NO_MASKS: Masks = MappingProxyType({})


def find_masks(rows: Iterable[ImageRow], root: Path) -> Masks:
    """The mask file of each image that has one, by the image's content hash.

    Copies of one image may have different masks: the first that has one counts, in the order of `rows`.

    Args:
        rows: Rows of a manifest.
        root: Its data folder.
    """
    wanted = masked_rows(rows)
    with Ahead(lambda row: open_mask(row, root)[0], wanted.values()) as found:
        return dict(zip(wanted, found, strict=True))


def masked_rows(rows: Iterable[ImageRow]) -> dict[str, ImageRow]:
    """By content hash, the image whose mask is that of all its copies: the first that has one."""
    found: dict[str, ImageRow] = {}
    for row in rows:
        if row.mask is not None:
            found.setdefault(row.content_sha256, row)
    return found


def open_mask(row: ImageRow, root: Path) -> tuple[MaskFile, Lungs | BadImageError]:
    """The mask file that an image names, and what `read_mask` makes of it or why it cannot be used; it is read once.

    Args:
        row: The image; it has a mask.
        root: Its data folder.
    """
    assert row.mask is not None  # as its caller knows
    place = kept_at(row.mask).within(root)
    found = MaskFile(Path(place.paths[0]), None, row.path, place=None if place.form == "file" else place)
    try:
        contents = read_kept(place)
        found = replace(found, sha256=digest_of(contents))
        lungs, inverted = _understood(place.form, contents, (row.header.height, row.header.width))
    except BadImageError as error:
        return replace(found, problem=(error.stage, error.reason)), error
    return replace(found, inverted=inverted), lungs


def mask_notes(masks: Masks, then: str | None, shown: Callable[[str], str] = str) -> list[str]:
    """What there is to say of masks that are not as they should be, a line for each kind.

    Args:
        masks: From `find_masks`.
        then: What becomes of images whose mask cannot be used, as a sentence; `None` where these are told elsewhere.
        shown: How the path of an image is shown.

    Example:
        >>> bad = MaskFile(Path("masks/1.png"), None, "1.png", problem=("header", "the file is empty"))
        >>> mask_notes({"00" * 32: bad}, "A template stands in.")
        ["1 of 1 lung masks cannot be used: that of '1.png' (the file is empty). A template stands in."]
    """
    bad = [mask for mask in masks.values() if mask.problem is not None]
    turned = sum(mask.inverted for mask in masks.values())
    notes = []
    if bad and then is not None:
        named = ", ".join(f"that of {shown(one.image)!r} ({one.problem[1]})" for one in bad[:3] if one.problem)
        more = f", and {len(bad) - 3} more" if len(bad) > 3 else ""
        notes.append(f"{len(bad)} of {len(masks)} lung masks cannot be used: {named}{more}. {then}")
    if turned:
        notes.append(f"{turned} of {len(masks)} lung masks are bright outside the lungs, and are used inverted.")
    return notes


def masks_digest(masks: Masks) -> str:
    """SHA-256 over the pairs of image and mask, 64 hexadecimal digits: names the masks, whatever their order or place.

    Example:
        >>> masks_digest({})[:8]
        '4f53cda1'
    """
    pairs = sorted((content, mask.sha256) for content, mask in masks.items())
    return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()


def read_mask(mask: MaskFile, shape: tuple[int, ...]) -> Lungs:
    """The lungs as a mask file marks them.

    Whatever two values a mask has, the lungs are the brighter one; of a label map they are all but the background,
    which is what most of the border has; where edges are soft, what is brighter than half of white, or than the middle
    of its range where all is darker. A mask that is bright along its border is one turned round, since lungs leave it
    free. Where the colours show nothing, the opacity is taken.

    Args:
        mask: The file.
        shape: Height and width of the image it belongs to.

    Returns:
        `(h, w)` bool, of the mask's own size.

    Raises:
        BadImageError: If the file cannot be read or is another than it was, marks nothing or everything, is a picture,
            or is not of the image's form. The reason says that it is the mask's.
    """
    try:
        if mask.problem is not None:
            raise BadImageError(*mask.problem)
        place = mask.place or kept_at(str(mask.path))
        contents = read_kept(place)
        if digest_of(contents) != mask.sha256:
            raise BadImageError("open", "the file changed during the run")
        return _understood(place.form, contents, shape)[0]
    except BadImageError as error:
        raise BadImageError(error.stage, f"its lung mask: {error.reason}") from None


def _understood(form: Form, contents: Sequence[bytes], shape: tuple[int, ...]) -> tuple[Lungs, bool]:
    """The lungs, and whether a file was turned round for them."""
    if form in ("planes", "row"):
        parts = [(unpacked(form, contents[0]), False)]
    else:
        parts = [_of_file(content) for content in contents]
    lungs, inverted = parts[0]
    for more, turned in parts[1:]:
        if more.shape != lungs.shape:
            (height, width), (other_height, other_width) = lungs.shape, more.shape
            raise BadImageError(
                "decode", f"one lung in {width} x {height}, the other in {other_width} x {other_height}"
            )
        lungs, inverted = lungs | more, inverted or turned
    (height, width), (image_height, image_width) = lungs.shape, shape
    if abs(width * image_height / (height * image_width) - 1) > ASPECT:
        raise BadImageError(
            "decode", f"{width} x {height}, shaped differently from the image's {image_width} x {image_height}"
        )
    border = _border(lungs)
    if border > _TOUCHING:
        raise BadImageError(
            "decode", f"bright along {border:.0%} of its border, so it marks neither the lungs nor what surrounds them"
        )
    share = lungs.mean()
    if not _LEAST <= share <= _MOST:
        raise BadImageError("decode", f"it marks {share:.2%} of the image, too much or too little to be lungs")
    return lungs, inverted


def _of_file(content: bytes) -> tuple[Lungs, bool]:
    """What a picture of lungs marks, and whether it was turned round."""
    grey = decode(content)
    if grey.min() == grey.max():
        grey = decode_opacity(content)
    lungs = _marked(grey, lossy=probe(content, "").format in ("JPEG", "WEBP"))
    inverted = bool(_border(lungs) >= _OUTSIDE)
    return (~lungs if inverted else lungs), inverted


def _border(lungs: Lungs) -> float:
    """Share of the border that is marked."""
    return float(np.concatenate([lungs[0], lungs[-1], lungs[1:-1, 0], lungs[1:-1, -1]]).mean())


def _marked(grey: Grey, *, lossy: bool) -> Lungs:
    """What a mask marks, before anybody asks whether that can be lungs."""
    deep = grey.dtype != np.uint8
    steps = np.rint(grey * np.float32(257)).astype(np.uint16) if deep else grey
    white = 65535 if deep else 255
    counts = np.bincount(steps.ravel())
    values = np.flatnonzero(counts)
    low, high = int(values[0]), int(values[-1])
    if low == high:
        raise BadImageError("decode", "blank: it has a single value")
    if len(values) == 2:
        marked: Lungs = steps == high
        return marked
    if len(values) <= LABELS and not lossy and _flat(steps, low, high) > _FLAT:
        border = np.concatenate([steps[0], steps[-1], steps[:, 0], steps[:, -1]])
        labelled: Lungs = steps != np.bincount(border).argmax()
        return labelled
    reach = (high - low) // 8
    if counts[low + reach + 1 : high - reach].sum() > steps.size / 2:
        raise BadImageError("decode", f"a picture, not a mask: {len(values)} grey values, most of them in between")
    middle = white / 2 if low <= white / 2 < high else (low + high) / 2
    soft: Lungs = steps > middle
    return soft


def _flat(steps: NDArray[Any], low: int, high: int) -> float:
    """Share of the pixels between two values whose four neighbours have the same value as they."""
    inner = steps[1:-1, 1:-1]
    same = (inner == steps[:-2, 1:-1]) & (inner == steps[2:, 1:-1])
    same &= (inner == steps[1:-1, :-2]) & (inner == steps[1:-1, 2:])
    between = (inner > low) & (inner < high)
    return int(np.count_nonzero(same & between)) / max(1, int(np.count_nonzero(between)))


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
    width instead of 25) left lung next to the heart in many images.

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
