"""The recipe of verification: checksums, and rows computed again from the images."""

from __future__ import annotations

import numpy as np

from cxrfeat.backbone.choose import auto_engine
from cxrfeat.backbone.engine import CPU_BATCH, EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.bar import with_bar
from cxrfeat.errors import InputError, UsageError
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.recompute import differing_rows
from cxrfeat.feature.store import verify_features
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import NO_MASKS, find_masks
from cxrfeat.image.row import Selection
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.process import threads
from cxrfeat.types import Progress, named


@with_bar("rows")
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
    """List every problem of a feature file; an intact file gives an empty list.

    Args:
        path: The file, or one that is open.
        recompute: How many random rows to recompute.
        data: Folder of the images, needed to recompute.
        network: Where the network's file is, if it has moved.
        reading: How the folder is read: its `follow_links` and its `strict`.
        seed: Seed of the choice of rows.
        make_engine: Loads a network.
        progress: Called after every row.

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
    with FeatureFile(path) as file:
        masks = find_masks(manifest.rows, manifest.root) if file.spec.view.masks else NO_MASKS
        if file.spec.view.masks and not masks:
            raise InputError(
                f"The features of {path} were made with lung masks, and there are none in {manifest.root}. Name the "
                "folder or table that they were taken from with `masks`."
            )
        engine = make_engine(
            find_again(file.spec, file.content.backbone, path=network), file.spec, CPU_BATCH, threads()
        )
        rows = np.random.default_rng(seed).permutation(file.images)[:recompute].tolist()
        return differing_rows(file, rows, manifest, engine, named(progress, "recompute"), masks=masks)
