"""What the files themselves give away: how images are stored, as columns a classifier can use.

Sets from different hospitals differ in format, size and compression; a network cannot read a file's header, but what
wrote it also shaped the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.appearance import Look
from cxrfeat.image.row import ImageRow
from cxrfeat.types import Features

Columns = Mapping[str, NDArray[np.generic]]
"""`(images,)` each: numbers, or texts."""

OFTEN = 0.02
"""Share of the images from which a value gets an indicator of its own: a hospital's usual size, say."""

BINS = 8
"""Bins for the other numbers, of about equally many images."""

TEXTS = ("format", "suffix", "mode", "jpeg_tables")


def container_of_file(file: FeatureFile) -> Columns:
    """The container of each image, from a feature file alone."""
    columns = file.content.columns
    texts = {name: np.array([one or "" for one in file.texts(f"container/{name}")]) for name in TEXTS}
    numbers = {name: columns[f"container/{name}"] for name in ("width", "height", "bits", "file_bytes")}
    return _complete(texts, numbers, columns["mean_grey"], columns["black_border"])


def container_of_rows(rows: Sequence[ImageRow], looks: Sequence[Look]) -> Columns:
    """The same, from a manifest and what was seen of its images."""
    texts = {name: np.array([getattr(row.header, name) for row in rows]) for name in TEXTS}
    numbers = {
        name: np.array([getattr(row.header, name) for row in rows])
        for name in ("width", "height", "bits", "file_bytes")
    }
    grey, border = np.array([look.mean_grey for look in looks]), np.array([look.black_border for look in looks])
    return _complete(texts, numbers, grey, border)


def _complete(
    texts: Columns, numbers: Mapping[str, NDArray[np.generic]], grey: NDArray[np.generic], border: NDArray[np.generic]
) -> Columns:
    aspect = numbers["width"].astype(np.float64) / np.maximum(numbers["height"].astype(np.float64), 1)
    return {**texts, **numbers, "aspect": aspect.round(3), "mean_grey": grey, "black_border": border}


def indicators(columns: Columns) -> Features:
    """Columns of any kind as zeros and ones, which a linear classifier can use whatever their scale.

    Values that come often have a column of their own; other numbers fall into bins of about equally many images, other
    texts into one. Labels play no part in this.

    Args:
        columns: `(images,)` each; numbers that are NaN are unknown, which is a value of its own.

    Returns:
        `(images, k)` float32 of 0 and 1; columns that are the same for all images are left out.

    Example:
        >>> indicators({"mode": np.array(["L", "RGB", "L", "L"]), "bits": np.array([8, 8, 8, 8])}).tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]
    """
    made: list[NDArray[np.bool_]] = []
    for values in columns.values():
        codes, number = _codes(values)
        made.append(codes[:, None] == np.arange(number))
    flat = np.hstack(made)
    varied = flat.any(axis=0) & ~flat.all(axis=0)
    return flat[:, varied].astype(np.float32)


def _codes(values: NDArray[np.generic]) -> tuple[NDArray[np.intp], int]:
    """A number for each value's column, and how many columns there are."""
    known, inverse, counts = np.unique(values, return_inverse=True, return_counts=True, equal_nan=True)
    often = np.flatnonzero(counts >= max(2, OFTEN * len(values)) if len(known) > BINS else counts >= 1)
    codes = np.full(len(known), -1)
    codes[often] = np.arange(len(often))
    rare = codes < 0
    if rare.any():
        bins = np.zeros(int(rare.sum()), np.intp)
        if np.issubdtype(values.dtype, np.number):  # known is sorted, so these are quantiles
            before = np.cumsum(counts[rare]) - counts[rare]
            bins = (before * BINS) // counts[rare].sum()
        codes[rare] = len(often) + bins
    return codes[inverse].astype(np.intp), int(codes.max()) + 1
