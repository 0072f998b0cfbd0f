"""Rows of a feature file computed again from their images, and whether they are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.engine import Engine
from cxrfeat.errors import BadImageError
from cxrfeat.feature.decoded import why_other
from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.mask import NO_MASKS, Masks
from cxrfeat.image.row import Manifest
from cxrfeat.spec import OPENVINO_BFLOAT16, ViewSpec
from cxrfeat.system.ahead import Ahead
from cxrfeat.types import Counted
from cxrfeat.view.prepare import ImageFile, Wanted, image_files
from cxrfeat.view.stream import Outcome, stream, views_of

NORM, PEAK = 1e-5, 1e-4
"""How far two engines may differ: in norm, and in the largest element, both relative. float16 files: 1e-3; those
of OpenVINO's bfloat16, which rounds to 2e-3 at every layer: 1e-2."""


def differing_rows(
    file: FeatureFile,
    rows: Sequence[int],
    manifest: Manifest,
    engine: Engine,
    progress: Counted | None = None,
    *,
    masks: Masks = NO_MASKS,
) -> list[str]:
    """What there is to say against each row that is another today, in the order of the rows.

    Args:
        file: The features.
        rows: Which to compute again.
        manifest: Where the images are.
        engine: The network.
        progress: Called after every row.
        masks: The mask files of the images that have one, by content hash.
    """
    problems = []
    view, keys = file.spec.view, file.content_sha256
    known = {row.content_sha256: row for row in manifest.rows}
    there = [known[keys[row]] for row in rows if keys[row] in known]
    with stream(image_files(there, manifest.root, masks), Wanted(views=(view,))) as images:
        again = _again(images, view, engine)
        for done, row in enumerate(rows, start=1):
            if keys[row] not in known:
                problems.append(f"the image of row {row} is not in {manifest.root}")
            elif problem := _problem(file, row, next(again)):
                problems.append(problem)
            if progress:
                progress(done, len(rows))
    return problems


def _again(
    images: Ahead[ImageFile, Outcome], view: ViewSpec, engine: Engine
) -> Iterator[NDArray[np.float32] | BadImageError]:
    """The features of each image, `(views, dim)`, or why there are none; a batch is filled with those of several."""
    while some := [views_of(one, view) for one in images.take(max(1, engine.batch // view.count))]:
        good = [one for one in some if not isinstance(one, BadImageError)]
        features = iter(engine.run(np.concatenate(good)).reshape(len(good), view.count, -1) if good else ())
        yield from (one if isinstance(one, BadImageError) else next(features) for one in some)


def _problem(file: FeatureFile, row: int, again: NDArray[np.float32] | BadImageError) -> str:
    """How a row differs from what it is now; nothing where it does not."""
    if isinstance(again, BadImageError):
        return f"the image of row {row} cannot be read ({again.reason})"
    loose = 1000.0 if file.spec.precision == OPENVINO_BFLOAT16 else 100.0 if file.spec.storage == "float16" else 1.0
    difference = np.abs(again - file.features[row].astype(np.float32))
    if np.linalg.norm(difference) <= NORM * loose * np.linalg.norm(again) and (
        difference.max() <= PEAK * loose * np.abs(again).max()
    ):
        return ""
    reasons = [why_other(file), "its lung mask may have changed" if file.spec.view.masks else ""]
    reason = "; ".join(one for one in reasons if one)
    return f"row {row} computed again differs (largest difference {difference.max():.3g})" + (
        f": {reason}" if reason else ""
    )
