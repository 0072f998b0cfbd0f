"""Which images belong together, from their files and before there are features: a pass over all pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxrfeat.errors import BadImageError
from cxrfeat.image.group import group_copies
from cxrfeat.image.row import Manifest
from cxrfeat.types import Groups, Progress
from cxrfeat.view.prepare import Wanted, image_files
from cxrfeat.view.stream import stream


def look_and_group(manifest: Manifest, progress: Progress | None = None) -> tuple[Groups, NDArray[np.bool_]]:
    """The groups that an extraction will write, near-duplicates included.

    Images that cannot be used join by patient and bytes alone; the extraction records them.

    Args:
        manifest: The images.
        progress: Called after every image.

    Returns:
        `(images,)` group indices, in the manifest's order, and whether each image can be used.
    """
    rows = list({row.content_sha256: row for row in manifest.rows}.values())
    looks: dict[str, tuple[NDArray[np.uint8], int]] = {}
    with stream(image_files(rows, manifest.root), Wanted(look=True)) as images:
        for done, (row, one) in enumerate(zip(rows, images, strict=True), start=1):
            if not isinstance(one, BadImageError) and one.look is not None:
                looks[row.content_sha256] = one.look.portrait, one.look.pixel_digest
            if progress:
                progress("looking for copies", done, len(rows))
    usable = np.array([row.content_sha256 in looks for row in manifest.rows])
    return group_copies(manifest.rows, looks), usable
