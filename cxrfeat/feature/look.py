"""Which images belong together, from their files and before there are features: a pass over all pixels."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.appearance import Look
from cxrfeat.image.group import group, group_copies
from cxrfeat.image.row import ImageRow, Manifest
from cxrfeat.system.process import threads
from cxrfeat.types import Groups, Progress
from cxrfeat.view.prepare import prepare

_AT_ONCE = 64


def look_and_group(manifest: Manifest, progress: Progress | None = None) -> tuple[Groups, NDArray[np.bool_]]:
    """The groups that an extraction will write, near-duplicates included.

    Images that cannot be used join by patient and bytes alone; the extraction records them.

    Args:
        manifest: The images.
        progress: Told after every few.

    Returns:
        `(images,)` group indices, in the manifest's order, and whether each image can be used.
    """
    rows = list({row.content_sha256: row for row in manifest.rows}.values())
    looks: dict[str, Look] = {}

    def see(row: ImageRow) -> Look | None:
        try:
            return prepare(manifest.root / row.path, row.content_sha256, []).look
        except BadImageError:
            return None

    with ThreadPoolExecutor(max_workers=threads()) as pool:
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            seen: Iterable[Look | None] = pool.map(see, part)
            looks |= {row.content_sha256: one for row, one in zip(part, seen, strict=True) if one is not None}
            if progress:
                progress("looking for copies", start + len(part), len(rows))
    usable = np.array([row.content_sha256 in looks for row in manifest.rows])
    if not looks:
        return group(manifest.rows), usable
    groups = group_copies(
        manifest.rows,
        list(looks),
        np.stack([one.portrait for one in looks.values()]),
        np.array([one.pixel_digest for one in looks.values()], dtype=np.uint64),
    )
    return groups, usable
