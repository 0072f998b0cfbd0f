"""The cached features of some images laid out in the plane, with what is said of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec

import numpy as np

from cxrfeat.errors import MissingExtraError, UsageError
from cxrfeat.explaining.projection import projection
from cxrfeat.feature.file import FeatureFile
from cxrfeat.reporting.content import FeatureMap
from cxrfeat.reporting.naming import parts_of
from cxrfeat.reporting.tiles import TileSheet
from cxrfeat.run.folder import Run
from cxrfeat.spec import Projecting

POINTS = 2000
"""Images that a feature map shows at most."""

_HOW: dict[Projecting, str] = {
    "pca": "The plane of the two largest principal components of the plain views' features.",
    "tsne": "The plain views' features by t-SNE: neighbours are kept, and distances between clusters mean little.",
    "umap": "The plain views' features by UMAP: neighbours are kept, and distances between clusters mean little.",
}
"""What the page says of each projection."""


def find_projecting(name: str) -> Projecting:
    """The projection of that name, if it is there: asked before minutes of work.

    Raises:
        UsageError: If there is no such projection.
        MissingExtraError: If UMAP is not installed.
    """
    if name == "umap" and find_spec("umap") is None:
        raise MissingExtraError(
            "`projection=umap` needs the extra umap: pip install 'cxrfeat[umap]'. Or take pca or tsne."
        )
    for one in _HOW:
        if one == name:
            return one
    raise UsageError(f"`projection` lays features out by {', '.join(_HOW)}; got {name!r}.")


def mapped(file: FeatureFile, seed: int) -> set[str]:
    """Contents of the images that a map shows: all, or as many as it bears, drawn by chance."""
    keys = file.content_sha256
    if file.images <= POINTS:
        return set(keys)
    return {keys[row] for row in np.random.default_rng(seed).choice(file.images, POINTS, replace=False)}


def feature_map(
    file: FeatureFile,
    contents: Collection[str],
    best: Run,
    sheet: TileSheet,
    names: Sequence[str],
    method: Projecting,
    seed: int,
) -> FeatureMap:
    """The map of some images of one feature file.

    Args:
        file: The features, whose plain views are laid out.
        contents: Which images are shown.
        best: The best run of these features: it says in which part each image is, and for what it was taken.
        sheet: Numbers the small pictures.
        names: What each image of the file is called.
        method: How the plane is found.
        seed: Of that.
    """
    keys, labels = file.content_sha256, file.labels
    rows = [row for row, key in enumerate(keys) if key in contents]
    parts, said = parts_of(best), _taken_for(best)
    texts = file.texts("source")
    sources = sorted({one for one in texts if one is not None})
    if sources and None in texts:
        sources.append("unknown")
    kinds, words, wrong = [], [], []
    for row in rows:
        name, source, key = file.classes[labels[row]], texts[row] or "unknown", keys[row]
        kinds.append((int(labels[row]), sources.index(source) if sources else 0))
        told = [name, f"source {source}" if sources else "", parts.get(key, "")]
        told += [f"taken for {said[key]}" if key in said else "", names[row]]
        words.append(", ".join(one for one in told if one))
        wrong.append(key in said and said[key] != name)
    X, _, _ = file.arrays(view=0)
    laid = projection(X[rows], method=method, seed=seed)
    return FeatureMap(
        backbone=file.content.backbone,
        places=laid.points,
        classes=file.classes,
        sources=tuple(sources),
        kinds=tuple(kinds),
        words=tuple(words),
        wrong=tuple(wrong),
        tiles=tuple(sheet.number(keys[row]) for row in rows),
        images=file.images,
        how=_HOW[laid.method],
    )


def _taken_for(run: Run) -> Mapping[str, str]:
    """For which class a run took each image that tested it, by content."""
    said = run.predictions()
    return {said.contents[row]: said.classes[said.predicted[row]] for row in said.tested}
