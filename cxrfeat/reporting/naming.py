"""What a page calls images and the parts they are in: an image by its path, or by its salted id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from cxrfeat.feature.file import FeatureFile
from cxrfeat.image.identity import Identity
from cxrfeat.image.row import ImageRow
from cxrfeat.image.split import NO_PART
from cxrfeat.run.folder import Run

Names = Mapping[str, Sequence[str]]
"""What the images of each content may be called, those of one content in order of path."""


def names_of(rows: Iterable[ImageRow], *, redact: bool) -> Names:
    """The names of a folder's images.

    Args:
        rows: The images.
        redact: Name them by their salted ids.
    """
    named: dict[str, list[str]] = {}
    identity = None
    for row in rows:
        identity = identity or (Identity.load() if redact else None)
        name = identity.image_id(row.path, row.content_sha256) if identity else row.path
        named.setdefault(row.content_sha256, []).append(name)
    return named


def names_in(file: FeatureFile, names: Names) -> list[str]:
    """What each image of a file is called; copies, which are one content, by their own names in the same order."""
    told, seen = [], Counter[str]()
    for key, image_id in zip(file.content_sha256, file.image_ids, strict=True):
        known = names.get(key, ())
        told.append(known[seen[key]] if seen[key] < len(known) else f"image {image_id[:8]}")
        seen[key] += 1
    return told


def parts_of(run: Run) -> dict[str, str]:
    """The part of each image of a run, by content, as it is to be read.

    Raises:
        IntegrityError: If the run is damaged.
    """
    split = run.split()
    pairs = zip(split.contents, split.parts, strict=True)
    return {sha: "in no part" if part == NO_PART else part for sha, part in pairs}
