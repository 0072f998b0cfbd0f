"""The recipe of verification: checksums, and rows computed again from the images."""

from __future__ import annotations

import numpy as np

from cxrfeat.backbone.choose import auto_engine
from cxrfeat.backbone.engine import CPU_BATCH, EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import BadImageError, UsageError
from cxrfeat.feature.decoded import why_other
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import verify_features
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import NO_MASKS, find_masks
from cxrfeat.image.row import Selection
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.process import threads
from cxrfeat.types import Progress
from cxrfeat.view.prepare import prepare

NORM, PEAK = 1e-5, 1e-4
"""How far two engines may differ: in norm, and in the largest element, both relative. float16 files: 1e-3."""


def verify(
    path: PathLike,
    *,
    recompute: int = 0,
    data: PathLike | None = None,
    network: PathLike | None = None,
    reading: Selection | None = None,
    seed: int = 0,
    make_engine: EngineFactory = auto_engine,
    progress: Progress | None = None,
) -> list[str]:
    """Every problem of a feature file; none is an empty list.

    Args:
        path: The file, or one that is open.
        recompute: How many random rows to compute again.
        data: Folder of the images, needed then.
        network: Where the network's file is, if it has moved.
        reading: How the folder is read: its `follow_links` and its `strict`.
        seed: Of the choice of rows.
        make_engine: Loads a network.
        progress: Told after every row.

    Raises:
        UsageError: If rows are to be recomputed and no data are given, or fewer than none.
        InputError: If the file is not a feature file, or the data cannot be used.
    """
    if recompute < 0:
        raise UsageError(f"`recompute` is a number of rows, at least 0; got {recompute}.")
    if recompute and data is None:
        raise UsageError("`recompute` needs the images: name their folder with `data`.")
    path = as_path(path, "a feature file")
    problems = verify_features(path)
    if problems or not recompute or data is None:
        return problems
    manifest = index_folder(data, reading or Selection())
    data = manifest.root
    places = {row.content_sha256: row.path for row in manifest.rows}
    with FeatureFile(path) as file:
        masks = find_masks(manifest.rows, data) if file.spec.view.masks else NO_MASKS
        engine = make_engine(
            find_again(file.spec, file.content.backbone, path=network), file.spec, CPU_BATCH, threads()
        )
        rows = np.random.default_rng(seed).permutation(file.images)[:recompute]
        loose = 100.0 if file.spec.storage == "float16" else 1.0
        for done, row in enumerate(rows.tolist(), start=1):
            sha = file.content_sha256[row]
            if sha not in places:
                problems.append(f"the image of row {row} is not in {data}")
                continue
            try:
                views = prepare(data / places[sha], sha, [file.spec.view], masks.get(sha)).of(file.spec.view)
            except BadImageError as error:
                problems.append(f"the image of row {row} cannot be read ({error.reason})")
                continue
            again, stored = engine.run(views), file.features[row].astype(np.float32)
            difference = np.abs(again - stored)
            if np.linalg.norm(difference) > NORM * loose * np.linalg.norm(again) or (
                difference.max() > PEAK * loose * np.abs(again).max()
            ):
                reasons = [why_other(file), "its lung mask may be another" if file.spec.view.masks else ""]
                reason = "; ".join(one for one in reasons if one)
                problems.append(
                    f"row {row} computed again is another (largest difference {difference.max():.3g})"
                    + (f": {reason}" if reason else "")
                )
            if progress:
                progress("recompute", done, len(rows))
    return problems
