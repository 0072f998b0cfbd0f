"""Features of images changed in several ways, for questions rather than for keeping: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.system.process import threads
from cxrfeat.types import Counted, Features
from cxrfeat.view.prepare import Prepared, prepare

_AT_ONCE = 64


def variant_features(
    rows: Sequence[ImageRow],
    root: Path,
    views: Sequence[ViewSpec],
    engine: Engine,
    progress: Counted | None = None,
    *,
    masks: Masks = NO_MASKS,
) -> dict[ViewSpec, Features]:
    """Features of the plain view of each image under each spec; every image is decoded once for all of them.

    Args:
        rows: The images; all can be read.
        root: Their data folder.
        views: How to change them, one view each.
        engine: The network.
        progress: Told after some images how many are done, and how many there are.
        masks: Lung masks, for the specs that name them; the template stands in for one that cannot be used, and where
            only lungs are kept also for one that is not there.

    Returns:
        `(images, dim)` float32 for each spec.

    Raises:
        BadImageError: If an image cannot be used any more.
        InputError: If the network gives NaN or infinity.
    """
    found: dict[ViewSpec, list[Features]] = {view: [] for view in views}

    def made(row: ImageRow) -> Prepared:
        mask = masks.get(row.content_sha256)
        return prepare(root / row.path, row.content_sha256, list(found), mask, stand_in=True)

    with ThreadPoolExecutor(max_workers=threads(), thread_name_prefix="decode") as pool:
        for start in range(0, len(rows), _AT_ONCE):
            some = list(pool.map(made, rows[start : start + _AT_ONCE]))
            for view, parts in found.items():
                parts.append(engine.run(np.concatenate([one.of(view) for one in some])))
            if progress:
                progress(min(start + _AT_ONCE, len(rows)), len(rows))
    features = {view: np.concatenate(parts) for view, parts in found.items()}
    if not all(np.isfinite(each).all() for each in features.values()):
        raise InputError("The network gives NaN or infinity for some images. Check its weights and `preprocess`.")
    return features
