"""The recipe of verification: checksums, and rows computed again from the images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cxrfeat.backbone.choose import auto_engine
from cxrfeat.backbone.engine import CPU_BATCH, Engine, EngineFactory
from cxrfeat.backbone.network import find_again
from cxrfeat.errors import BadImageError, UsageError
from cxrfeat.feature.decoded import why_other
from cxrfeat.feature.file import FeatureFile
from cxrfeat.feature.store import verify_features
from cxrfeat.image.index import index_folder
from cxrfeat.image.mask import NO_MASKS, find_masks
from cxrfeat.image.row import Selection
from cxrfeat.spec import ViewSpec
from cxrfeat.system.ahead import Ahead
from cxrfeat.system.given import PathLike, as_path
from cxrfeat.system.process import threads
from cxrfeat.types import Progress
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import Outcome, stream, views_of

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
        view, keys = file.spec.view, file.content_sha256
        rows = np.random.default_rng(seed).permutation(file.images)[:recompute].tolist()
        there = [keys[row] for row in rows if keys[row] in places]
        files = (ImageFile(path=data / places[sha], content_sha256=sha, mask=masks.get(sha)) for sha in there)
        with stream(files, Wanted(views=(view,))) as images:
            again = _computed(images, view, engine)
            for done, row in enumerate(rows, start=1):
                if keys[row] not in places:
                    problems.append(f"the image of row {row} is not in {data}")
                elif problem := _problem(file, row, next(again)):
                    problems.append(problem)
                if progress:
                    progress("recompute", done, len(rows))
    return problems


def _computed(
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
    loose = 100.0 if file.spec.storage == "float16" else 1.0
    difference = np.abs(again - file.features[row].astype(np.float32))
    if np.linalg.norm(difference) <= NORM * loose * np.linalg.norm(again) and (
        difference.max() <= PEAK * loose * np.abs(again).max()
    ):
        return ""
    reasons = [why_other(file), "its lung mask may be another" if file.spec.view.masks else ""]
    reason = "; ".join(one for one in reasons if one)
    return f"row {row} computed again is another (largest difference {difference.max():.3g})" + (
        f": {reason}" if reason else ""
    )
