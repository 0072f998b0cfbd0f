"""Features of images changed in several ways, for questions rather than for keeping: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import InputError
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import ImageRow
from cxrfeat.spec import ViewSpec
from cxrfeat.types import Counted, Features
from cxrfeat.view.prepare import Wanted, image_files
from cxrfeat.view.stream import stream, usable

_AT_ONCE = 64
"""Images whose views the network is given together, each description in turn."""


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
    done = 0
    with stream(image_files(rows, root, masks), Wanted(views=tuple(found), stand_in=True), ahead=_AT_ONCE) as images:
        while some := images.take(_AT_ONCE):
            for view, parts in found.items():
                parts.append(engine.run(np.concatenate([usable(one).of(view) for one in some])))
            done += len(some)
            if progress:
                progress(done, len(rows))
    features = {view: np.concatenate(parts) for view, parts in found.items()}
    if not all(np.isfinite(each).all() for each in features.values()):
        raise InputError("The network gives NaN or infinity for some images. Check its weights and `preprocess`.")
    return features
