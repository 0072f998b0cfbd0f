"""Grey values of more than 8 bits: what is black in them and what is white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from cxrfeat.errors import BadImageError
from cxrfeat.image.container import tags_of
from cxrfeat.image.row import Header


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow holds an image's grey values in more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def deep_grey(
    image: Image.Image, header: Header, declared: tuple[float, float] | None, *, inverted: bool
) -> NDArray[np.float32]:
    """The grey values of a deep image, scaled to [0, 255] and not rounded, as `decode` says.

    Args:
        image: Loaded.
        header: Header of its file.
        declared: As `declared_range` gave it before the image was loaded.
        inverted: As `is_min_is_white` gave it then.

    Raises:
        BadImageError: If some pixels are not numbers, or nothing says what is white.
    """
    return _scaled(_samples(image, header), header, declared, inverted=inverted)


def declared_range(image: ImageFile.ImageFile) -> tuple[float, float] | None:
    """Smallest and largest value that a TIFF says its samples have: tags 280, 281 or, for other types, 340, 341."""
    tags = tags_of(image)

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


def is_min_is_white(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow hands over a TIFF whose low values are white; up to 8 bits it turns them itself."""
    return is_deep(image) and tags_of(image).get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


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
