"""The audit's pass over the pixels of a data set: each image is read and decoded once, for all checks together."""

from __future__ import annotations

from cxrfeat.errors import BadImageError
from cxrfeat.image.inspect import Inspection
from cxrfeat.image.row import Manifest
from cxrfeat.types import Counted
from cxrfeat.view.prepare import ImageFile, Wanted
from cxrfeat.view.stream import stream


def inspect_images(manifest: Manifest, progress: Counted | None = None) -> tuple[Inspection | BadImageError, ...]:
    """Inspect every image of a data set, as its file is now.

    Args:
        manifest: The images.
        progress: Called with (images done, images in all), from the calling thread.

    Returns:
        One for each row of the manifest, in its order; the error where an image cannot be used.
    """
    files = [ImageFile(path=manifest.root / row.path) for row in manifest.rows]
    found: list[Inspection | BadImageError] = []
    with stream(files, Wanted(inspection=True)) as images:
        for done, one in enumerate(images, start=1):
            if isinstance(one, BadImageError):
                found.append(one)
            else:
                assert one.inspection is not None  # it was wanted
                found.append(one.inspection)
            if progress is not None:
                progress(done, len(files))
    return tuple(found)
