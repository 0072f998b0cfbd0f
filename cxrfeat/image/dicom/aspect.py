"""Pixels that are not square made square: a chest keeps its proportions; PS3.3, C.7.6.3.1.7 and 10.7.1.3."""

from __future__ import annotations

from cxrfeat.errors import BadImageError
from cxrfeat.types import Grey

_SQUARE = 0.01
"""Relative difference of height and width that no eye and no network sees."""

_MOST = 4.0


def square_size(rows: int, columns: int, spacing: tuple[float, float] | None) -> tuple[int, int]:
    """Rows and columns of the image whose pixels are square, the finer of the two distances being kept.

    Args:
        rows: As stored.
        columns: As stored.
        spacing: Distance of rows and of columns.

    Raises:
        BadImageError: Stage `header`, if pixels are more than four times as long one way as the other.

    Example:
        >>> square_size(100, 200, (0.2, 0.1)), square_size(100, 200, (0.1431, 0.143)), square_size(100, 200, None)
        ((200, 200), (100, 200), (100, 200))
    """
    if spacing is None:
        return rows, columns
    ratio = spacing[0] / spacing[1]
    if abs(ratio - 1) <= _SQUARE:
        return rows, columns
    if not 1 / _MOST <= ratio <= _MOST:
        raise BadImageError("header", "DICOM whose pixels are over four times as long one way as the other")
    return (round(rows * ratio), columns) if ratio > 1 else (rows, round(columns / ratio))


def squared(grey: Grey, spacing: tuple[float, float] | None) -> Grey:
    """An image with square pixels; itself if they are."""
    height, width = square_size(grey.shape[0], grey.shape[1], spacing)
    if (height, width) == grey.shape:
        return grey
    from cxrfeat.image.resample import resized

    made: Grey = resized(grey, height, width, "bilinear")
    return made
