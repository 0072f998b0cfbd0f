"""A split that is made before there are features, for those that are bound to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.feature.split import ImageTable, Split, parted
from cxrfeat.image.row import Manifest
from cxrfeat.image.split import NO_PART, own_way
from cxrfeat.spec import SplitSpec
from cxrfeat.types import Groups


def split_before(
    manifest: Manifest, groups: Groups, usable: NDArray[np.bool_], spec: SplitSpec | None, seed: int
) -> Split:
    """The split that a stage two would make of the usable images; others are in no part of it.

    Without a description it is the data's own, if that gives any image a part, else by group.

    Args:
        manifest: The images.
        groups: As an extraction will write them: `look_and_group`.
        usable: Which images can be used.
        spec: How to split.
        seed: Seed of the split, where none is described.
    """
    rows = [row for row, good in zip(manifest.rows, usable, strict=True) if good]
    column = [row.split for row in rows]
    table = ImageTable(
        contents=[row.content_sha256 for row in rows],
        labels=manifest.labels[usable],
        groups=groups[usable],
        classes=manifest.classes,
        given=column,
        dates=[row.date for row in rows],
        sources=[row.source for row in rows],
    )
    found = parted(table, spec or SplitSpec(by=own_way(None, column), seed=seed))
    parts = np.full(len(usable), NO_PART, dtype=found.parts.dtype)
    parts[usable] = found.parts
    contents = [row.content_sha256 for row in manifest.rows]
    return Split.of(parts, contents, manifest.labels, manifest.classes, by="bound", seed=seed)
