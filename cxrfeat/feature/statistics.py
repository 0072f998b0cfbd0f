"""Mean and deviation of the training pixels, for the paper's `featurewise` normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Progress
from cxrfeat.view.prepare import prepare

_AT_ONCE = 64


def pixel_statistics(
    rows: Sequence[ImageRow],
    root: Path,
    view: ViewSpec,
    progress: Progress | None = None,
    *,
    masks: Masks = NO_MASKS,
) -> tuple[float, float]:
    """Mean and standard deviation of the plain views' pixels, in [0, 255].

    The sums are of whole numbers, so the result does not depend on order or threads. Images that cannot be used are
    left out here and recorded by the extraction.

    Args:
        rows: The training images.
        root: The data folder.
        view: How views are made.
        progress: Told after every few images.
        masks: From `find_masks`, where the views use them.

    Raises:
        InputError: If none can be used.
    """
    plain = replace(view, count=1)
    total = squares = count = 0

    def sums(row: ImageRow) -> tuple[int, int, int]:
        try:
            prepared = prepare(root / row.path, row.content_sha256, [plain], masks.get(row.content_sha256))
            pixels = prepared.of(plain).astype(np.int64)
        except BadImageError:
            return 0, 0, 0
        return int(pixels.sum()), int((pixels * pixels).sum()), pixels.size

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        for start in range(0, len(rows), _AT_ONCE):
            found: Iterable[tuple[int, int, int]] = pool.map(sums, rows[start : start + _AT_ONCE])
            for one, two, pixels in found:
                total, squares, count = total + one, squares + two, count + pixels
            if progress:
                progress("training pixels", min(start + _AT_ONCE, len(rows)), len(rows))
    if not count:
        raise InputError("None of the training images can be read, so their pixels have no mean. Check the files.")
    mean = total / count
    return mean, math.sqrt(max(squares / count - mean * mean, 0.0))
