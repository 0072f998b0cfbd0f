"""Pictures to be looked at: the only place that encodes pixels."""

from __future__ import annotations

import functools
import io
import math
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxrfeat.image.resample import fitted_in, resized
from cxrfeat.reporting.colour import ACTIVITY, HEAT, shades
from cxrfeat.types import Grey

Pixels = NDArray[np.uint8]
"""`(h, w)` grey or `(h, w, 3)` red, green and blue."""

_GROUND, _INK = 18, 235
_LEAST_WIDTH = 240
"""Of a framed picture whose text needs it, in pixels: narrower, each line would hold a word."""
_OPACITY = 0.6
"""Of the hottest place: what is under it must stay in sight."""


def data_address(image: Grey, side: int = 240) -> str:
    """A picture as a `data:` address, which a page can hold.

    Args:
        image: `(h, w)` uint8, or float32 in [0, 255].
        side: Height and width, at most, in pixels.

    Example:
        >>> data_address(np.zeros((400, 300), np.uint8))[:22]
        'data:image/png;base64,'
    """
    content = io.BytesIO()
    Image.fromarray(reduced(image, side)).save(content, "PNG")
    return "data:image/png;base64," + b64encode(content.getvalue()).decode()


def png(pixels: Pixels) -> bytes:
    """Pixels as the content of a PNG file.

    Example:
        >>> png(np.zeros((4, 4), np.uint8))[1:4]
        b'PNG'
    """
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=3)  # a third of the time of 6, and a tenth larger
    return content.getvalue()


def jpeg_address(pixels: Pixels) -> str:
    """A picture as a small `data:` address, where the last shade of grey does not matter.

    Example:
        >>> jpeg_address(np.zeros((8, 8), np.uint8))[:23]
        'data:image/jpeg;base64,'
    """
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + b64encode(content.getvalue()).decode()


def contact_sheet(images: NDArray[np.uint8], columns: int) -> Pixels:
    """Small pictures of one size, row by row and without gaps, in one: far fewer bytes than each alone.

    Args:
        images: `(n, side, side)`, at least one; sides of whole JPEG blocks (8) keep neighbours from running over.
        columns: In a row.

    Example:
        >>> contact_sheet(np.zeros((3, 8, 8), np.uint8), columns=2).shape
        (16, 16)
    """
    side, rows = images.shape[1], -(-len(images) // columns)
    sheet = np.zeros((rows * columns, side, side), np.uint8)
    sheet[: len(images)] = images
    return sheet.reshape(rows, columns, side, side).swapaxes(1, 2).reshape(rows * side, columns * side)


def plain(image: Grey) -> Pixels:
    """An image as it is shown, `(h, w)` uint8."""
    shown: Pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return shown


def overlay(image: Grey, heat: NDArray[np.floating[Any]]) -> Pixels:
    """Heat laid over an image, the more opaque the hotter; where there is none the image is as it was.

    Args:
        image: `(h, w)`.
        heat: Heat of the same shape, from 0 to 1.

    Returns:
        `(h, w, 3)`.
    """
    level = np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8)
    share = np.linspace(0, 1, 256, dtype=np.float32) * _OPACITY
    colour = shades(HEAT).astype(np.float32) * share[:, None]  # by level, so that each pixel costs two look-ups
    mixed = plain(image)[..., None] * (1 - share)[level][..., None] + colour[level]
    laid: Pixels = np.rint(mixed).astype(np.uint8)
    return laid


def framed(pixels: Pixels, lines: Sequence[str], scale: Sequence[str] = ("0", "1"), colours: str = HEAT) -> Pixels:
    """A picture with a colour bar at its right and lines of text below; its own pixels stay as they are.

    Args:
        pixels: The picture.
        lines: Text; what is too long for the width is set smaller, then broken at spaces. Nothing is cut off: a word
            that is still too long widens the whole.
        scale: What the lower and the upper end of the bar mean.
        colours: Colour map of the bar.

    Returns:
        `(height, width, 3)`, larger than the picture: the picture is its upper left part.
    """
    picture, lines = _coloured(pixels), [_printed(line) for line in lines]
    height, width = picture.shape[:2]
    size = max(11, round(min(height, width) / 28))
    pad = max(4, size // 2)
    ends = [_font(size).getlength(end) for end in scale]
    bar = max(8, size)
    right = pad + bar + pad // 2 + math.ceil(max(ends)) + pad
    room = max(width + right, _LEAST_WIDTH) - 2 * pad
    text = [
        (part, font)
        for line, font in [(line, _fitting(line, size, room, least=10)) for line in lines]
        for part in _broken(line, font, room)
    ]
    wide = max([width + right, *(math.ceil(font.getlength(line)) + 2 * pad for line, font in text)])
    below = pad + sum(font.size + pad // 2 for _, font in text) + pad // 2
    canvas = Image.new("RGB", (wide, height + math.ceil(below)), (_GROUND,) * 3)
    canvas.paste(Image.fromarray(picture), (0, 0))
    # The bar shows the colours as they lie over middle grey, which is how they look in the picture.
    ramp = np.linspace(1, 0, height - 2 * pad)[:, None] * np.ones(bar)
    shown = overlay(np.full(ramp.shape, 96, np.uint8), ramp) if colours == HEAT else shades(colours)[_levels(ramp)]
    canvas.paste(Image.fromarray(shown), (width + pad, pad))
    pen = ImageDraw.Draw(canvas)
    x = width + pad + bar + pad // 2
    pen.text((x, pad), scale[-1], fill=(_INK,) * 3, font=_font(size), anchor="lt")
    pen.text((x, height - pad), scale[0], fill=(_INK,) * 3, font=_font(size), anchor="lb")
    y: float = height + pad
    for line, font in text:
        pen.text((pad, y), line, fill=(_INK,) * 3, font=font, anchor="lt")
        y += font.size + pad // 2
    return np.asarray(canvas)


def sheet(pictures: Sequence[Pixels], captions: Sequence[str], *, columns: int, title: str = "") -> Pixels:
    """Pictures of one size side by side, row by row, each with a line below it.

    Args:
        pictures: At least one; all of one size.
        captions: A line for each; all empty to leave no room for them.
        columns: Pictures in a row.
        title: A line above all, as wide as it takes.
    """
    captions, title = [_printed(caption) for caption in captions], _printed(title)
    height, width = pictures[0].shape[:2]
    gap, size = max(2, width // 40), max(9, min(14, width // 10))
    text = size + 4 if any(captions) else 0
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    top = 24 if title else 0
    wide = columns * (width + gap) + gap
    if title:
        wide = max(wide, math.ceil(_fitting(title, 14, wide - 2 * gap).getlength(title)) + 2 * gap + 4)
    canvas = Image.new("RGB", (wide, top + rows * (height + text + gap) + gap), (_GROUND,) * 3)
    pen = ImageDraw.Draw(canvas)
    if title:
        pen.text((gap + 2, 6), title, fill=(_INK,) * 3, font=_fitting(title, 14, canvas.width - 2 * gap), anchor="lt")
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        row, column = divmod(number, columns)
        x, y = gap + column * (width + gap), top + gap + row * (height + text + gap)
        canvas.paste(Image.fromarray(_coloured(picture)), (x, y))
        if caption:
            pen.text((x, y + height + 2), caption, fill=(_INK,) * 3, font=_fitting(caption, size, width), anchor="lt")
    return np.asarray(canvas)


def activity(map_: NDArray[np.floating[Any]], low: float, high: float, side: int) -> Pixels:
    """A map in colours, dark at `low` and light at `high`, enlarged cell by cell to a square of about `side`."""
    span = high - low
    level = _levels((map_ - low) / span if span > 0 else np.zeros(map_.shape))
    times = max(1, side // max(map_.shape))
    return np.repeat(np.repeat(shades(ACTIVITY)[level], times, axis=0), times, axis=1)


def cut_out(image: Grey, box: tuple[int, int, int, int], cell: tuple[float, float, float, float], side: int) -> Pixels:
    """Part of an image, brought to a square, with a frame round a smaller part of it.

    Args:
        image: `(h, w)`.
        box: First column and row, and those behind the last.
        cell: What is framed, likewise, in pixels of the image.
        side: Side of the square; the part keeps its form, and what is left is dark.
    """
    x0, y0, x1, y1 = box
    pixels = plain(image)[y0:y1, x0:x1]
    factor = side / max(pixels.shape)
    tall, wide = (max(1, round(length * factor)) for length in pixels.shape)
    part = Image.fromarray(resized(pixels, tall, wide, "bicubic"))
    canvas = Image.new("RGB", (side, side), (_GROUND,) * 3)
    left, top = (side - part.width) // 2, (side - part.height) // 2
    canvas.paste(part, (left, top))
    frame = [
        left + (cell[0] - x0) * factor, top + (cell[1] - y0) * factor,
        left + (cell[2] - x0) * factor - 1, top + (cell[3] - y0) * factor - 1,
    ]  # fmt: skip
    low, high = (left, top) * 2, (left + part.width - 1, top + part.height - 1) * 2
    frame = [min(max(value, least), most) for value, least, most in zip(frame, low, high, strict=True)]
    ImageDraw.Draw(canvas).rectangle(frame, outline=(255, 196, 0), width=max(1, side // 100))
    return np.asarray(canvas)


def reduced(image: Grey, side: int) -> Pixels:
    """An image as it is shown, no longer than `side` in height and width."""
    return fitted_in(plain(image), side)


def shrunk(image: Grey, side: int) -> Pixels:
    """An image in the middle of a dark square."""
    small = Image.fromarray(reduced(image, side))
    canvas = Image.new("L", (side, side), _GROUND)
    canvas.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    return np.asarray(canvas)


def _coloured(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _levels(values: NDArray[np.floating[Any]]) -> Pixels:
    levels: Pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return levels


def _printed(text: str) -> str:
    """A text in one line: Pillow cannot measure more, and a class may be named with anything."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitting(line: str, size: int, width: float, least: int = 8) -> Any:  # noqa: ANN401  # Pillow's fonts share no type with a size
    """The largest font up to a size in which a line is no wider than it may be, or the least that can be read."""
    while size > least and _font(size).getlength(line) > width:
        size -= 1
    return _font(size)


def _broken(line: str, font: Any, width: float) -> list[str]:  # noqa: ANN401  # as above
    """A line in as many as it takes for each to be no wider than it may be, unless a single word is."""
    parts: list[str] = []
    for word in line.split():
        if parts and font.getlength(f"{parts[-1]} {word}") <= width:
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    return parts
