"""Mean and deviation of the training pixels, for the paper's `featurewise` normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrfeat.errors import BadImageError, InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Progress
from cxrfeat.view.prepare import Wanted, image_files
from cxrfeat.view.stream import stream


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
        progress: Called after every image.
        masks: From `find_masks`, where the views use them.

    Raises:
        InputError: If none can be used.
    """
    plain = replace(view, count=1)
    total = squares = count = 0
    with stream(image_files(rows, root, masks), Wanted(views=(plain,))) as images:
        for done, one in enumerate(images, start=1):
            if not isinstance(one, BadImageError) and plain in one.views:
                pixels = one.views[plain].astype(np.int64)
                total += int(pixels.sum())
                squares += int((pixels * pixels).sum())
                count += pixels.size
            if progress:
                progress("training pixels", done, len(rows))
    if not count:
        raise InputError("None of the training images can be read, so their pixels have no mean. Check the files.")
    mean = total / count
    return mean, math.sqrt(max(squares / count - mean * mean, 0.0))
